//! Attention of every sequence and head on its own, straight from the joint projection: a block of queries against all
//! keys at a time, so that scores live in the cache and only their log-sum-exp is kept.

use burn_ndarray::NdArrayTensor;
use ndarray::{ArcArray1, ArcArray2, ArrayView2, ArrayViewMut2, Axis, s};
use rayon::prelude::*;

use super::array::{elements, matrix, tensor, vector, view, view_mut};
use super::dropout::Mask;
use super::math::{exp, maximum, sum_by, vectorized};
use super::product::{Threads, Write, product};
use crate::ops::AttentionArgs;

/// Queries of a block: with 512 keys their scores are 128 KiB.
const BLOCK: usize = 64;

/// What the backward step needs.
#[derive(Debug, Clone)]
pub struct AttentionSaved {
    qkv: ArcArray2<f32>,
    context: ArcArray2<f32>,
    /// `ln Σ_keys exp(score)`, the queries of one sequence and head together, `[heads * tokens]`.
    log_sum_exp: ArcArray1<f32>,
}

/// One sequence and head: where its tokens and columns are.
struct Task<'a> {
    query: ArrayView2<'a, f32>,
    key: ArrayView2<'a, f32>,
    value: ArrayView2<'a, f32>,
    /// The number of its first query among those of all sequences and heads: rows of the dropout mask.
    first: usize,
}

/// The tasks of a batch, sequence by sequence and in each head by head.
fn tasks<'a>(qkv: &'a ArcArray2<f32>, lengths: &[usize], heads: usize) -> Vec<Task<'a>> {
    let hidden = qkv.ncols() / 3;
    let head_dim = hidden / heads;
    let mut tasks = Vec::with_capacity(lengths.len() * heads);
    let (mut start, mut first) = (0, 0);
    for &length in lengths {
        for head in 0..heads {
            let part = |part: usize| {
                let column = part * hidden + head * head_dim;
                qkv.slice(s![start..start + length, column..column + head_dim])
            };
            tasks.push(Task {
                query: part(0),
                key: part(1),
                value: part(2),
                first,
            });
            first += length;
        }
        start += length;
    }
    tasks
}

/// Cuts a matrix of tokens into one part a sequence and head, in the order of [`tasks`].
fn parts<'a>(
    mut rest: ArrayViewMut2<'a, f32>,
    lengths: &[usize],
    heads: usize,
) -> Vec<ArrayViewMut2<'a, f32>> {
    let head_dim = rest.ncols() / heads;
    let mut parts = Vec::with_capacity(lengths.len() * heads);
    for &length in lengths {
        let (mut sequence, after) = rest.split_at(Axis(0), length);
        rest = after;
        for _ in 0..heads {
            let (head, after) = sequence.split_at(Axis(1), head_dim);
            sequence = after;
            parts.push(head);
        }
    }
    parts
}

/// Cuts a vector with one element a token and head in the order of [`tasks`].
fn runs<'a>(mut rest: &'a mut [f32], lengths: &[usize], heads: usize) -> Vec<&'a mut [f32]> {
    let mut runs = Vec::with_capacity(lengths.len() * heads);
    for &length in lengths {
        for _ in 0..heads {
            let (run, after) = rest.split_at_mut(length);
            rest = after;
            runs.push(run);
        }
    }
    runs
}

pub(super) fn forward(
    qkv: NdArrayTensor,
    lengths: &[usize],
    args: AttentionArgs,
) -> (NdArrayTensor, AttentionSaved) {
    let qkv = matrix(qkv);
    let (tokens, hidden) = (qkv.nrows(), qkv.ncols() / 3);
    let mask = Mask::new(args.dropout);
    let scale = AttentionArgs::scale(hidden / args.heads) as f32;
    let mut context = vec![0.0; tokens * hidden];
    let mut log_sum_exp = vec![0.0; tokens * args.heads];
    tasks(&qkv, lengths, args.heads)
        .into_par_iter()
        .zip(parts(
            view_mut(&mut context, tokens, hidden),
            lengths,
            args.heads,
        ))
        .zip(runs(&mut log_sum_exp, lengths, args.heads))
        .for_each_init(Vec::new, |scratch, ((task, mut context), log_sum_exp)| {
            let keys = task.key.nrows();
            for start in (0..keys).step_by(BLOCK) {
                let block = start..(start + BLOCK).min(keys);
                let scores = sized(scratch, block.len() * keys);
                product(
                    view_mut(scores, block.len(), keys),
                    Write::Replace,
                    scale,
                    task.query.slice(s![block.clone(), ..]),
                    task.key.t(),
                    Threads::One,
                );
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
                product(
                    context.slice_mut(s![block.clone(), ..]),
                    Write::Replace,
                    1.0,
                    view(scores, block.len(), keys),
                    task.value,
                    Threads::One,
                );
            }
        });
    let context = tensor(&[tokens, hidden], context);
    let saved = AttentionSaved {
        qkv,
        context: matrix(context.clone()),
        log_sum_exp: vector(tensor(&[tokens * args.heads], log_sum_exp)),
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
        x.len(),
        #[inline(always)]
        |i| x[i],
    );
    let inverse = 1.0 / sum;
    for x in x {
        *x *= inverse;
    }
    largest + sum.ln()
}

pub(super) fn backward(
    grad: NdArrayTensor,
    lengths: &[usize],
    args: AttentionArgs,
    saved: AttentionSaved,
) -> NdArrayTensor {
    let grad = matrix(grad);
    let (tokens, hidden) = grad.dim();
    let heads = args.heads;
    let head_dim = hidden / heads;
    let mask = Mask::new(args.dropout);
    let scale = AttentionArgs::scale(head_dim) as f32;
    let log_sum_exp = elements(&saved.log_sum_exp);
    let mut d_qkv = vec![0.0; tokens * 3 * hidden];
    let (d_query, rest) = view_mut(&mut d_qkv, tokens, 3 * hidden).split_at(Axis(1), hidden);
    let (d_key, d_value) = rest.split_at(Axis(1), hidden);
    let gradients = parts(d_query, lengths, heads)
        .into_par_iter()
        .zip(parts(d_key, lengths, heads))
        .zip(parts(d_value, lengths, heads));
    let starts: Vec<usize> = lengths
        .iter()
        .scan(0, |next, length| {
            *next += length;
            Some(*next - length)
        })
        .collect();
    tasks(&saved.qkv, lengths, heads)
        .into_par_iter()
        .zip(gradients)
        .enumerate()
        .for_each_init(
            <[Vec<f32>; 2]>::default,
            |[scores, d_scores], (index, (task, ((mut d_query, mut d_key), mut d_value)))| {
                let keys = task.key.nrows();
                let first = starts[index / heads];
                let columns = index % heads * head_dim..(index % heads + 1) * head_dim;
                let rows_of = |array: &'_ ArcArray2<f32>| {
                    array
                        .slice(s![first..first + keys, columns.clone()])
                        .to_owned()
                };
                let (d_context, context) = (rows_of(&grad), rows_of(&saved.context));
                for start in (0..keys).step_by(BLOCK) {
                    let block = start..(start + BLOCK).min(keys);
                    let write = if start == 0 {
                        Write::Replace
                    } else {
                        Write::Add
                    };
                    let queries = task.query.slice(s![block.clone(), ..]);
                    let d_block = d_context.slice(s![block.clone(), ..]);
                    let scores = sized(scores, block.len() * keys);
                    let d_scores = sized(d_scores, block.len() * keys);
                    product(
                        view_mut(scores, block.len(), keys),
                        Write::Replace,
                        scale,
                        queries,
                        task.key.t(),
                        Threads::One,
                    );
                    product(
                        view_mut(d_scores, block.len(), keys),
                        Write::Replace,
                        1.0,
                        d_block,
                        task.value.t(),
                        Threads::One,
                    );
                    vectorized(
                        #[inline(always)]
                        || {
                            let rows = scores
                                .chunks_exact_mut(keys)
                                .zip(d_scores.chunks_exact_mut(keys));
                            for (row, (scores, d_scores)) in block.clone().zip(rows) {
                                let (of, d_of) = (context.row(row), d_context.row(row));
                                let (Some(of), Some(d_of)) = (of.to_slice(), d_of.to_slice())
                                else {
                                    unreachable!("both were just copied")
                                };
                                // Σ_keys dP P, which is what the row's context is weighted with.
                                let weighted = sum_by(
                                    head_dim,
                                    #[inline(always)]
                                    |i| of[i] * d_of[i],
                                );
                                let normalizer = log_sum_exp[task.first + row];
                                let mask = mask.map(|mask| mask.row(task.first + row));
                                score_gradients(scores, d_scores, normalizer, weighted, mask);
                            }
                        },
                    );
                    let probabilities = view(scores, block.len(), keys);
                    let d_scores = view(d_scores, block.len(), keys);
                    product(
                        d_value.view_mut(),
                        write,
                        1.0,
                        probabilities.t(),
                        d_block,
                        Threads::One,
                    );
                    product(
                        d_query.slice_mut(s![block.clone(), ..]),
                        Write::Replace,
                        scale,
                        d_scores,
                        task.key,
                        Threads::One,
                    );
                    product(
                        d_key.view_mut(),
                        write,
                        scale,
                        d_scores.t(),
                        queries,
                        Threads::One,
                    );
                }
            },
        );
    tensor(&[tokens, 3 * hidden], d_qkv)
}

/// Of one query: `scores ← P D`, `d_scores ← P (dP D - weighted)`, with D the scaled mask.
#[inline(always)]
fn score_gradients(
    scores: &mut [f32],
    d_scores: &mut [f32],
    log_sum_exp: f32,
    weighted: f32,
    mask: Option<super::dropout::RowMask>,
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
