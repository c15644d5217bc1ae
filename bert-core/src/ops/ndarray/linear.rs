//! `y = activation(x W + b)`: the product, then bias and activation in one pass over its result.

use burn_ndarray::NdArrayTensor;
use ndarray::ArcArray2;
use rayon::prelude::*;

use super::activation::{bias_and_activation, slope_and_sums};
use super::array::{elements, into_elements, matrix, tensor, vector, view_mut};
use super::math::vectorized;
use super::product::{Threads, Write, product};
use super::rows::{column_sums, rows_per_task, total};
use crate::ops::Activation;

/// What the backward step needs.
#[derive(Debug, Clone)]
pub struct LinearSaved {
    x: ArcArray2<f32>,
    weight: ArcArray2<f32>,
    activation: Activation,
    /// z, unless the activation is the identity.
    pre_activation: Option<ArcArray2<f32>>,
}

pub(super) fn forward(
    x: &ArcArray2<f32>,
    weight: &ArcArray2<f32>,
    bias: NdArrayTensor,
    activation: Activation,
    keep: bool,
) -> (NdArrayTensor, Option<ArcArray2<f32>>) {
    let (rows, columns) = (x.nrows(), weight.ncols());
    let bias = vector(bias);
    let bias = elements(&bias);
    let mut z = vec![0.0; rows * columns];
    product(
        view_mut(&mut z, rows, columns),
        Write::Replace,
        1.0,
        x.view(),
        weight.view(),
        Threads::All,
    );
    let task = rows_per_task(columns) * columns;
    if !keep || activation == Activation::Identity {
        z.par_chunks_mut(task).for_each(|z| {
            vectorized(
                #[inline(always)]
                || bias_and_activation(activation, z, bias, None),
            );
        });
        return (tensor(&[rows, columns], z), None);
    }
    let mut y = vec![0.0; rows * columns];
    let tasks = z.par_chunks_mut(task).zip(y.par_chunks_mut(task));
    tasks.for_each(|(z, y)| {
        vectorized(
            #[inline(always)]
            || bias_and_activation(activation, z, bias, Some(y)),
        );
    });
    let z = matrix(tensor(&[rows, columns], z));
    (tensor(&[rows, columns], y), Some(z))
}

pub(super) fn forward_saved(
    x: NdArrayTensor,
    weight: NdArrayTensor,
    bias: NdArrayTensor,
    activation: Activation,
) -> (NdArrayTensor, LinearSaved) {
    let (x, weight) = (matrix(x), matrix(weight));
    let (y, pre_activation) = forward(&x, &weight, bias, activation, true);
    let saved = LinearSaved {
        x,
        weight,
        activation,
        pre_activation,
    };
    (y, saved)
}

pub(super) fn backward(grad: NdArrayTensor, saved: LinearSaved) -> [NdArrayTensor; 3] {
    let LinearSaved {
        x,
        weight,
        activation,
        pre_activation,
    } = saved;
    let ((rows, inputs), outputs) = (x.dim(), weight.ncols());
    let grad = matrix(grad);
    let (dz, d_bias) = match pre_activation {
        None => {
            let sums = column_sums(elements(&grad), outputs);
            (grad, sums)
        }
        Some(z) => {
            let mut dz = into_elements(grad);
            let task = rows_per_task(outputs) * outputs;
            let tasks = dz.par_chunks_mut(task).zip(elements(&z).par_chunks(task));
            let partial = tasks
                .map(|(dz, z)| {
                    let mut sums = vec![0.0; outputs];
                    vectorized(
                        #[inline(always)]
                        || slope_and_sums(activation, dz, z, &mut sums),
                    );
                    sums
                })
                .collect();
            (
                matrix(tensor(&[rows, outputs], dz)),
                total(partial, outputs),
            )
        }
    };
    let mut dx = vec![0.0; rows * inputs];
    product(
        view_mut(&mut dx, rows, inputs),
        Write::Replace,
        1.0,
        dz.view(),
        weight.t(),
        Threads::All,
    );
    let mut d_weight = vec![0.0; inputs * outputs];
    product(
        view_mut(&mut d_weight, inputs, outputs),
        Write::Replace,
        1.0,
        x.t(),
        dz.view(),
        Threads::All,
    );
    [
        tensor(&[rows, inputs], dx),
        tensor(&[inputs, outputs], d_weight),
        tensor(&[outputs], d_bias),
    ]
}
