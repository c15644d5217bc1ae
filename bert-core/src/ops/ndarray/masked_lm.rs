//! The masked-LM loss over the tied decoder, a run of masked tokens at a time: their logits become probabilities, loss and
//! gradients in place, and the `[masked, vocabulary]` matrix never exists as a whole.

use burn_ndarray::NdArrayTensor;
use ndarray::{ArcArray2, ArrayView2};
use rayon::prelude::*;

use super::NdArray32;
use super::activation::add_bias;
use super::array::{
    elements, floats, indices, into_elements, matrix, scalar, tensor, vector, view, view_mut,
};
use super::math::{exp, maximum, sum_by, vectorized};
use super::product::{Precision, Product};
use super::rows::{add, total};
use crate::ops::MaskedLmOutput;

/// Logits at a time, 32 MiB of them: enough rows for fast products, and their gradients of the embeddings are added up
/// few times.
pub(super) const RUN_ELEMENTS: usize = 8 << 20;

/// Rows of logits that one task turns into residuals.
const TASK_ROWS: usize = 16;

/// The gradients for the loss gradient that was expected, ready before anybody asks.
#[derive(Debug, Clone)]
pub struct MaskedLmSaved {
    expected_grad: f32,
    d_hidden: NdArrayTensor,
    d_word_embeddings: NdArrayTensor,
    d_bias: NdArrayTensor,
}

/// The same while they are made.
struct Gradients {
    expected_grad: f32,
    hidden: Vec<f32>,
    words: Vec<f32>,
    /// One a run.
    bias: Vec<Vec<f32>>,
}

/// The loss, with nothing kept.
pub(super) fn infer(
    hidden: NdArrayTensor,
    word_embeddings: NdArrayTensor,
    bias: NdArrayTensor,
    labels: NdArrayTensor,
) -> MaskedLmOutput<NdArray32> {
    let (hidden, words) = (matrix(hidden), matrix(word_embeddings));
    runs(&hidden, &words, bias, labels, RUN_ELEMENTS, None)
}

/// The scores themselves.
pub(super) fn logits(
    hidden: NdArrayTensor,
    word_embeddings: NdArrayTensor,
    bias: NdArrayTensor,
) -> NdArrayTensor {
    let (hidden, words, bias) = (matrix(hidden), matrix(word_embeddings), vector(bias));
    let logits = of_run(hidden.view(), &words, elements(&bias));
    tensor(&[hidden.nrows(), words.nrows()], logits)
}

fn of_run(hidden: ArrayView2<'_, f32>, words: &ArcArray2<f32>, bias: &[f32]) -> Vec<f32> {
    Product::new(hidden, words.t())
        .in_precision(Precision::configured())
        .new_matrix(
            #[inline(always)]
            |part| add_bias(part.values, &bias[part.column..]),
        )
}

/// With so many logits at a time.
pub(super) fn forward(
    hidden: NdArrayTensor,
    word_embeddings: NdArrayTensor,
    bias: NdArrayTensor,
    labels: NdArrayTensor,
    expected_grad: f32,
    run_elements: usize,
) -> (MaskedLmOutput<NdArray32>, MaskedLmSaved) {
    let (hidden, words) = (matrix(hidden), matrix(word_embeddings));
    let ((masked, width), vocabulary) = (hidden.dim(), words.nrows());
    // Zero would leave nothing to scale by another gradient.
    let expected_grad = if expected_grad == 0.0 {
        1.0
    } else {
        expected_grad
    };
    let mut gradients = Gradients {
        expected_grad,
        hidden: Vec::with_capacity(masked * width),
        words: Vec::new(),
        bias: Vec::new(),
    };
    let output = runs(
        &hidden,
        &words,
        bias,
        labels,
        run_elements,
        Some(&mut gradients),
    );
    // Of no masked token there was no run.
    gradients.words.resize(vocabulary * width, 0.0);
    let saved = MaskedLmSaved {
        expected_grad,
        d_hidden: tensor(&[masked, width], gradients.hidden),
        d_word_embeddings: tensor(&[vocabulary, width], gradients.words),
        d_bias: tensor(&[vocabulary], total(gradients.bias, vocabulary)),
    };
    (output, saved)
}

fn runs(
    hidden: &ArcArray2<f32>,
    words: &ArcArray2<f32>,
    bias: NdArrayTensor,
    labels: NdArrayTensor,
    run_elements: usize,
    mut gradients: Option<&mut Gradients>,
) -> MaskedLmOutput<NdArray32> {
    let (bias, labels) = (vector(bias), indices(labels));
    let ((masked, width), vocabulary) = (hidden.dim(), words.nrows());
    let most = (run_elements / vocabulary).max(1);
    let runs = masked.div_ceil(most).max(1);
    let run_rows = masked.div_ceil(runs).max(1);
    let (mut loss_sum, mut correct) = (0.0_f64, 0_usize);
    let bias = elements(&bias);
    let precision = Precision::configured();
    let inputs = elements(hidden).chunks(run_rows * width);
    for (hidden, labels) in inputs.zip(labels.chunks(run_rows)) {
        let rows = labels.len();
        let hidden = view(hidden, rows, width);
        let mut logits = of_run(hidden, words, bias);
        let tasks = logits
            .par_chunks_mut(TASK_ROWS * vocabulary)
            .zip(labels.par_chunks(TASK_ROWS));
        let results: Vec<TaskResult> = tasks
            .map(|(logits, labels)| {
                vectorized(
                    #[inline(always)]
                    || TaskResult::of(logits, vocabulary, labels),
                )
            })
            .collect();
        let mut sums = Vec::with_capacity(results.len());
        for result in results {
            loss_sum += result.loss_sum;
            correct += result.correct;
            sums.push(result.column_sums);
        }
        if let Some(gradients) = &mut gradients {
            let grad = gradients.expected_grad;
            let residual = view(&logits, rows, vocabulary);
            let product = |a, b| Product::new(a, b).scaled(grad).in_precision(precision);
            let d_hidden = product(residual, words.view()).new_matrix(|_| {});
            gradients.hidden.extend_from_slice(&d_hidden);
            let d_words = product(residual.t(), hidden);
            if gradients.words.is_empty() {
                gradients.words = d_words.new_matrix(|_| {});
            } else {
                d_words.add_to(view_mut(&mut gradients.words, vocabulary, width));
            }
            let mut sums = total(sums, vocabulary);
            sums.iter_mut().for_each(|sum| *sum *= grad);
            gradients.bias.push(sums);
        }
    }
    MaskedLmOutput {
        loss_sum: tensor(&[1], vec![loss_sum as f32]),
        correct: tensor(&[1], vec![correct as f32]),
    }
}

/// What one task makes of its rows of logits, beside the residuals in their place.
struct TaskResult {
    loss_sum: f64,
    correct: usize,
    /// Of the residuals, while they are in the cache.
    column_sums: Vec<f32>,
}

impl TaskResult {
    #[inline(always)]
    fn of(logits: &mut [f32], vocabulary: usize, labels: &[usize]) -> Self {
        let mut result = Self {
            loss_sum: 0.0,
            correct: 0,
            column_sums: vec![0.0; vocabulary],
        };
        for (logits, &label) in logits.chunks_exact_mut(vocabulary).zip(labels) {
            let (loss, hit) = loss_and_residual(logits, label);
            result.loss_sum += f64::from(loss);
            result.correct += usize::from(hit);
            add(&mut result.column_sums, logits);
        }
        result
    }
}

/// `logits ← softmax(logits) - onehot(label)`; returns the loss and whether the label was the most probable.
#[inline(always)]
fn loss_and_residual(logits: &mut [f32], label: usize) -> (f32, bool) {
    let largest = maximum(logits);
    let at_label = logits[label];
    // Of equal ones the first, as in every argmax.
    let is_first = || logits[..label].iter().all(|logit| *logit < largest);
    let correct = at_label >= largest && is_first();
    for logit in logits.iter_mut() {
        *logit = exp(*logit - largest);
    }
    let sum = sum_by(
        [logits],
        #[inline(always)]
        |[x]| x,
    );
    let inverse = 1.0 / sum;
    for logit in logits.iter_mut() {
        *logit *= inverse;
    }
    logits[label] -= 1.0;
    (largest + sum.ln() - at_label, correct)
}

pub(super) fn backward(grad: NdArrayTensor, saved: MaskedLmSaved) -> [NdArrayTensor; 3] {
    let grad = scalar(grad);
    let gradients = [saved.d_hidden, saved.d_word_embeddings, saved.d_bias];
    if grad == saved.expected_grad {
        return gradients;
    }
    let factor = grad / saved.expected_grad;
    gradients.map(|x| {
        let array = floats(x);
        let shape = array.shape().to_vec();
        let mut values = into_elements(array);
        values.par_chunks_mut(1 << 15).for_each(|values| {
            for value in values {
                *value *= factor;
            }
        });
        tensor(&shape, values)
    })
}
