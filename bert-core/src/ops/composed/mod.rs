//! The operations composed of ordinary Burn tensor operations, one file each: they run on any backend, and are the
//! reference for every fused kernel.

mod attention;
mod embedding;
mod layer_norm;
mod linear;
mod masked_lm;
mod update;

use burn::tensor::backend::Backend;
use burn::tensor::ops::{FloatTensor, IntTensor};

pub use attention::{AttentionSaved, attention_probabilities};
pub use embedding::EmbedSaved;
pub use layer_norm::LayerNormSaved;
pub use linear::LinearSaved;
pub use masked_lm::MaskedLmSaved;

use super::{
    Activation, AdamArgs, AttentionArgs, EmbeddingIds, Kernels, LayerNormArgs, MaskedLmOutput,
    Moments,
};
use crate::data::packed::Sequences;

/// [`Kernels`] for any backend.
#[derive(Debug, Clone, Copy)]
pub struct Composed;

impl<B: Backend> Kernels<B> for Composed {
    type LinearSaved = LinearSaved<B>;
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

    fn linear_backward(grad: FloatTensor<B>, saved: LinearSaved<B>) -> [FloatTensor<B>; 3] {
        linear::backward::<B>(grad, saved)
    }

    fn add_layer_norm(
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

    fn attention(
        qkv: FloatTensor<B>,
        sequences: &Sequences<B>,
        args: AttentionArgs,
    ) -> (FloatTensor<B>, AttentionSaved<B>) {
        attention::forward::<B>(qkv, sequences, args)
    }

    fn attention_backward(
        grad: FloatTensor<B>,
        sequences: &Sequences<B>,
        args: AttentionArgs,
        saved: AttentionSaved<B>,
    ) -> FloatTensor<B> {
        attention::backward::<B>(grad, sequences, args, saved)
    }

    fn embed(
        tables: [FloatTensor<B>; 3],
        ids: EmbeddingIds<B>,
        gamma: FloatTensor<B>,
        beta: FloatTensor<B>,
        args: LayerNormArgs,
    ) -> (FloatTensor<B>, EmbedSaved<B>) {
        embedding::forward::<B>(tables, ids, gamma, beta, args)
    }

    fn embed_backward(grad: FloatTensor<B>, saved: EmbedSaved<B>) -> [FloatTensor<B>; 5] {
        embedding::backward::<B>(grad, saved)
    }

    fn masked_lm_forward(
        hidden: FloatTensor<B>,
        word_embeddings: FloatTensor<B>,
        bias: FloatTensor<B>,
        labels: IntTensor<B>,
    ) -> (MaskedLmOutput<B>, MaskedLmSaved<B>) {
        masked_lm::forward::<B>(hidden, word_embeddings, bias, labels)
    }

    fn masked_lm_backward(grad: FloatTensor<B>, saved: MaskedLmSaved<B>) -> [FloatTensor<B>; 3] {
        masked_lm::backward::<B>(grad, saved)
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
