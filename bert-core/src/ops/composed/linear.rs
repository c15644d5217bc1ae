//! The linear map with its activation.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, PI};

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;

use super::product;
use crate::ops::{Activation, LinearTensors, primitive, tensor};

impl Activation {
    fn apply<B: Backend>(self, z: Tensor<B, 2>) -> Tensor<B, 2> {
        match self {
            Self::Identity => z,
            Self::Gelu => gelu_cdf(z.clone()) * z,
            Self::GeluTanh => gelu_tanh_gate(z.clone()).add_scalar(1.0) * z.mul_scalar(0.5),
            Self::Relu => z.clamp_min(0.0),
            Self::Tanh => z.tanh(),
        }
    }

    /// `activation'(z)`.
    fn derivative<B: Backend>(self, z: Tensor<B, 2>) -> Tensor<B, 2> {
        match self {
            Self::Identity => z.ones_like(),
            Self::Gelu => {
                // Φ(z) + z φ(z), φ(z) = exp(-z²/2) / sqrt(2π). Burn's own gelu differentiates the tanh form.
                let density = (z.clone() * z.clone())
                    .mul_scalar(-0.5)
                    .exp()
                    .mul_scalar(0.5 * FRAC_2_SQRT_PI * FRAC_1_SQRT_2);
                gelu_cdf(z.clone()) + z * density
            }
            Self::GeluTanh => {
                let gate = gelu_tanh_gate(z.clone());
                let inner = (z.clone() * z.clone())
                    .mul_scalar(3.0 * 0.044715)
                    .add_scalar(1.0)
                    .mul_scalar((2.0 / PI).sqrt());
                let slope = (gate.clone() * gate.clone()).neg().add_scalar(1.0);
                gate.add_scalar(1.0).mul_scalar(0.5) + z.mul_scalar(0.5) * slope * inner
            }
            Self::Relu => z.greater_elem(0.0).float(),
            Self::Tanh => {
                let y = z.tanh();
                (y.clone() * y).neg().add_scalar(1.0)
            }
        }
    }
}

/// `Φ(z) = (1 + erf(z / √2)) / 2`.
fn gelu_cdf<B: Backend>(z: Tensor<B, 2>) -> Tensor<B, 2> {
    z.mul_scalar(FRAC_1_SQRT_2)
        .erf()
        .add_scalar(1.0)
        .mul_scalar(0.5)
}

/// `tanh(√(2/π) (z + 0.044715 z³))`.
fn gelu_tanh_gate<B: Backend>(z: Tensor<B, 2>) -> Tensor<B, 2> {
    let square = z.clone() * z.clone();
    (z * square.mul_scalar(0.044715).add_scalar(1.0))
        .mul_scalar((2.0 / PI).sqrt())
        .tanh()
}

/// What the backward step needs.
#[derive(Debug, Clone)]
pub struct LinearSaved<B: Backend> {
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    activation: Activation,
    /// z, unless the activation is the identity.
    pre_activation: Option<FloatTensor<B>>,
}

pub(super) fn forward<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
    activation: Activation,
) -> (FloatTensor<B>, LinearSaved<B>) {
    let bias = tensor::<B, 1>(bias).unsqueeze::<2>();
    let z = product(tensor::<B, 2>(x.clone()), tensor(weight.clone())) + bias;
    let pre_activation = (activation != Activation::Identity).then(|| primitive::<B, 2>(z.clone()));
    let saved = LinearSaved {
        x,
        weight,
        activation,
        pre_activation,
    };
    (primitive(activation.apply(z)), saved)
}

pub(super) fn backward<B: Backend>(
    grad: FloatTensor<B>,
    saved: LinearSaved<B>,
) -> [FloatTensor<B>; 3] {
    let grad: Tensor<B, 2> = tensor(grad);
    let dz = match saved.pre_activation {
        Some(z) => grad * saved.activation.derivative(tensor(z)),
        None => grad,
    };
    let dx = product(dz.clone(), tensor::<B, 2>(saved.weight).transpose());
    let dw = product(tensor::<B, 2>(saved.x).transpose(), dz.clone());
    let db = dz.sum_dim(0).squeeze_dim::<1>(0);
    [primitive(dx), primitive(dw), primitive(db)]
}

/// What the backward step of two joint maps needs.
#[derive(Debug, Clone)]
pub struct JointLinearSaved<B: Backend>(LinearSaved<B>);

pub(super) fn joint_forward<B: Backend>(
    x: FloatTensor<B>,
    [first, second]: [LinearTensors<FloatTensor<B>>; 2],
) -> (FloatTensor<B>, JointLinearSaved<B>) {
    // One product instead of two: the copy of the weights is small beside it.
    let weight = B::float_cat(vec![first.weight, second.weight], 1);
    let bias = B::float_cat(vec![first.bias, second.bias], 0);
    let (y, saved) = forward::<B>(x, weight, bias, Activation::Identity);
    (y, JointLinearSaved(saved))
}

pub(super) fn joint_backward<B: Backend>(
    grad: FloatTensor<B>,
    JointLinearSaved(saved): JointLinearSaved<B>,
) -> [FloatTensor<B>; 5] {
    let [dx, d_weight, d_bias] = backward::<B>(grad, saved);
    let halves = |joint: Tensor<B, 2>| {
        let width = joint.dims()[1] / 2;
        [0, width].map(|start| joint.clone().narrow(1, start, width))
    };
    let [w1, w2] = halves(tensor(d_weight)).map(primitive);
    let [b1, b2] = halves(tensor::<B, 1>(d_bias).unsqueeze::<2>())
        .map(|half| primitive(half.squeeze_dim::<1>(0)));
    [dx, w1, b1, w2, b2]
}
