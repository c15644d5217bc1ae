//! The operations composed of ordinary Burn tensor operations, one file each: they run on any backend, and are the
//! reference for every fused kernel.

mod attention;
mod embedding;
mod feed_forward;
mod layer_norm;
mod linear;
mod masked_lm;
mod update;

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use burn::tensor::ops::{FloatTensor, IntTensor};

pub use attention::{AttentionSaved, attention_probabilities};
pub use embedding::EmbedSaved;
pub use feed_forward::FeedForwardSaved;
pub use layer_norm::LayerNormSaved;
pub use linear::{JointLinearSaved, LinearSaved};
pub use masked_lm::MaskedLmSaved;

use super::{
    Activation, AdamArgs, AttentionArgs, AttentionTensors, EmbeddingIds, Kernels, LayerNormArgs,
    LinearTensors, MaskedLmOutput, Moments,
};
use crate::data::packed::Sequences;

/// [`Kernels`] for any backend.
#[derive(Debug, Clone, Copy)]
pub struct Composed;

impl<B: Backend> Kernels<B> for Composed {
    type LinearSaved = LinearSaved<B>;
    type JointLinearSaved = JointLinearSaved<B>;
    type FeedForwardSaved = FeedForwardSaved<B>;
    type LayerNormSaved = LayerNormSaved<B>;
    type AttentionSaved = AttentionSaved<B>;
    type EmbedSaved = EmbedSaved<B>;
    type MaskedLmSaved = MaskedLmSaved<B>;

    fn linear_forward(
        x: FloatTensor<B>,
        weight: FloatTensor<B>,
        bias: FloatTensor<B>,
        activation: Activation,
    ) -> (FloatTensor<B>, LinearSaved<B>) {
        linear::forward::<B>(x, weight, bias, activation)
    }

    fn linear_backward(
        grad: FloatTensor<B>,
        saved: LinearSaved<B>,
        so_far: Option<FloatTensor<B>>,
    ) -> [FloatTensor<B>; 3] {
        let [dx, d_weight, d_bias] = linear::backward::<B>(grad, saved);
        [plus::<B>(so_far, dx), d_weight, d_bias]
    }

    fn joint_linear_forward(
        x: FloatTensor<B>,
        maps: [LinearTensors<FloatTensor<B>>; 2],
    ) -> (FloatTensor<B>, JointLinearSaved<B>) {
        linear::joint_forward::<B>(x, maps)
    }

    fn joint_linear_backward(
        grad: FloatTensor<B>,
        saved: JointLinearSaved<B>,
        so_far: Option<FloatTensor<B>>,
    ) -> [FloatTensor<B>; 5] {
        let [dx, w1, b1, w2, b2] = linear::joint_backward::<B>(grad, saved);
        [plus::<B>(so_far, dx), w1, b1, w2, b2]
    }

    fn feed_forward_forward(
        x: FloatTensor<B>,
        maps: [LinearTensors<FloatTensor<B>>; 2],
        activation: Activation,
    ) -> (FloatTensor<B>, FeedForwardSaved<B>) {
        feed_forward::forward::<B>(x, maps, activation)
    }

    fn feed_forward_backward(
        grad: FloatTensor<B>,
        saved: FeedForwardSaved<B>,
        so_far: Option<FloatTensor<B>>,
    ) -> [FloatTensor<B>; 5] {
        let [dx, w1, b1, w2, b2] = feed_forward::backward::<B>(grad, saved);
        [plus::<B>(so_far, dx), w1, b1, w2, b2]
    }

    fn add_layer_norm_forward(
        x: FloatTensor<B>,
        residual: Option<FloatTensor<B>>,
        gamma: FloatTensor<B>,
        beta: FloatTensor<B>,
        args: LayerNormArgs,
    ) -> (FloatTensor<B>, LayerNormSaved<B>) {
        layer_norm::forward::<B>(x, residual, gamma, beta, args)
    }

    fn add_layer_norm_backward(
        grad: FloatTensor<B>,
        saved: LayerNormSaved<B>,
    ) -> [FloatTensor<B>; 4] {
        layer_norm::backward::<B>(grad, saved)
    }

    fn attention_forward(
        tensors: AttentionTensors<FloatTensor<B>>,
        sequences: [&Sequences<B>; 2],
        args: AttentionArgs,
    ) -> (FloatTensor<B>, AttentionSaved<B>) {
        attention::forward::<B>(tensors, sequences, args)
    }

    fn attention_backward(
        grad: FloatTensor<B>,
        sequences: [&Sequences<B>; 2],
        args: AttentionArgs,
        saved: AttentionSaved<B>,
    ) -> AttentionTensors<FloatTensor<B>> {
        attention::backward::<B>(grad, sequences, args, saved)
    }

    fn embed_forward(
        tables: [FloatTensor<B>; 3],
        ids: EmbeddingIds<B>,
        gamma: FloatTensor<B>,
        beta: FloatTensor<B>,
        args: LayerNormArgs,
    ) -> (FloatTensor<B>, EmbedSaved<B>) {
        embedding::forward::<B>(tables, ids, gamma, beta, args)
    }

    fn embed_backward(
        grad: FloatTensor<B>,
        saved: EmbedSaved<B>,
        so_far: Option<FloatTensor<B>>,
    ) -> [FloatTensor<B>; 5] {
        let [words, positions, types, gamma, beta] = embedding::backward::<B>(grad, saved);
        [plus::<B>(so_far, words), positions, types, gamma, beta]
    }

    fn masked_lm_forward(
        hidden: FloatTensor<B>,
        word_embeddings: FloatTensor<B>,
        bias: FloatTensor<B>,
        labels: IntTensor<B>,
        _expected_grad: f64,
    ) -> (MaskedLmOutput<B>, MaskedLmSaved<B>) {
        masked_lm::forward::<B>(hidden, word_embeddings, bias, labels)
    }

    fn masked_lm_backward(grad: FloatTensor<B>, saved: MaskedLmSaved<B>) -> [FloatTensor<B>; 3] {
        masked_lm::backward::<B>(grad, saved)
    }

    fn masked_lm_logits(
        hidden: FloatTensor<B>,
        word_embeddings: FloatTensor<B>,
        bias: FloatTensor<B>,
    ) -> FloatTensor<B> {
        masked_lm::logits::<B>(hidden, word_embeddings, bias)
    }

    fn adamw(
        parameter: FloatTensor<B>,
        grad: FloatTensor<B>,
        grad_scale: FloatTensor<B>,
        moments: Moments<B>,
        args: AdamArgs,
    ) -> (FloatTensor<B>, Moments<B>) {
        update::adamw::<B>(parameter, grad, grad_scale, moments, args)
    }

    fn lamb(
        parameter: FloatTensor<B>,
        grad: FloatTensor<B>,
        grad_scale: FloatTensor<B>,
        moments: Moments<B>,
        args: AdamArgs,
    ) -> (FloatTensor<B>, Moments<B>) {
        update::lamb::<B>(parameter, grad, grad_scale, moments, args)
    }

    fn squared_norm(x: FloatTensor<B>) -> FloatTensor<B> {
        update::squared_norm::<B>(x)
    }
}

/// The matrix product, `[..., m, k] x [..., k, n] -> [..., m, n]`, never of a vector alone.
///
/// A GPU's runtime chooses a kernel for all shapes up to the next power of two by timing them on one of these, and its
/// kernels for vectors (cubek-matmul 0.2) refuse shapes that are no multiples of what the GPU does at once, which ends
/// the program: one row or one column goes in twice.
pub(crate) fn product<B: Backend, const D: usize>(
    a: Tensor<B, D>,
    b: Tensor<B, D>,
) -> Tensor<B, D> {
    let (m, n) = (a.dims()[D - 2], b.dims()[D - 1]);
    if m == 1 {
        let twice = a.repeat_dim(D - 2, 2);
        product(twice, b).narrow(D - 2, 0, 1)
    } else if n == 1 {
        let twice = b.repeat_dim(D - 1, 2);
        a.matmul(twice).narrow(D - 1, 0, 1)
    } else {
        a.matmul(b)
    }
}

fn plus<B: Backend>(so_far: Option<FloatTensor<B>>, grad: FloatTensor<B>) -> FloatTensor<B> {
    match so_far {
        Some(so_far) => B::float_add(so_far, grad),
        None => grad,
    }
}
