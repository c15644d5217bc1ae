//! `y = activation(z)`, `z = x W + b`.
//!
//! Backward: `dz = dy * activation'(z)`, `dx = dz Wᵀ`, `dW = xᵀ dz`, `db = Σ_tokens dz`.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, PI};

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;

use super::{primitive, tensor};
use crate::config::HiddenActivation;

/// The function after a linear map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// None.
    Identity,
    /// The exact GELU, `z Φ(z)` (Hendrycks and Gimpel 2016); Hugging Face's `gelu`.
    Gelu,
    /// Its tanh approximation; Hugging Face's `gelu_new` and `gelu_pytorch_tanh`, google-research/bert's GELU.
    GeluTanh,
    /// `max(z, 0)`.
    Relu,
    /// The pooler's.
    Tanh,
}

impl From<HiddenActivation> for Activation {
    fn from(activation: HiddenActivation) -> Self {
        match activation {
            HiddenActivation::Gelu => Self::Gelu,
            HiddenActivation::GeluNew | HiddenActivation::GeluPytorchTanh => Self::GeluTanh,
            HiddenActivation::Relu => Self::Relu,
        }
    }
}

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

/// `y`, and `z` unless the activation is the identity.
pub fn forward<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
    activation: Activation,
) -> (FloatTensor<B>, Option<FloatTensor<B>>) {
    let bias = tensor::<B, 1>(bias).unsqueeze::<2>();
    let z = tensor::<B, 2>(x).matmul(tensor(weight)) + bias;
    if activation == Activation::Identity {
        return (primitive(z), None);
    }
    let y = activation.apply(z.clone());
    (primitive(y), Some(primitive(z)))
}

/// `[dx, dW, db]`.
pub fn backward<B: Backend>(
    grad: FloatTensor<B>,
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    pre_activation: Option<FloatTensor<B>>,
    activation: Activation,
) -> [FloatTensor<B>; 3] {
    let grad: Tensor<B, 2> = tensor(grad);
    let dz = match pre_activation {
        Some(z) => grad * activation.derivative(tensor(z)),
        None => grad,
    };
    let dx = dz.clone().matmul(tensor::<B, 2>(weight).transpose());
    let dw = tensor::<B, 2>(x).transpose().matmul(dz.clone());
    let db = dz.sum_dim(0).squeeze_dim::<1>(0);
    [primitive(dx), primitive(dw), primitive(db)]
}
