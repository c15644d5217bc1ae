//! Attention of every sequence and head on its own, straight from the projections: a block of queries against all keys at
//! a time, so that scores live in the cache and only their log-sum-exp is kept.

use std::mem::MaybeUninit;
use std::ops::Range;

use burn_ndarray::NdArrayTensor;
use ndarray::{ArcArray1, ArcArray2, Array2, ArrayView2, ArrayViewMut2, Axis, s};
use rayon::prelude::*;

use super::array::{elements, matrix, of, tensor, vector, view, view_mut};
use super::dropout::{Mask, RowMask};
use super::math::{exp, maximum, sum_by, vectorized};
use super::product::{Precision, Product};
use crate::ops::{AttentionArgs, AttentionTensors};

/// Scores of a block, 128 KiB of them.
const SCORES: usize = 1 << 15;

/// What the backward step needs.
#[derive(Debug, Clone)]
pub struct AttentionSaved {
    query: ArcArray2<f32>,
    key_value: ArcArray2<f32>,
    context: ArcArray2<f32>,
    /// `ln Σ_keys exp(score)`, the queries of one sequence and head together, `[heads * queries]`.
    log_sum_exp: ArcArray1<f32>,
}

/// How many queries and keys each sequence has, and the heads: the parts of [`Layout::parts`] are the whole matrix.
struct Layout<'a> {
    queries: &'a [usize],
    keys: &'a [usize],
    heads: usize,
    hidden: usize,
}

/// One sequence and head.
struct Task {
    /// Its rows among the queries.
    queries: Range<usize>,
    /// Its rows among the keys and values.
    keys: Range<usize>,
    /// Its columns among the queries, keys or values.
    columns: Range<usize>,
    /// The number of its first query among those of all sequences and heads: rows of the dropout mask.
    first: usize,
}

impl<'a> Layout<'a> {
    /// # Panics
    /// Where the heads do not divide the columns, or the lengths are not those of the tensors.
    fn new(
        query: &ArcArray2<f32>,
        key_value: &ArcArray2<f32>,
        [queries, keys]: [&'a [usize]; 2],
        heads: usize,
    ) -> Self {
        let hidden = query.ncols();
        assert!(hidden.is_multiple_of(heads), "heads of {hidden} columns");
        assert_eq!(key_value.ncols(), 2 * hidden, "keys and values");
        assert_eq!(queries.len(), keys.len(), "sequences");
        assert_eq!(queries.iter().sum::<usize>(), query.nrows(), "queries");
        assert_eq!(keys.iter().sum::<usize>(), key_value.nrows(), "keys");
        Self {
            queries,
            keys,
            heads,
            hidden,
        }
    }

    /// Sequence by sequence, and in each head by head.
    fn tasks(&self) -> Vec<Task> {
        let head_dim = self.hidden / self.heads;
        let mut tasks = Vec::with_capacity(self.keys.len() * self.heads);
        let (mut query, mut key, mut first) = (0, 0, 0);
        for (&queries, &keys) in self.queries.iter().zip(self.keys) {
            for head in 0..self.heads {
                tasks.push(Task {
                    queries: query..query + queries,
                    keys: key..key + keys,
                    columns: head * head_dim..(head + 1) * head_dim,
                    first,
                });
                first += queries;
            }
            query += queries;
            key += keys;
        }
        tasks
    }

    /// Cuts a matrix of one row a token into one part a sequence and head, in the order of the tasks.
    fn parts<'m>(
        &self,
        mut rest: ArrayViewMut2<'m, MaybeUninit<f32>>,
        lengths: &[usize],
    ) -> Vec<ArrayViewMut2<'m, MaybeUninit<f32>>> {
        let mut parts = Vec::with_capacity(lengths.len() * self.heads);
        for &length in lengths {
            let (mut sequence, after) = rest.split_at(Axis(0), length);
            rest = after;
            for _ in 0..self.heads {
                let (head, after) = sequence.split_at(Axis(1), self.hidden / self.heads);
                sequence = after;
                parts.push(head);
            }
        }
        parts
    }

    /// Cuts a vector with one element a query and head in the order of the tasks.
    fn runs<'m>(&self, mut rest: &'m mut [f32]) -> Vec<&'m mut [f32]> {
        let mut runs = Vec::with_capacity(self.keys.len() * self.heads);
        for &queries in self.queries {
            for _ in 0..self.heads {
                let (run, after) = rest.split_at_mut(queries);
                rest = after;
                runs.push(run);
            }
        }
        runs
    }
}

/// The queries of a task, then its keys and its values.
fn of_task<'a>(
    task: &Task,
    query: &'a ArcArray2<f32>,
    key_value: &'a ArcArray2<f32>,
) -> [ArrayView2<'a, f32>; 3] {
    let hidden = query.ncols();
    let Range { start, end } = task.columns;
    [
        query.slice(s![task.queries.clone(), start..end]),
        key_value.slice(s![task.keys.clone(), start..end]),
        key_value.slice(s![task.keys.clone(), hidden + start..hidden + end]),
    ]
}

/// A product within a task, which has siblings, in the configured precision.
fn product<'a>(a: ArrayView2<'a, f32>, b: ArrayView2<'a, f32>) -> Product<'a> {
    let precision = Precision::configured();
    Product::new(a, b).alone().in_precision(precision)
}

/// Blocks of queries, the more the fewer keys there are.
fn blocks(queries: usize, keys: usize) -> impl Iterator<Item = Range<usize>> {
    let most = (SCORES / keys.max(1)).max(1);
    (0..queries)
        .step_by(most)
        .map(move |start| start..(start + most).min(queries))
}

pub(super) fn forward(
    AttentionTensors { query, key_value }: AttentionTensors<NdArrayTensor>,
    [queries, keys]: [&[usize]; 2],
    args: AttentionArgs,
) -> (NdArrayTensor, AttentionSaved) {
    let (query, key_value) = (matrix(query), matrix(key_value));
    let (rows, hidden) = query.dim();
    let layout = Layout::new(&query, &key_value, [queries, keys], args.heads);
    let mask = Mask::new(args.dropout);
    let scale = AttentionArgs::scale(hidden / args.heads) as f32;
    let mut context = Array2::uninit((rows, hidden));
    let mut log_sum_exp = vec![0.0; rows * args.heads];
    layout
        .tasks()
        .into_par_iter()
        .zip(layout.parts(context.view_mut(), queries))
        .zip(layout.runs(&mut log_sum_exp))
        .for_each_init(Vec::new, |scratch, ((task, mut context), log_sum_exp)| {
            let [query, key, value] = of_task(&task, &query, &key_value);
            let keys = key.nrows();
            for block in blocks(query.nrows(), keys) {
                let scores = sized(scratch, block.len() * keys);
                product(query.slice(s![block.clone(), ..]), key.t())
                    .scaled(scale)
                    .write(view_mut(scores, block.len(), keys));
                vectorized(
                    #[inline(always)]
                    || {
                        let rows = scores.chunks_exact_mut(keys);
                        for (row, scores) in block.clone().zip(rows) {
                            log_sum_exp[row] = softmax(scores);
                            if let Some(mask) = mask {
                                let mask = mask.row(task.first + row);
                                for (key, probability) in scores.iter_mut().enumerate() {
                                    *probability *= mask.factor(key);
                                }
                            }
                        }
                    },
                );
                product(view(scores, block.len(), keys), value)
                    .write_new(context.slice_mut(s![block, ..]));
            }
        });
    // SAFETY: the parts of all tasks are all of it, as `Layout::new` checked, and the blocks of a task all rows of its part.
    let context = of(unsafe { context.assume_init() });
    let saved = AttentionSaved {
        query,
        key_value,
        context: matrix(context.clone()),
        log_sum_exp: vector(tensor(&[rows * args.heads], log_sum_exp)),
    };
    (context, saved)
}

/// `x ← softmax(x)`; returns `ln Σ exp(x)`.
#[inline(always)]
fn softmax(x: &mut [f32]) -> f32 {
    let largest = maximum(x);
    for x in x.iter_mut() {
        *x = exp(*x - largest);
    }
    let sum = sum_by(
        [x],
        #[inline(always)]
        |[x]| x,
    );
    let inverse = 1.0 / sum;
    for x in x {
        *x *= inverse;
    }
    largest + sum.ln()
}

pub(super) fn backward(
    grad: NdArrayTensor,
    [queries, keys]: [&[usize]; 2],
    args: AttentionArgs,
    saved: AttentionSaved,
) -> AttentionTensors<NdArrayTensor> {
    let grad = matrix(grad);
    let (rows, hidden) = grad.dim();
    let layout = Layout::new(&grad, &saved.key_value, [queries, keys], args.heads);
    let mask = Mask::new(args.dropout);
    let scale = AttentionArgs::scale(hidden / args.heads) as f32;
    let log_sum_exp = elements(&saved.log_sum_exp);
    let mut d_query = Array2::uninit((rows, hidden));
    let mut d_key_value = Array2::uninit((saved.key_value.nrows(), 2 * hidden));
    let (d_key, d_value) = d_key_value.view_mut().split_at(Axis(1), hidden);
    let gradients = layout
        .parts(d_query.view_mut(), queries)
        .into_par_iter()
        .zip(layout.parts(d_key, keys))
        .zip(layout.parts(d_value, keys));
    layout.tasks().into_par_iter().zip(gradients).for_each_init(
        <[Vec<f32>; 2]>::default,
        |[scores, d_scores], (task, ((mut d_query, d_key), d_value))| {
            let [query, key, value] = of_task(&task, &saved.query, &saved.key_value);
            let d_context = grad.slice(s![task.queries.clone(), task.columns.clone()]);
            let (mut d_key, mut d_value) = (zeroed(d_key), zeroed(d_value));
            let keys = key.nrows();
            for block in blocks(query.nrows(), keys) {
                let queries = query.slice(s![block.clone(), ..]);
                let d_block = d_context.slice(s![block.clone(), ..]);
                let scores = sized(scores, block.len() * keys);
                let d_scores = sized(d_scores, block.len() * keys);
                product(queries, key.t())
                    .scaled(scale)
                    .write(view_mut(scores, block.len(), keys));
                product(d_block, value.t()).write(view_mut(d_scores, block.len(), keys));
                vectorized(
                    #[inline(always)]
                    || {
                        let rows = scores
                            .chunks_exact_mut(keys)
                            .zip(d_scores.chunks_exact_mut(keys));
                        for (row, (scores, d_scores)) in block.clone().zip(rows) {
                            let at = (task.queries.start + row) * hidden + task.columns.start;
                            let head_dim = task.columns.len();
                            let of = &elements(&saved.context)[at..][..head_dim];
                            let d_of = &elements(&grad)[at..][..head_dim];
                            // Σ_keys dP P, which is what the row's context is weighted with.
                            let weighted = sum_by(
                                [of, d_of],
                                #[inline(always)]
                                |[x, dx]| x * dx,
                            );
                            let normalizer = log_sum_exp[task.first + row];
                            let mask = mask.map(|mask| mask.row(task.first + row));
                            score_gradients(scores, d_scores, normalizer, weighted, mask);
                        }
                    },
                );
                let probabilities = view(scores, block.len(), keys);
                let d_scores = view(d_scores, block.len(), keys);
                product(probabilities.t(), d_block).add_to(d_value.view_mut());
                product(d_scores, key)
                    .scaled(scale)
                    .write_new(d_query.slice_mut(s![block, ..]));
                product(d_scores.t(), queries)
                    .scaled(scale)
                    .add_to(d_key.view_mut());
            }
        },
    );
    // SAFETY: the parts of all tasks are all of both, as `Layout::new` checked; the blocks of a task wrote all rows of its
    // queries, and `zeroed` all of its keys and values.
    let (d_query, d_key_value) = unsafe { (d_query.assume_init(), d_key_value.assume_init()) };
    AttentionTensors {
        query: of(d_query),
        key_value: of(d_key_value),
    }
}

/// A part, full of zeros.
fn zeroed(mut part: ArrayViewMut2<'_, MaybeUninit<f32>>) -> ArrayViewMut2<'_, f32> {
    part.fill(MaybeUninit::new(0.0));
    // SAFETY: just written.
    unsafe { part.assume_init() }
}

/// Of one query: `scores ← P D`, `d_scores ← P (dP D - weighted)`, with D the scaled mask.
#[inline(always)]
fn score_gradients(
    scores: &mut [f32],
    d_scores: &mut [f32],
    log_sum_exp: f32,
    weighted: f32,
    mask: Option<RowMask>,
) {
    let pairs = scores.iter_mut().zip(d_scores);
    match mask {
        None => {
            for (score, d_score) in pairs {
                let probability = exp(*score - log_sum_exp);
                *score = probability;
                *d_score = probability * (*d_score - weighted);
            }
        }
        Some(mask) => {
            for (key, (score, d_score)) in pairs.enumerate() {
                let probability = exp(*score - log_sum_exp);
                let factor = mask.factor(key);
                *score = probability * factor;
                *d_score = probability * (*d_score * factor - weighted);
            }
        }
    }
}

/// The first `length` elements of a scratch buffer, which grows if it must. Their values are of no meaning.
fn sized(scratch: &mut Vec<f32>, length: usize) -> &mut [f32] {
    if scratch.len() < length {
        scratch.resize(length, 0.0);
    }
    &mut scratch[..length]
}
