//! `y = activation(x W₁ + b₁) W₂ + b₂`. Only `z = x W₁ + b₁` is kept: `activation(z)`, as large, is computed again in the
//! pass of the backward step that needs the slope at z anyway.

use burn_ndarray::NdArrayTensor;
use ndarray::ArcArray2;

use super::activation::activate_and_slope;
use super::array::{elements, matrix, tensor};
use super::linear::{activated, both, input_gradient, weight_gradient};
use super::product::{Precision, Product};
use super::rows::column_sums;
use crate::ops::{Activation, LinearTensors};

/// What the backward step needs.
#[derive(Debug, Clone)]
pub struct FeedForwardSaved {
    x: ArcArray2<f32>,
    weights: [ArcArray2<f32>; 2],
    activation: Activation,
    pre_activation: ArcArray2<f32>,
    precision: Precision,
}

/// With nothing kept.
pub(super) fn infer(
    x: NdArrayTensor,
    [first, second]: [LinearTensors<NdArrayTensor>; 2],
    activation: Activation,
) -> NdArrayTensor {
    let precision = Precision::configured();
    let x = matrix(x);
    let expanded = activated(&x, &matrix(first.weight), first.bias, activation, precision);
    let weight = matrix(second.weight);
    let identity = Activation::Identity;
    activated(&matrix(expanded), &weight, second.bias, identity, precision)
}

pub(super) fn forward(
    x: NdArrayTensor,
    [first, second]: [LinearTensors<NdArrayTensor>; 2],
    activation: Activation,
) -> (NdArrayTensor, FeedForwardSaved) {
    let precision = Precision::configured();
    let x = matrix(x);
    let weights = [matrix(first.weight), matrix(second.weight)];
    let [z, expanded] = both(&x, &weights[0], first.bias, activation, precision);
    let expanded = matrix(expanded);
    let identity = Activation::Identity;
    let y = activated(&expanded, &weights[1], second.bias, identity, precision);
    let saved = FeedForwardSaved {
        x,
        weights,
        activation,
        pre_activation: matrix(z),
        precision,
    };
    (y, saved)
}

pub(super) fn backward(
    grad: NdArrayTensor,
    saved: FeedForwardSaved,
    so_far: Option<NdArrayTensor>,
) -> [NdArrayTensor; 5] {
    let FeedForwardSaved {
        x,
        weights: [first, second],
        activation,
        pre_activation,
        precision,
    } = saved;
    let grad = matrix(grad);
    let (hidden, intermediate) = first.dim();
    let d_second_bias = column_sums(elements(&grad), hidden);
    let z = elements(&pre_activation);
    let product = Product::new(grad.view(), second.t()).in_precision(precision);
    // SAFETY: `activate_and_slope` writes every element of its last argument.
    let [dz, expanded] = unsafe {
        product.new_matrices(
            #[inline(always)]
            |part| {
                let z = &z[part.row * intermediate + part.column..];
                activate_and_slope(activation, part.values, z, part.second);
            },
        )
    };
    let shape = [grad.nrows(), intermediate];
    drop(pre_activation);
    let expanded = matrix(tensor(&shape, expanded));
    let d_second = weight_gradient(&expanded, grad.view(), precision);
    drop((expanded, grad));
    let d_first_bias = column_sums(&dz, intermediate);
    let dz = matrix(tensor(&shape, dz));
    [
        input_gradient(dz.view(), &first, precision, so_far),
        weight_gradient(&x, dz.view(), precision),
        tensor(&[intermediate], d_first_bias),
        d_second,
        tensor(&[hidden], d_second_bias),
    ]
}
