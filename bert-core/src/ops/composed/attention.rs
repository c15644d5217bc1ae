//! Attention in rectangles: the only place where packed tokens are padded, `[sequences, width]`. Keys beyond a
//! sequence's end get a probability of exactly zero, and gradients of rows beyond it are zeroed.

use burn::tensor::activation::softmax;
use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;
use burn::tensor::{Bool, Tensor};

use super::product;
use crate::data::packed::Sequences;
use crate::ops::{AttentionArgs, AttentionTensors, primitive, tensor};

/// What the backward step needs; all `[sequences, heads, queries or keys, …]`.
#[derive(Debug, Clone)]
pub struct AttentionSaved<B: Backend> {
    query: FloatTensor<B>,
    key: FloatTensor<B>,
    value: FloatTensor<B>,
    probabilities: FloatTensor<B>,
    mask: Option<FloatTensor<B>>,
}

/// Low enough that `exp` of it is zero, and far from overflow.
const MASKED_SCORE: f64 = -1e9;

pub(super) fn forward<B: Backend>(
    AttentionTensors { query, key_value }: AttentionTensors<FloatTensor<B>>,
    sequences: [&Sequences<B>; 2],
    args: AttentionArgs,
) -> (FloatTensor<B>, AttentionSaved<B>) {
    let query: Tensor<B, 2> = tensor(query);
    let [_, hidden] = query.dims();
    let [queries, keys] = sequences;
    let [query] = split(query, queries, args.heads);
    let [key, value] = split(tensor(key_value), keys, args.heads);
    let probabilities = probabilities(query.clone(), key.clone(), keys);
    let mask = args
        .dropout
        .mask::<B, 4>(probabilities.dims(), &probabilities.device());
    let dropped = match &mask {
        Some(mask) => probabilities.clone() * mask.clone(),
        None => probabilities.clone(),
    };
    // [sequences, heads, width, head_dim] -> [sequences, width, heads, head_dim] -> [queries, hidden]
    let context = product(dropped, value.clone())
        .permute([0, 2, 1, 3])
        .reshape([queries.count() * queries.width(), hidden]);
    let context = queries.leave_rectangle(context);
    let saved = AttentionSaved {
        query: primitive(query),
        key: primitive(key),
        value: primitive(value),
        probabilities: primitive(probabilities),
        mask: mask.map(primitive),
    };
    (primitive(context), saved)
}

/// What every token attends to, `softmax(Q Kᵀ / sqrt(d))`, for looking at.
///
/// # Shapes
/// query and key `[tokens, hidden]` -> `[sequences, heads, width, width]`; rows and columns beyond a sequence's end have
/// no meaning.
pub fn attention_probabilities<B: Backend>(
    query: Tensor<B, 2>,
    key: Tensor<B, 2>,
    sequences: &Sequences<B>,
    heads: usize,
) -> Tensor<B, 4> {
    let [query] = split(query, sequences, heads);
    let [key] = split(key, sequences, heads);
    probabilities(query, key, sequences)
}

/// `PARTS` tensors that stand side by side, head by head.
///
/// # Shapes
/// `[tokens, PARTS * hidden] -> PARTS x [sequences, heads, width, head_dim]`
fn split<B: Backend, const PARTS: usize>(
    joint: Tensor<B, 2>,
    sequences: &Sequences<B>,
    heads: usize,
) -> [Tensor<B, 4>; PARTS] {
    let [_, features] = joint.dims();
    let (count, width) = (sequences.count(), sequences.width());
    // -> [sequences, width, parts, heads, head_dim] -> [parts, sequences, heads, width, head_dim]
    let parts = sequences
        .enter_rectangle(joint)
        .reshape([count, width, PARTS, heads, features / PARTS / heads])
        .permute([2, 0, 3, 1, 4]);
    std::array::from_fn(|part| parts.clone().narrow(0, part, 1).squeeze_dim::<4>(0))
}

/// The opposite.
fn join<B: Backend, const PARTS: usize>(
    parts: [Tensor<B, 4>; PARTS],
    sequences: &Sequences<B>,
) -> Tensor<B, 2> {
    let [count, heads, width, head_dim] = parts[0].dims();
    let joint = Tensor::stack::<5>(parts.into(), 0)
        .permute([1, 3, 0, 2, 4])
        .reshape([count * width, PARTS * heads * head_dim]);
    sequences.leave_rectangle(joint)
}

/// `[sequences, heads, queries or keys, head_dim] -> [sequences, heads, queries, keys]`
fn probabilities<B: Backend>(
    query: Tensor<B, 4>,
    key: Tensor<B, 4>,
    keys: &Sequences<B>,
) -> Tensor<B, 4> {
    let [count, heads, queries, head_dim] = query.dims();
    let mut scores = product(query, key.transpose()).mul_scalar(AttentionArgs::scale(head_dim));
    if let Some(beyond) = keys.beyond_end() {
        let beyond = Tensor::<B, 2, Bool>::from_primitive(beyond)
            .reshape([count, 1, 1, keys.width()])
            .expand([count, heads, queries, keys.width()]);
        scores = scores.mask_fill(beyond, MASKED_SCORE);
    }
    softmax(scores, 3)
}

pub(super) fn backward<B: Backend>(
    grad: FloatTensor<B>,
    sequences: [&Sequences<B>; 2],
    args: AttentionArgs,
    saved: AttentionSaved<B>,
) -> AttentionTensors<FloatTensor<B>> {
    let grad: Tensor<B, 2> = tensor(grad);
    let [_, hidden] = grad.dims();
    let heads = args.heads;
    let [queries, keys] = sequences;
    let (count, width) = (queries.count(), queries.width());
    let mut grad = queries.enter_rectangle(grad);
    if let Some(beyond) = queries.beyond_end() {
        let beyond = Tensor::<B, 2, Bool>::from_primitive(beyond)
            .reshape([count * width, 1])
            .expand([count * width, hidden]);
        grad = grad.mask_fill(beyond, 0.0);
    }
    // [sequences * width, hidden] -> [sequences, heads, width, head_dim]
    let grad = grad
        .reshape([count, width, heads, hidden / heads])
        .permute([0, 2, 1, 3]);
    let probabilities: Tensor<B, 4> = tensor(saved.probabilities);
    let (query, key, value): (Tensor<B, 4>, Tensor<B, 4>, Tensor<B, 4>) =
        (tensor(saved.query), tensor(saved.key), tensor(saved.value));

    let mut d_probabilities = product(grad.clone(), value.transpose());
    let mut dropped = probabilities.clone();
    if let Some(mask) = saved.mask {
        let mask: Tensor<B, 4> = tensor(mask);
        d_probabilities = d_probabilities * mask.clone();
        dropped = dropped * mask;
    }
    let d_value = product(dropped.transpose(), grad);
    let weighted = d_probabilities * probabilities.clone();
    let d_scores = (weighted.clone() - probabilities * weighted.sum_dim(3))
        .mul_scalar(AttentionArgs::scale(hidden / heads));
    let d_query = product(d_scores.clone(), key);
    let d_key = product(d_scores.transpose(), query);
    AttentionTensors {
        query: primitive(join([d_query], queries)),
        key_value: primitive(join([d_key, d_value], keys)),
    }
}
