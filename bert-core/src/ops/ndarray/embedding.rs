//! `dropout(LayerNorm(word + position + token_type))`: three rows gathered, added and normalised in one pass.

use std::sync::Arc;

use burn_ndarray::NdArrayTensor;
use rayon::prelude::*;

use super::array::{elements, indices, into_elements, matrix, tensor, vector};
use super::dropout::Mask;
use super::layer_norm::{LayerNormSaved, Normalized, backward_row, normalize, scale_and_shift};
use super::math::vectorized;
use super::rows::{add, rows_per_task, total};
use crate::ops::LayerNormArgs;

/// What the backward step needs.
#[derive(Debug, Clone)]
pub struct EmbedSaved {
    /// The rows of each table.
    rows: [usize; 3],
    ids: Arc<[Vec<usize>; 3]>,
    norm: LayerNormSaved,
}

pub(super) fn forward(
    tables: [NdArrayTensor; 3],
    ids: [NdArrayTensor; 3],
    gamma: NdArrayTensor,
    beta: NdArrayTensor,
    args: LayerNormArgs,
) -> (NdArrayTensor, EmbedSaved) {
    let tables = tables.map(matrix);
    let [word, position, token_type] = tables.each_ref().map(elements);
    let ids = ids.map(indices);
    let (tokens, hidden) = (ids[0].len(), tables[0].ncols());
    let (gamma, beta) = (vector(gamma), vector(beta));
    let mask = Mask::new(args.dropout);
    let mut normalized = vec![0.0; tokens * hidden];
    let mut y = vec![0.0; tokens * hidden];
    let mut inverse_deviation = vec![0.0; tokens];

    let task_rows = rows_per_task(hidden);
    let tasks = normalized
        .par_chunks_mut(task_rows * hidden)
        .zip(y.par_chunks_mut(task_rows * hidden))
        .zip(inverse_deviation.par_chunks_mut(task_rows));
    tasks.enumerate().for_each(|(task, ((s, y), inverse))| {
        let first = task * task_rows;
        vectorized(
            #[inline(always)]
            || {
                let rows = s.chunks_exact_mut(hidden).zip(y.chunks_exact_mut(hidden));
                for (offset, ((s, y), inverse)) in rows.zip(inverse).enumerate() {
                    let token = first + offset;
                    let word = &word[ids[0][token] * hidden..][..hidden];
                    let position = &position[ids[1][token] * hidden..][..hidden];
                    let token_type = &token_type[ids[2][token] * hidden..][..hidden];
                    for (column, s) in s.iter_mut().enumerate() {
                        *s = word[column] + position[column] + token_type[column];
                    }
                    *inverse = normalize(s, args.eps as f32);
                    y.copy_from_slice(s);
                    scale_and_shift(y, elements(&gamma), elements(&beta));
                    if let Some(mask) = mask {
                        let mask = mask.row(token);
                        for (column, y) in y.iter_mut().enumerate() {
                            *y *= mask.factor(column);
                        }
                    }
                }
            },
        );
    });
    let saved = EmbedSaved {
        rows: tables.each_ref().map(|table| table.nrows()),
        ids: Arc::new(ids),
        norm: LayerNormSaved {
            normalized: Normalized::Kept(matrix(tensor(&[tokens, hidden], normalized))),
            inverse_deviation: vector(tensor(&[tokens], inverse_deviation)),
            gamma,
            mask,
        },
    };
    (tensor(&[tokens, hidden], y), saved)
}

pub(super) fn backward(
    grad: NdArrayTensor,
    saved: EmbedSaved,
    mut so_far: Option<NdArrayTensor>,
) -> [NdArrayTensor; 5] {
    let norm = saved.norm;
    let (_, hidden) = norm.normalized.dim();
    let mut d_sum = into_elements(matrix(grad));
    let (gamma, inverse_deviation) = (elements(&norm.gamma), elements(&norm.inverse_deviation));
    let task_rows = rows_per_task(hidden);
    let tasks = d_sum.par_chunks_mut(task_rows * hidden).enumerate();
    let partial = tasks
        .map(|(task, dy)| {
            let mut sums = vec![0.0; 2 * hidden];
            let mut scratch = vec![0.0; hidden];
            vectorized(
                #[inline(always)]
                || {
                    for (offset, dy) in dy.chunks_exact_mut(hidden).enumerate() {
                        let row = task * task_rows + offset;
                        if let Some(mask) = norm.mask {
                            let mask = mask.row(row);
                            for (column, dy) in dy.iter_mut().enumerate() {
                                *dy *= mask.factor(column);
                            }
                        }
                        let normalized = norm.normalized.row(row, &mut scratch);
                        backward_row(dy, normalized, gamma, inverse_deviation[row], &mut sums);
                    }
                },
            );
            sums
        })
        .collect();
    let mut d_gamma = total(partial, 2 * hidden);
    let d_beta = d_gamma.split_off(hidden);
    let [word, position, token_type] = [0, 1, 2].map(|i| {
        let length = saved.rows[i] * hidden;
        let table = match so_far.take() {
            Some(table) => into_elements(matrix(table)),
            None => vec![0.0; length],
        };
        scatter_add(table, &d_sum, &saved.ids[i], hidden)
    });
    [
        word,
        position,
        token_type,
        tensor(&[hidden], d_gamma),
        tensor(&[hidden], d_beta),
    ]
}

/// `table[id_t] += x_t`. Every task owns a run of the table's rows and looks for their ids among all: no two tasks write
/// the same row, and each row's sum is in the order of the tokens.
fn scatter_add(mut table: Vec<f32>, x: &[f32], ids: &[usize], hidden: usize) -> NdArrayTensor {
    let rows = table.len() / hidden;
    let task_rows = rows.div_ceil(4 * rayon::current_num_threads()).max(1);
    let tasks = table.par_chunks_mut(task_rows * hidden).enumerate();
    tasks.for_each(|(task, table)| {
        let own = task * task_rows..(task + 1) * task_rows;
        vectorized(
            #[inline(always)]
            || {
                for (x, &id) in x.chunks_exact(hidden).zip(ids) {
                    if own.contains(&id) {
                        add(&mut table[(id - own.start) * hidden..][..hidden], x);
                    }
                }
            },
        );
    });
    tensor(&[rows, hidden], table)
}
