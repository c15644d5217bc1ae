//! The CPU: fused kernels for f32, one file an operation. f64 stays composed: it serves gradient checks.

mod activation;
mod array;
mod attention;
mod dropout;
mod embedding;
mod feed_forward;
mod instructions;
mod layer_norm;
mod linear;
mod masked_lm;
mod math;
mod product;
mod rows;
#[cfg(test)]
mod tests;
mod update;

use burn_ndarray::{NdArray, NdArrayTensor};

pub use attention::AttentionSaved;
pub use embedding::EmbedSaved;
pub use feed_forward::FeedForwardSaved;
pub use layer_norm::LayerNormSaved;
pub use linear::{JointLinearSaved, LinearSaved};
pub use masked_lm::MaskedLmSaved;
pub use product::{check_compute, set_compute};

use super::{
    Activation, AdamArgs, AttentionArgs, AttentionTensors, BertBackend, Composed, EmbeddingIds,
    Kernels, LayerNormArgs, LinearTensors, MaskedLmOutput, Moments,
};
use crate::data::packed::Sequences;

/// The backend these kernels are for.
type NdArray32 = NdArray<f32>;

impl BertBackend for NdArray<f64> {
    type Kernels = Composed;
}

impl BertBackend for NdArray32 {
    type Kernels = Fused;
}

/// [`Kernels`] for f32 on the CPU.
#[derive(Debug, Clone, Copy)]
pub struct Fused;

impl Kernels<NdArray32> for Fused {
    type LinearSaved = LinearSaved;
    type JointLinearSaved = JointLinearSaved;
    type FeedForwardSaved = FeedForwardSaved;
    type LayerNormSaved = LayerNormSaved;
    type AttentionSaved = AttentionSaved;
    type EmbedSaved = EmbedSaved;
    type MaskedLmSaved = MaskedLmSaved;

    fn linear(
        x: NdArrayTensor,
        weight: NdArrayTensor,
        bias: NdArrayTensor,
        activation: Activation,
    ) -> NdArrayTensor {
        linear::infer(x, weight, bias, activation)
    }

    fn linear_forward(
        x: NdArrayTensor,
        weight: NdArrayTensor,
        bias: NdArrayTensor,
        activation: Activation,
    ) -> (NdArrayTensor, LinearSaved) {
        linear::forward(x, weight, bias, activation)
    }

    fn linear_backward(
        grad: NdArrayTensor,
        saved: LinearSaved,
        so_far: Option<NdArrayTensor>,
    ) -> [NdArrayTensor; 3] {
        linear::backward(grad, saved, so_far)
    }

    fn joint_linear_forward(
        x: NdArrayTensor,
        maps: [LinearTensors<NdArrayTensor>; 2],
    ) -> (NdArrayTensor, JointLinearSaved) {
        linear::joint_forward(x, maps)
    }

    fn joint_linear_backward(
        grad: NdArrayTensor,
        saved: JointLinearSaved,
        so_far: Option<NdArrayTensor>,
    ) -> [NdArrayTensor; 5] {
        linear::joint_backward(grad, saved, so_far)
    }

    fn feed_forward(
        x: NdArrayTensor,
        maps: [LinearTensors<NdArrayTensor>; 2],
        activation: Activation,
    ) -> NdArrayTensor {
        feed_forward::infer(x, maps, activation)
    }

    fn feed_forward_forward(
        x: NdArrayTensor,
        maps: [LinearTensors<NdArrayTensor>; 2],
        activation: Activation,
    ) -> (NdArrayTensor, FeedForwardSaved) {
        feed_forward::forward(x, maps, activation)
    }

    fn feed_forward_backward(
        grad: NdArrayTensor,
        saved: FeedForwardSaved,
        so_far: Option<NdArrayTensor>,
    ) -> [NdArrayTensor; 5] {
        feed_forward::backward(grad, saved, so_far)
    }

    fn add_layer_norm_forward(
        x: NdArrayTensor,
        residual: Option<NdArrayTensor>,
        gamma: NdArrayTensor,
        beta: NdArrayTensor,
        args: LayerNormArgs,
    ) -> (NdArrayTensor, LayerNormSaved) {
        layer_norm::forward(x, residual, gamma, beta, args)
    }

    fn add_layer_norm_backward(grad: NdArrayTensor, saved: LayerNormSaved) -> [NdArrayTensor; 4] {
        layer_norm::backward(grad, saved)
    }

    fn attention_forward(
        tensors: AttentionTensors<NdArrayTensor>,
        sequences: [&Sequences<NdArray32>; 2],
        args: AttentionArgs,
    ) -> (NdArrayTensor, AttentionSaved) {
        attention::forward(tensors, sequences.map(Sequences::lengths), args)
    }

    fn attention_backward(
        grad: NdArrayTensor,
        sequences: [&Sequences<NdArray32>; 2],
        args: AttentionArgs,
        saved: AttentionSaved,
    ) -> AttentionTensors<NdArrayTensor> {
        attention::backward(grad, sequences.map(Sequences::lengths), args, saved)
    }

    fn embed_forward(
        tables: [NdArrayTensor; 3],
        ids: EmbeddingIds<NdArray32>,
        gamma: NdArrayTensor,
        beta: NdArrayTensor,
        args: LayerNormArgs,
    ) -> (NdArrayTensor, EmbedSaved) {
        embedding::forward(tables, ids, gamma, beta, args)
    }

    fn embed_backward(
        grad: NdArrayTensor,
        saved: EmbedSaved,
        so_far: Option<NdArrayTensor>,
    ) -> [NdArrayTensor; 5] {
        embedding::backward(grad, saved, so_far)
    }

    fn masked_lm(
        hidden: NdArrayTensor,
        word_embeddings: NdArrayTensor,
        bias: NdArrayTensor,
        labels: NdArrayTensor,
    ) -> MaskedLmOutput<NdArray32> {
        masked_lm::infer(hidden, word_embeddings, bias, labels)
    }

    fn masked_lm_forward(
        hidden: NdArrayTensor,
        word_embeddings: NdArrayTensor,
        bias: NdArrayTensor,
        labels: NdArrayTensor,
        expected_grad: f64,
    ) -> (MaskedLmOutput<NdArray32>, MaskedLmSaved) {
        masked_lm::forward(
            hidden,
            word_embeddings,
            bias,
            labels,
            expected_grad as f32,
            masked_lm::RUN_ELEMENTS,
        )
    }

    fn masked_lm_backward(grad: NdArrayTensor, saved: MaskedLmSaved) -> [NdArrayTensor; 3] {
        masked_lm::backward(grad, saved)
    }

    fn masked_lm_logits(
        hidden: NdArrayTensor,
        word_embeddings: NdArrayTensor,
        bias: NdArrayTensor,
    ) -> NdArrayTensor {
        masked_lm::logits(hidden, word_embeddings, bias)
    }

    fn adamw(
        parameter: NdArrayTensor,
        grad: NdArrayTensor,
        grad_scale: NdArrayTensor,
        moments: Moments<NdArray32>,
        args: AdamArgs,
    ) -> (NdArrayTensor, Moments<NdArray32>) {
        update::adamw(parameter, grad, grad_scale, moments, args)
    }

    fn lamb(
        parameter: NdArrayTensor,
        grad: NdArrayTensor,
        grad_scale: NdArrayTensor,
        moments: Moments<NdArray32>,
        args: AdamArgs,
    ) -> (NdArrayTensor, Moments<NdArray32>) {
        update::lamb(parameter, grad, grad_scale, moments, args)
    }

    fn squared_norm(x: NdArrayTensor) -> NdArrayTensor {
        update::squared_norm(x)
    }
}
