//! `y = γ x̂ + β`, `x̂ = (s - mean(s)) / sqrt(var(s) + ε)`, `s = residual + dropout(x)` (Ba et al. 2016).
//!
//! Backward: `g = γ dy`, `ds = (g - mean(g) - x̂ mean(g x̂)) / sqrt(var(s) + ε)`; `dγ = Σ dy x̂`, `dβ = Σ dy`.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;

use super::{Dropout, primitive, tensor};

/// The settings of an add-and-norm.
#[derive(Debug, Clone, Copy)]
pub struct LayerNormArgs {
    /// ε, added to the variance.
    pub eps: f64,
    /// Dropout of x before the residual is added.
    pub dropout: Dropout,
}

/// What the backward step needs.
#[derive(Debug, Clone)]
pub struct LayerNormSaved<B: Backend> {
    /// x̂ `[tokens, hidden]`.
    normalized: FloatTensor<B>,
    /// `1 / sqrt(var + ε)`, `[tokens, 1]`.
    inverse_deviation: FloatTensor<B>,
    /// The scaled dropout mask, where something was dropped.
    mask: Option<FloatTensor<B>>,
}

/// `y` and what [`backward`] needs.
pub fn forward<B: Backend>(
    x: FloatTensor<B>,
    residual: Option<FloatTensor<B>>,
    gamma: FloatTensor<B>,
    beta: FloatTensor<B>,
    args: LayerNormArgs,
) -> (FloatTensor<B>, LayerNormSaved<B>) {
    let mut sum: Tensor<B, 2> = tensor(x);
    let mask = args.dropout.mask::<B, 2>(sum.dims(), &sum.device());
    if let Some(mask) = &mask {
        sum = sum * mask.clone();
    }
    if let Some(residual) = residual {
        sum = sum + tensor(residual);
    }
    let centred = sum.clone() - sum.mean_dim(1);
    let variance = (centred.clone() * centred.clone()).mean_dim(1);
    let inverse_deviation = variance.add_scalar(args.eps).sqrt().recip();
    let normalized = centred * inverse_deviation.clone();
    let y = normalized.clone() * tensor::<B, 1>(gamma).unsqueeze::<2>()
        + tensor::<B, 1>(beta).unsqueeze::<2>();
    let saved = LayerNormSaved {
        normalized: primitive(normalized),
        inverse_deviation: primitive(inverse_deviation),
        mask: mask.map(primitive),
    };
    (primitive(y), saved)
}

/// `[dx, dresidual, dγ, dβ]`.
pub fn backward<B: Backend>(
    grad: FloatTensor<B>,
    gamma: FloatTensor<B>,
    saved: LayerNormSaved<B>,
) -> [FloatTensor<B>; 4] {
    let grad: Tensor<B, 2> = tensor(grad);
    let normalized: Tensor<B, 2> = tensor(saved.normalized);
    let d_gamma = (grad.clone() * normalized.clone())
        .sum_dim(0)
        .squeeze_dim::<1>(0);
    let d_beta = grad.clone().sum_dim(0).squeeze_dim::<1>(0);
    let g = grad * tensor::<B, 1>(gamma).unsqueeze::<2>();
    let projection = (g.clone() * normalized.clone()).mean_dim(1);
    let d_sum = (g.clone() - g.mean_dim(1) - normalized * projection)
        * tensor::<B, 2>(saved.inverse_deviation);
    let dx = match saved.mask {
        Some(mask) => d_sum.clone() * tensor(mask),
        None => d_sum.clone(),
    };
    [
        primitive(dx),
        primitive(d_sum),
        primitive(d_gamma),
        primitive(d_beta),
    ]
}
