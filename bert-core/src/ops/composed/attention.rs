//! Attention in rectangles: the only place where packed tokens are padded, `[sequences, longest]`. Keys beyond a
//! sequence's end get a probability of exactly zero, and gradients of rows beyond it are zeroed.

use burn::tensor::activation::softmax;
use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;
use burn::tensor::{Bool, Tensor};

use crate::data::packed::Sequences;
use crate::ops::{AttentionArgs, primitive, tensor};

/// What the backward step needs; all `[sequences, heads, longest, …]`.
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
    qkv: FloatTensor<B>,
    sequences: &Sequences<B>,
    args: AttentionArgs,
) -> (FloatTensor<B>, AttentionSaved<B>) {
    let qkv: Tensor<B, 2> = tensor(qkv);
    let [_, width] = qkv.dims();
    let hidden = width / 3;
    let (count, longest) = (sequences.count(), sequences.longest());
    let [query, key, value] = split(qkv, sequences, args.heads);
    let probabilities = probabilities(query.clone(), key.clone(), sequences);
    let mask = args
        .dropout
        .mask::<B, 4>(probabilities.dims(), &probabilities.device());
    let dropped = match &mask {
        Some(mask) => probabilities.clone() * mask.clone(),
        None => probabilities.clone(),
    };
    // [sequences, heads, longest, head_dim] -> [sequences, longest, heads, head_dim] -> [tokens, hidden]
    let context = dropped
        .matmul(value.clone())
        .permute([0, 2, 1, 3])
        .reshape([count * longest, hidden]);
    let context = sequences.leave_rectangle(context);
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
/// qkv `[tokens, 3 * hidden]` -> `[sequences, heads, longest, longest]`; rows and columns beyond a sequence's end have no
/// meaning.
pub fn attention_probabilities<B: Backend>(
    qkv: Tensor<B, 2>,
    sequences: &Sequences<B>,
    heads: usize,
) -> Tensor<B, 4> {
    let [query, key, _] = split(qkv, sequences, heads);
    probabilities(query, key, sequences)
}

/// Queries, keys and values.
///
/// # Shapes
/// `[tokens, 3 * hidden] -> 3 x [sequences, heads, longest, head_dim]`
fn split<B: Backend>(
    qkv: Tensor<B, 2>,
    sequences: &Sequences<B>,
    heads: usize,
) -> [Tensor<B, 4>; 3] {
    let [_, width] = qkv.dims();
    let (count, longest) = (sequences.count(), sequences.longest());
    // [tokens, 3 * hidden] -> [sequences, longest, 3, heads, head_dim] -> [3, sequences, heads, longest, head_dim]
    let parts = sequences
        .enter_rectangle(qkv)
        .reshape([count, longest, 3, heads, width / 3 / heads])
        .permute([2, 0, 3, 1, 4]);
    std::array::from_fn(|part| parts.clone().narrow(0, part, 1).squeeze_dim::<4>(0))
}

/// `[sequences, heads, longest, head_dim] x 2 -> [sequences, heads, longest, longest]`
fn probabilities<B: Backend>(
    query: Tensor<B, 4>,
    key: Tensor<B, 4>,
    sequences: &Sequences<B>,
) -> Tensor<B, 4> {
    let [count, heads, longest, head_dim] = query.dims();
    let mut scores = query
        .matmul(key.transpose())
        .mul_scalar(AttentionArgs::scale(head_dim));
    if let Some(beyond) = sequences.beyond_end() {
        let beyond = Tensor::<B, 2, Bool>::from_primitive(beyond)
            .reshape([count, 1, 1, longest])
            .expand([count, heads, longest, longest]);
        scores = scores.mask_fill(beyond, MASKED_SCORE);
    }
    softmax(scores, 3)
}

pub(super) fn backward<B: Backend>(
    grad: FloatTensor<B>,
    sequences: &Sequences<B>,
    args: AttentionArgs,
    saved: AttentionSaved<B>,
) -> FloatTensor<B> {
    let grad: Tensor<B, 2> = tensor(grad);
    let [_, hidden] = grad.dims();
    let heads = args.heads;
    let (count, longest) = (sequences.count(), sequences.longest());
    let mut grad = sequences.enter_rectangle(grad);
    if let Some(beyond) = sequences.beyond_end() {
        let beyond = Tensor::<B, 2, Bool>::from_primitive(beyond)
            .reshape([count * longest, 1])
            .expand([count * longest, hidden]);
        grad = grad.mask_fill(beyond, 0.0);
    }
    // [sequences * longest, hidden] -> [sequences, heads, longest, head_dim]
    let grad = grad
        .reshape([count, longest, heads, hidden / heads])
        .permute([0, 2, 1, 3]);
    let probabilities: Tensor<B, 4> = tensor(saved.probabilities);
    let (query, key, value): (Tensor<B, 4>, Tensor<B, 4>, Tensor<B, 4>) =
        (tensor(saved.query), tensor(saved.key), tensor(saved.value));

    let mut d_probabilities = grad.clone().matmul(value.transpose());
    let mut dropped = probabilities.clone();
    if let Some(mask) = saved.mask {
        let mask: Tensor<B, 4> = tensor(mask);
        d_probabilities = d_probabilities * mask.clone();
        dropped = dropped * mask;
    }
    let d_value = dropped.transpose().matmul(grad);
    let weighted = d_probabilities * probabilities.clone();
    let d_scores = (weighted.clone() - probabilities * weighted.sum_dim(3))
        .mul_scalar(AttentionArgs::scale(hidden / heads));
    let d_query = d_scores.clone().matmul(key);
    let d_key = d_scores.transpose().matmul(query);
    // 3 x [sequences, heads, longest, head_dim] -> [sequences, longest, 3, heads, head_dim] -> [tokens, 3 * hidden]
    let joint = Tensor::stack::<5>(vec![d_query, d_key, d_value], 0)
        .permute([1, 3, 0, 2, 4])
        .reshape([count * longest, 3 * hidden]);
    primitive(sequences.leave_rectangle(joint))
}
