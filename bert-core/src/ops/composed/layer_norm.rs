//! Add and normalise.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;

use crate::ops::{LayerNormArgs, primitive, tensor};

/// What the backward step needs.
#[derive(Debug, Clone)]
pub struct LayerNormSaved<B: Backend> {
    /// x̂ `[rows, hidden]`.
    normalized: FloatTensor<B>,
    /// `sqrt(var + ε)`, `[rows, 1]`.
    deviation: FloatTensor<B>,
    gamma: FloatTensor<B>,
    /// The scaled dropout mask of x, where something was dropped.
    mask: Option<FloatTensor<B>>,
}

pub(super) fn forward<B: Backend>(
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
    // Divided by, not inverted: Burn's `recip` on ndarray is good to 4 digits only.
    let deviation = variance.add_scalar(args.eps).sqrt();
    let normalized = centred / deviation.clone();
    let y = normalized.clone() * tensor::<B, 1>(gamma.clone()).unsqueeze::<2>()
        + tensor::<B, 1>(beta).unsqueeze::<2>();
    let saved = LayerNormSaved {
        normalized: primitive(normalized),
        deviation: primitive(deviation),
        gamma,
        mask: mask.map(primitive),
    };
    (primitive(y), saved)
}

pub(super) fn backward<B: Backend>(
    grad: FloatTensor<B>,
    saved: LayerNormSaved<B>,
) -> [FloatTensor<B>; 4] {
    let grad: Tensor<B, 2> = tensor(grad);
    let normalized: Tensor<B, 2> = tensor(saved.normalized);
    let d_gamma = (grad.clone() * normalized.clone())
        .sum_dim(0)
        .squeeze_dim::<1>(0);
    let d_beta = grad.clone().sum_dim(0).squeeze_dim::<1>(0);
    let g = grad * tensor::<B, 1>(saved.gamma).unsqueeze::<2>();
    let projection = (g.clone() * normalized.clone()).mean_dim(1);
    let d_sum =
        (g.clone() - g.mean_dim(1) - normalized * projection) / tensor::<B, 2>(saved.deviation);
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
