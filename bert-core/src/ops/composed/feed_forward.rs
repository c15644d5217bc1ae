//! The feed-forward network: two linear maps with the activation between them.

use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;

use super::linear::{self, LinearSaved};
use crate::ops::{Activation, LinearTensors};

/// What the backward step needs.
#[derive(Debug, Clone)]
pub struct FeedForwardSaved<B: Backend> {
    maps: [LinearSaved<B>; 2],
}

pub(super) fn forward<B: Backend>(
    x: FloatTensor<B>,
    [first, second]: [LinearTensors<FloatTensor<B>>; 2],
    activation: Activation,
) -> (FloatTensor<B>, FeedForwardSaved<B>) {
    let (expanded, first) = linear::forward::<B>(x, first.weight, first.bias, activation);
    let (y, second) =
        linear::forward::<B>(expanded, second.weight, second.bias, Activation::Identity);
    let saved = FeedForwardSaved {
        maps: [first, second],
    };
    (y, saved)
}

pub(super) fn backward<B: Backend>(
    grad: FloatTensor<B>,
    saved: FeedForwardSaved<B>,
) -> [FloatTensor<B>; 5] {
    let [first, second] = saved.maps;
    let [d_expanded, w2, b2] = linear::backward::<B>(grad, second);
    let [dx, w1, b1] = linear::backward::<B>(d_expanded, first);
    [dx, w1, b1, w2, b2]
}
