//! The losses of fine-tuning heads: sums over rows, with gradients in closed form.
//!
//! Each computes its value and its gradient with respect to the scores from numbers alone, without being
//! differentiated: the softmax minus the target and its like. Burn's own derivative of a logarithm goes through an
//! approximate reciprocal on the CPU.

use burn::tensor::backend::Backend;
use burn::tensor::{Bool, Tensor, activation};

use crate::data::packed::Sequences;

/// Softmax cross-entropy with target distributions: `-Σ_rows Σ_c t_c log softmax(z)_c`.
///
/// A row of targets need not add up to 1: class weights and label smoothing are part of it, a row of zeros does not
/// count.
///
/// # Shapes
/// logits and targets `[rows, classes]` -> `[1]`
pub fn cross_entropy<B: Backend>(logits: Tensor<B, 2>, targets: Tensor<B, 2>) -> Tensor<B, 1> {
    let log_p = activation::log_softmax(logits.clone().detach(), 1);
    let value = -(targets.clone() * log_p.clone()).sum();
    let gradient = log_p.exp() * targets.clone().sum_dim(1) - targets;
    with_gradient(value, logits, gradient)
}

/// The same with a softmax over the rows of each group, in every column on its own: where an answer begins and ends
/// among the tokens of a sequence (Devlin et al. 2019, section 4.2), or which choice is right (section 4.4).
///
/// # Shapes
/// scores and targets `[rows, columns]`, the rows of `groups` end to end -> `[1]`
pub fn grouped_cross_entropy<B: Backend>(
    scores: Tensor<B, 2>,
    targets: Tensor<B, 2>,
    groups: &Sequences<B>,
) -> Tensor<B, 1> {
    let [_, columns] = scores.dims();
    let shape = [groups.count(), groups.width(), columns];
    let rectangle = |rows: Tensor<B, 2>| groups.enter_rectangle(rows).reshape(shape);
    let (mut z, mut t) = (
        rectangle(scores.clone().detach()),
        rectangle(targets.clone()),
    );
    if let Some(beyond_end) = groups.beyond_end() {
        let beyond_end = Tensor::<B, 2, Bool>::from_primitive(beyond_end);
        let beyond_end = beyond_end.unsqueeze_dim::<3>(2).expand(shape);
        z = z.mask_fill(beyond_end.clone(), -1e30);
        t = t.mask_fill(beyond_end, 0.0);
    }
    let log_p = activation::log_softmax(z, 1);
    let value = -(t.clone() * log_p.clone()).sum();
    let gradient = log_p.exp() * t.clone().sum_dim(1) - t;
    let gradient = gradient.reshape([shape[0] * shape[1], columns]);
    with_gradient(value, scores, groups.leave_rectangle(gradient))
}

/// Logistic cross-entropy of every score by itself: `Σ max(z, 0) - z t + log(1 + e^-|z|)`.
///
/// # Shapes
/// logits and targets `[rows, labels]` -> `[1]`
pub fn binary_cross_entropy<B: Backend>(
    logits: Tensor<B, 2>,
    targets: Tensor<B, 2>,
) -> Tensor<B, 1> {
    let z = logits.clone().detach();
    let softplus = (z.clone().abs().neg().exp() + 1.0).log();
    let value = (z.clone().clamp_min(0.0) - z.clone() * targets.clone() + softplus).sum();
    with_gradient(value, logits, activation::sigmoid(z) - targets)
}

/// `Σ (z - t)²`
///
/// # Shapes
/// values and targets `[rows, 1]` -> `[1]`
pub fn squared_error<B: Backend>(values: Tensor<B, 2>, targets: Tensor<B, 2>) -> Tensor<B, 1> {
    let difference = values.clone().detach() - targets;
    let value = (difference.clone() * difference.clone()).sum();
    with_gradient(value, values, difference * 2.0)
}

/// A tensor of this value whose derivative with respect to `x` is `gradient`.
fn with_gradient<B: Backend>(
    value: Tensor<B, 1>,
    x: Tensor<B, 2>,
    gradient: Tensor<B, 2>,
) -> Tensor<B, 1> {
    let linear = (x * gradient).sum();
    value + (linear.clone() - linear.detach())
}
