//! The masked-LM loss over the tied decoder, a run of masked tokens at a time: their logits become probabilities, loss and
//! gradients in place, and the `[masked, vocabulary]` matrix never exists as a whole.

use burn_ndarray::NdArrayTensor;
use ndarray::ArcArray2;
use rayon::prelude::*;

use super::NdArray32;
use super::array::{
    elements, indices, into_elements, matrix, scalar, tensor, vector, view, view_mut,
};
use super::math::{exp, maximum, sum_by, vectorized};
use super::product::{Threads, Write, product};
use super::rows::{column_sums, total};
use crate::ops::MaskedLmOutput;

/// Logits at a time, 32 MiB of them: enough rows for fast products, and their gradients of the embeddings are added up
/// few times.
const RUN_ELEMENTS: usize = 8 << 20;

/// The gradients for a loss gradient of 1, ready before anybody asks.
#[derive(Debug, Clone)]
pub struct MaskedLmSaved {
    d_hidden: NdArrayTensor,
    d_word_embeddings: NdArrayTensor,
    d_bias: NdArrayTensor,
}

/// The same while they are made.
struct Gradients {
    hidden: Vec<f32>,
    words: Vec<f32>,
    /// One a run.
    bias: Vec<Vec<f32>>,
}

/// The loss, with nothing kept.
pub(super) fn loss(
    hidden: NdArrayTensor,
    word_embeddings: NdArrayTensor,
    bias: NdArrayTensor,
    labels: NdArrayTensor,
) -> MaskedLmOutput<NdArray32> {
    let (hidden, words) = (matrix(hidden), matrix(word_embeddings));
    runs(&hidden, &words, bias, labels, RUN_ELEMENTS, None)
}

pub(super) fn forward(
    hidden: NdArrayTensor,
    word_embeddings: NdArrayTensor,
    bias: NdArrayTensor,
    labels: NdArrayTensor,
) -> (MaskedLmOutput<NdArray32>, MaskedLmSaved) {
    forward_in_runs(hidden, word_embeddings, bias, labels, RUN_ELEMENTS)
}

/// The same with another number of logits at a time.
pub(super) fn forward_in_runs(
    hidden: NdArrayTensor,
    word_embeddings: NdArrayTensor,
    bias: NdArrayTensor,
    labels: NdArrayTensor,
    run_elements: usize,
) -> (MaskedLmOutput<NdArray32>, MaskedLmSaved) {
    let (hidden, words) = (matrix(hidden), matrix(word_embeddings));
    let ((masked, width), vocabulary) = (hidden.dim(), words.nrows());
    let mut gradients = Gradients {
        hidden: vec![0.0; masked * width],
        words: vec![0.0; vocabulary * width],
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
    let saved = MaskedLmSaved {
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
    let run_rows = (run_elements / vocabulary).clamp(1, masked);
    let mut logits = vec![0.0; run_rows * vocabulary];
    let (mut loss_sum, mut correct) = (0.0_f64, 0_usize);
    let inputs = elements(hidden).chunks(run_rows * width);
    for (run, (hidden, labels)) in inputs.zip(labels.chunks(run_rows)).enumerate() {
        let rows = labels.len();
        let logits = &mut logits[..rows * vocabulary];
        let hidden = view(hidden, rows, width);
        let of_logits = view_mut(logits, rows, vocabulary);
        product(
            of_logits,
            Write::Replace,
            1.0,
            hidden,
            words.t(),
            Threads::All,
        );
        let results: Vec<(f32, bool)> = logits
            .par_chunks_exact_mut(vocabulary)
            .zip(labels)
            .map(|(logits, &label)| {
                vectorized(
                    #[inline(always)]
                    || loss_and_residual(logits, elements(&bias), label),
                )
            })
            .collect();
        for (loss, hit) in results {
            loss_sum += f64::from(loss);
            correct += usize::from(hit);
        }
        if let Some(gradients) = &mut gradients {
            let residual = view(logits, rows, vocabulary);
            let d_hidden = &mut gradients.hidden[run * run_rows * width..][..rows * width];
            let d_hidden = view_mut(d_hidden, rows, width);
            product(
                d_hidden,
                Write::Replace,
                1.0,
                residual,
                words.view(),
                Threads::All,
            );
            let d_words = view_mut(&mut gradients.words, vocabulary, width);
            let write = if run == 0 { Write::Replace } else { Write::Add };
            product(d_words, write, 1.0, residual.t(), hidden, Threads::All);
            gradients.bias.push(column_sums(logits, vocabulary));
        }
    }
    MaskedLmOutput {
        loss_sum: tensor(&[1], vec![loss_sum as f32]),
        correct: tensor(&[1], vec![correct as f32]),
    }
}

/// `logits ← softmax(logits + bias) - onehot(label)`; returns the loss and whether the label was the most probable.
#[inline(always)]
fn loss_and_residual(logits: &mut [f32], bias: &[f32], label: usize) -> (f32, bool) {
    for (logit, bias) in logits.iter_mut().zip(bias) {
        *logit += bias;
    }
    let largest = maximum(logits);
    let at_label = logits[label];
    for logit in logits.iter_mut() {
        *logit = exp(*logit - largest);
    }
    let sum = sum_by(
        logits.len(),
        #[inline(always)]
        |i| logits[i],
    );
    let inverse = 1.0 / sum;
    for logit in logits.iter_mut() {
        *logit *= inverse;
    }
    logits[label] -= 1.0;
    (largest + sum.ln() - at_label, at_label >= largest)
}

pub(super) fn backward(grad: NdArrayTensor, saved: MaskedLmSaved) -> [NdArrayTensor; 3] {
    let grad = scalar(grad);
    let scaled = |x: NdArrayTensor| {
        let array = super::array::floats(x);
        let shape = array.shape().to_vec();
        let mut values = into_elements(array);
        values.par_chunks_mut(1 << 15).for_each(|values| {
            for value in values {
                *value *= grad;
            }
        });
        tensor(&shape, values)
    };
    [saved.d_hidden, saved.d_word_embeddings, saved.d_bias].map(scaled)
}
