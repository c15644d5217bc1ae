//! `y = activation(x W + b)`: bias and activation are applied to each tile of the product while it is in the cache.

use burn_ndarray::NdArrayTensor;
use ndarray::{ArcArray2, Array2, ArrayView2, s};
use rayon::prelude::*;

use super::activation::{activate, activate_into, add_bias, slope_and_sums};
use super::array::{elements, into_elements, matrix, of, tensor, vector, view_mut};
use super::math::vectorized;
use super::product::{Precision, Product};
use super::rows::{column_sums, rows_per_task, total};
use crate::ops::{Activation, LinearTensors};

/// What the backward step needs.
#[derive(Debug, Clone)]
pub struct LinearSaved {
    x: ArcArray2<f32>,
    weight: ArcArray2<f32>,
    activation: Activation,
    /// z, unless the activation is the identity.
    pre_activation: Option<ArcArray2<f32>>,
    precision: Precision,
}

/// With nothing kept.
pub(super) fn infer(
    x: NdArrayTensor,
    weight: NdArrayTensor,
    bias: NdArrayTensor,
    activation: Activation,
) -> NdArrayTensor {
    let (x, weight) = (matrix(x), matrix(weight));
    activated(&x, &weight, bias, activation, Precision::configured())
}

/// `activation(x W + b)`, one matrix.
pub(super) fn activated(
    x: &ArcArray2<f32>,
    weight: &ArcArray2<f32>,
    bias: NdArrayTensor,
    activation: Activation,
    precision: Precision,
) -> NdArrayTensor {
    let bias = vector(bias);
    let bias = elements(&bias);
    let product = Product::new(x.view(), weight.view()).in_precision(precision);
    let y = product.new_matrix(
        #[inline(always)]
        |part| activate(activation, part.values, &bias[part.column..]),
    );
    tensor(&[x.nrows(), weight.ncols()], y)
}

/// `z = x W + b` and `y = activation(z)`.
pub(super) fn both(
    x: &ArcArray2<f32>,
    weight: &ArcArray2<f32>,
    bias: NdArrayTensor,
    activation: Activation,
    precision: Precision,
) -> [NdArrayTensor; 2] {
    let bias = vector(bias);
    let bias = elements(&bias);
    let product = Product::new(x.view(), weight.view()).in_precision(precision);
    // SAFETY: `activate_into` writes every element of its last argument.
    let matrices = unsafe {
        product.new_matrices(
            #[inline(always)]
            |part| {
                add_bias(part.values, &bias[part.column..]);
                activate_into(activation, part.values, part.second);
            },
        )
    };
    matrices.map(|elements| tensor(&[x.nrows(), weight.ncols()], elements))
}

pub(super) fn forward(
    x: NdArrayTensor,
    weight: NdArrayTensor,
    bias: NdArrayTensor,
    activation: Activation,
) -> (NdArrayTensor, LinearSaved) {
    let (x, weight) = (matrix(x), matrix(weight));
    let precision = Precision::configured();
    let (y, pre_activation) = if activation == Activation::Identity {
        (activated(&x, &weight, bias, activation, precision), None)
    } else {
        let [z, y] = both(&x, &weight, bias, activation, precision);
        (y, Some(matrix(z)))
    };
    let saved = LinearSaved {
        x,
        weight,
        activation,
        pre_activation,
        precision,
    };
    (y, saved)
}

pub(super) fn backward(
    grad: NdArrayTensor,
    saved: LinearSaved,
    so_far: Option<NdArrayTensor>,
) -> [NdArrayTensor; 3] {
    let LinearSaved {
        x,
        weight,
        activation,
        pre_activation,
        precision,
    } = saved;
    let (rows, outputs) = (x.nrows(), weight.ncols());
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
    [
        input_gradient(dz.view(), &weight, precision, so_far),
        weight_gradient(&x, dz.view(), precision),
        tensor(&[outputs], d_bias),
    ]
}

/// `so_far + dz Wᵀ`.
pub(super) fn input_gradient(
    dz: ArrayView2<'_, f32>,
    weight: &ArcArray2<f32>,
    precision: Precision,
    so_far: Option<NdArrayTensor>,
) -> NdArrayTensor {
    let product = Product::new(dz, weight.t()).in_precision(precision);
    let (rows, inputs) = (dz.nrows(), weight.nrows());
    let dx = match so_far {
        Some(so_far) => {
            let mut dx = into_elements(matrix(so_far));
            product.add_to(view_mut(&mut dx, rows, inputs));
            dx
        }
        None => product.new_matrix(|_| {}),
    };
    tensor(&[rows, inputs], dx)
}

/// `xᵀ dz`.
pub(super) fn weight_gradient(
    x: &ArcArray2<f32>,
    dz: ArrayView2<'_, f32>,
    precision: Precision,
) -> NdArrayTensor {
    let product = Product::new(x.t(), dz).in_precision(precision);
    tensor(&[x.ncols(), dz.ncols()], product.new_matrix(|_| {}))
}

/// What the backward step of two joint maps needs.
#[derive(Debug, Clone)]
pub struct JointLinearSaved {
    x: ArcArray2<f32>,
    weights: [ArcArray2<f32>; 2],
    precision: Precision,
}

/// Each map writes its half of every row.
pub(super) fn joint_forward(
    x: NdArrayTensor,
    [first, second]: [LinearTensors<NdArrayTensor>; 2],
) -> (NdArrayTensor, JointLinearSaved) {
    let (x, weights) = (matrix(x), [first.weight, second.weight].map(matrix));
    let precision = Precision::configured();
    let (rows, outputs) = (x.nrows(), weights[0].ncols());
    let mut y = Array2::uninit((rows, 2 * outputs));
    let biases = [first.bias, second.bias].map(vector);
    for (half, (weight, bias)) in weights.iter().zip(&biases).enumerate() {
        let bias = elements(bias);
        let columns = half * outputs..(half + 1) * outputs;
        Product::new(x.view(), weight.view())
            .in_precision(precision)
            .write_new_and(
                y.slice_mut(s![.., columns]),
                #[inline(always)]
                |part| add_bias(part.values, &bias[part.column..]),
            );
    }
    // SAFETY: the two halves of its columns are all of it.
    let y = unsafe { y.assume_init() };
    let saved = JointLinearSaved {
        x,
        weights,
        precision,
    };
    (of(y), saved)
}

pub(super) fn joint_backward(
    grad: NdArrayTensor,
    saved: JointLinearSaved,
    so_far: Option<NdArrayTensor>,
) -> [NdArrayTensor; 5] {
    let JointLinearSaved {
        x,
        weights,
        precision,
    } = saved;
    let grad = matrix(grad);
    let outputs = weights[0].ncols();
    let mut d_first_bias = column_sums(elements(&grad), 2 * outputs);
    let d_second_bias = d_first_bias.split_off(outputs);
    let halves = [0, outputs].map(|start| grad.slice(s![.., start..start + outputs]));
    let dx = input_gradient(halves[0], &weights[0], precision, so_far);
    let dx = input_gradient(halves[1], &weights[1], precision, Some(dx));
    let [d_first, d_second] = halves.map(|dz| weight_gradient(&x, dz, precision));
    [
        dx,
        d_first,
        tensor(&[outputs], d_first_bias),
        d_second,
        tensor(&[outputs], d_second_bias),
    ]
}
