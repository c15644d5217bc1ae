//! `y = γ x̂ + β` of `residual + dropout(x)`, each row read once and written once while it is in the cache.

use burn_ndarray::NdArrayTensor;
use ndarray::{ArcArray1, ArcArray2};
use rayon::prelude::*;

use super::array::{elements, into_elements, matrix, tensor, vector};
use super::dropout::Mask;
use super::math::{sum_by, vectorized};
use super::rows::{rows_per_task, total};
use crate::ops::LayerNormArgs;

/// What the backward step needs.
#[derive(Debug, Clone)]
pub struct LayerNormSaved {
    /// x̂ `[rows, hidden]`.
    pub(super) normalized: ArcArray2<f32>,
    /// `1 / sqrt(var + ε)`, `[rows]`.
    pub(super) inverse_deviation: ArcArray1<f32>,
    pub(super) gamma: ArcArray1<f32>,
    /// Of x before the sum, or of the result for embeddings.
    pub(super) mask: Option<Mask>,
}

/// `s ← x̂`; returns `1 / sqrt(var + ε)`.
#[inline(always)]
pub(super) fn normalize(s: &mut [f32], eps: f32) -> f32 {
    let count = s.len() as f32;
    let mean = sum_by(
        s.len(),
        #[inline(always)]
        |i| s[i],
    ) / count;
    let variance = sum_by(
        s.len(),
        #[inline(always)]
        |i| (s[i] - mean) * (s[i] - mean),
    ) / count;
    let inverse_deviation = 1.0 / (variance + eps).sqrt();
    for s in s {
        *s = (*s - mean) * inverse_deviation;
    }
    inverse_deviation
}

/// `y ← γ x̂ + β`.
#[inline(always)]
pub(super) fn scale_and_shift(normalized: &[f32], gamma: &[f32], beta: &[f32], y: &mut [f32]) {
    for (((y, &x), &gamma), &beta) in y.iter_mut().zip(normalized).zip(gamma).zip(beta) {
        *y = x * gamma + beta;
    }
}

/// `dy ← ds`, with `dy x̂` and `dy` added to the sums for γ and β.
#[inline(always)]
pub(super) fn backward_row(
    dy: &mut [f32],
    normalized: &[f32],
    gamma: &[f32],
    inverse_deviation: f32,
    sums: &mut [f32],
) {
    let hidden = dy.len();
    let (d_gamma, d_beta) = sums.split_at_mut(hidden);
    for i in 0..hidden {
        d_gamma[i] += dy[i] * normalized[i];
        d_beta[i] += dy[i];
        dy[i] *= gamma[i];
    }
    let count = hidden as f32;
    let mean = sum_by(
        hidden,
        #[inline(always)]
        |i| dy[i],
    ) / count;
    let projection = sum_by(
        hidden,
        #[inline(always)]
        |i| dy[i] * normalized[i],
    ) / count;
    for (dy, &x) in dy.iter_mut().zip(normalized) {
        *dy = (*dy - mean - x * projection) * inverse_deviation;
    }
}

pub(super) fn forward(
    x: NdArrayTensor,
    residual: Option<NdArrayTensor>,
    gamma: NdArrayTensor,
    beta: NdArrayTensor,
    args: LayerNormArgs,
) -> (NdArrayTensor, LayerNormSaved) {
    let x = matrix(x);
    let (rows, hidden) = x.dim();
    let (gamma, beta) = (vector(gamma), vector(beta));
    let residual = residual.map(matrix);
    let mask = Mask::new(args.dropout);
    let mut normalized = into_elements(x);
    let mut y = vec![0.0; rows * hidden];
    let mut inverse_deviation = vec![0.0; rows];

    let task_rows = rows_per_task(hidden);
    let tasks = normalized
        .par_chunks_mut(task_rows * hidden)
        .zip(y.par_chunks_mut(task_rows * hidden))
        .zip(inverse_deviation.par_chunks_mut(task_rows));
    tasks.enumerate().for_each(|(task, ((s, y), inverse))| {
        let first = task * task_rows;
        let residual = residual.as_ref().map(elements);
        vectorized(
            #[inline(always)]
            || {
                let rows = s.chunks_exact_mut(hidden).zip(y.chunks_exact_mut(hidden));
                for (offset, ((s, y), inverse)) in rows.zip(inverse).enumerate() {
                    let row = first + offset;
                    if let Some(mask) = mask {
                        let mask = mask.row(row);
                        for (column, s) in s.iter_mut().enumerate() {
                            *s *= mask.factor(column);
                        }
                    }
                    if let Some(residual) = residual {
                        let residual = &residual[row * hidden..][..hidden];
                        for (s, residual) in s.iter_mut().zip(residual) {
                            *s += residual;
                        }
                    }
                    *inverse = normalize(s, args.eps as f32);
                    scale_and_shift(s, elements(&gamma), elements(&beta), y);
                }
            },
        );
    });
    let saved = LayerNormSaved {
        normalized: matrix(tensor(&[rows, hidden], normalized)),
        inverse_deviation: vector(tensor(&[rows], inverse_deviation)),
        gamma,
        mask,
    };
    (tensor(&[rows, hidden], y), saved)
}

pub(super) fn backward(grad: NdArrayTensor, saved: LayerNormSaved) -> [NdArrayTensor; 4] {
    let (rows, hidden) = saved.normalized.dim();
    let mut d_sum = into_elements(matrix(grad));
    // The gradient of x is another one than that of the residual only where x was dropped out.
    let mut dx = vec![
        0.0;
        if saved.mask.is_some() {
            rows * hidden
        } else {
            0
        }
    ];
    let normalized = elements(&saved.normalized);
    let (gamma, inverse_deviation) = (elements(&saved.gamma), elements(&saved.inverse_deviation));

    let task_rows = rows_per_task(hidden);
    let task = |task: usize, d_sum: &mut [f32], dx: &mut [f32]| {
        let mut sums = vec![0.0; 2 * hidden];
        vectorized(
            #[inline(always)]
            || {
                for (offset, d_sum) in d_sum.chunks_exact_mut(hidden).enumerate() {
                    let row = task * task_rows + offset;
                    let normalized = &normalized[row * hidden..][..hidden];
                    backward_row(d_sum, normalized, gamma, inverse_deviation[row], &mut sums);
                    if let Some(mask) = saved.mask {
                        let mask = mask.row(row);
                        let dx = &mut dx[offset * hidden..][..hidden];
                        for (column, (dx, d_sum)) in dx.iter_mut().zip(d_sum).enumerate() {
                            *dx = *d_sum * mask.factor(column);
                        }
                    }
                }
            },
        );
        sums
    };
    let tasks = d_sum.par_chunks_mut(task_rows * hidden).enumerate();
    let partial = if saved.mask.is_some() {
        tasks
            .zip(dx.par_chunks_mut(task_rows * hidden))
            .map(|((index, d_sum), dx)| task(index, d_sum, dx))
            .collect()
    } else {
        tasks
            .map(|(index, d_sum)| task(index, d_sum, &mut []))
            .collect()
    };
    let mut d_gamma = total(partial, 2 * hidden);
    let d_beta = d_gamma.split_off(hidden);
    let d_sum = tensor(&[rows, hidden], d_sum);
    let dx = match saved.mask {
        Some(_) => tensor(&[rows, hidden], dx),
        None => d_sum.clone(),
    };
    [
        dx,
        d_sum,
        tensor(&[hidden], d_gamma),
        tensor(&[hidden], d_beta),
    ]
}
