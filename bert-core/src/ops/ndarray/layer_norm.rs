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
    pub(super) normalized: Normalized,
    /// `1 / sqrt(var + ε)`, `[rows]`.
    pub(super) inverse_deviation: ArcArray1<f32>,
    pub(super) gamma: ArcArray1<f32>,
    /// Of x before the sum, or of the result for embeddings.
    pub(super) mask: Option<Mask>,
}

/// Where the backward step finds x̂ `[rows, hidden]`.
#[derive(Debug, Clone)]
pub(super) enum Normalized {
    /// In memory of its own.
    Kept(ArcArray2<f32>),
    /// In y, which the next operation keeps anyway: `x̂ = (y - β) / γ`.
    Within {
        y: ArcArray2<f32>,
        beta: ArcArray1<f32>,
        inverse_gamma: Vec<f32>,
    },
}

/// The largest |β / γ| with which x̂ is found again in y: the rounding of y makes its error at most `2⁻²⁴ (|x̂| + 16)`.
const LARGEST_SHIFT: f32 = 16.0;

impl Normalized {
    /// Whether y says what x̂ was, to nearly all digits.
    fn is_within(gamma: &[f32], beta: &[f32]) -> bool {
        let mut columns = gamma.iter().zip(beta);
        columns.all(|(gamma, beta)| beta.abs() <= LARGEST_SHIFT * gamma.abs() && gamma.is_normal())
    }

    fn rows(&self) -> &ArcArray2<f32> {
        match self {
            Self::Kept(rows) | Self::Within { y: rows, .. } => rows,
        }
    }

    /// Rows and columns.
    pub(super) fn dim(&self) -> (usize, usize) {
        self.rows().dim()
    }

    /// One row of x̂, where need be computed into the scratch row.
    #[inline(always)]
    pub(super) fn row<'a>(&'a self, row: usize, scratch: &'a mut [f32]) -> &'a [f32] {
        let hidden = scratch.len();
        let kept = &elements(self.rows())[row * hidden..][..hidden];
        match self {
            Self::Kept(_) => kept,
            Self::Within {
                beta,
                inverse_gamma,
                ..
            } => {
                let columns = kept.iter().zip(elements(beta)).zip(inverse_gamma);
                for (x, ((y, beta), inverse_gamma)) in scratch.iter_mut().zip(columns) {
                    *x = (y - beta) * inverse_gamma;
                }
                scratch
            }
        }
    }
}

/// `s ← x̂`; returns `1 / sqrt(var + ε)`.
#[inline(always)]
pub(super) fn normalize(s: &mut [f32], eps: f32) -> f32 {
    let count = s.len() as f32;
    let mean = sum_by(
        [s],
        #[inline(always)]
        |[s]| s,
    ) / count;
    let variance = sum_by(
        [s],
        #[inline(always)]
        |[s]| (s - mean) * (s - mean),
    ) / count;
    let inverse_deviation = 1.0 / (variance + eps).sqrt();
    for s in s {
        *s = (*s - mean) * inverse_deviation;
    }
    inverse_deviation
}

/// `y ← γ y + β`, where y was x̂.
#[inline(always)]
pub(super) fn scale_and_shift(y: &mut [f32], gamma: &[f32], beta: &[f32]) {
    for ((y, &gamma), &beta) in y.iter_mut().zip(gamma).zip(beta) {
        *y = *y * gamma + beta;
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
        [dy],
        #[inline(always)]
        |[dy]| dy,
    ) / count;
    let projection = sum_by(
        [dy, normalized],
        #[inline(always)]
        |[dy, x]| dy * x,
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
    let within = Normalized::is_within(elements(&gamma), elements(&beta));
    let mut y = into_elements(x);
    let mut normalized = vec![0.0; if within { 0 } else { rows * hidden }];
    let mut inverse_deviation = vec![0.0; rows];

    let task_rows = rows_per_task(hidden);
    let task = |task: usize, y: &mut [f32], normalized: &mut [f32], inverse: &mut [f32]| {
        let first = task * task_rows;
        let residual = residual.as_ref().map(elements);
        vectorized(
            #[inline(always)]
            || {
                for (offset, (s, inverse)) in y.chunks_exact_mut(hidden).zip(inverse).enumerate() {
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
                    if !within {
                        normalized[offset * hidden..][..hidden].copy_from_slice(s);
                    }
                    scale_and_shift(s, elements(&gamma), elements(&beta));
                }
            },
        );
    };
    let tasks = y
        .par_chunks_mut(task_rows * hidden)
        .zip(inverse_deviation.par_chunks_mut(task_rows))
        .enumerate();
    if within {
        tasks.for_each(|(index, (y, inverse))| task(index, y, &mut [], inverse));
    } else {
        tasks
            .zip(normalized.par_chunks_mut(task_rows * hidden))
            .for_each(|((index, (y, inverse)), normalized)| task(index, y, normalized, inverse));
    }
    let y = matrix(tensor(&[rows, hidden], y));
    let normalized = if within {
        Normalized::Within {
            y: y.clone(),
            inverse_gamma: gamma.iter().map(|gamma| 1.0 / gamma).collect(),
            beta,
        }
    } else {
        Normalized::Kept(matrix(tensor(&[rows, hidden], normalized)))
    };
    let saved = LayerNormSaved {
        normalized,
        inverse_deviation: vector(tensor(&[rows], inverse_deviation)),
        gamma,
        mask,
    };
    (y.into_dyn().into(), saved)
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
    let (gamma, inverse_deviation) = (elements(&saved.gamma), elements(&saved.inverse_deviation));

    let task_rows = rows_per_task(hidden);
    let task = |task: usize, d_sum: &mut [f32], dx: &mut [f32]| {
        let mut sums = vec![0.0; 2 * hidden];
        let mut scratch = vec![0.0; hidden];
        vectorized(
            #[inline(always)]
            || {
                for (offset, d_sum) in d_sum.chunks_exact_mut(hidden).enumerate() {
                    let row = task * task_rows + offset;
                    let normalized = saved.normalized.row(row, &mut scratch);
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
