//! [`BertBackend`] for `Autodiff<B>`: every operation with its backward step, for any `B`.

use burn::tensor::TensorMetadata;
use burn::tensor::ops::{FloatTensor, IntTensor};
use burn_autodiff::Autodiff;
use burn_autodiff::checkpoint::base::Checkpointer;
use burn_autodiff::checkpoint::strategy::CheckpointStrategy;
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, Ops, OpsKind};

use super::{
    Activation, AttentionArgs, AttentionSaved, BertBackend, Dropout, EmbeddingIds, LayerNormArgs,
    LayerNormSaved, MaskedLmOutput, MaskedLmSaved,
};
use crate::data::packed::Sequences;

/// Adds each gradient to the parent it belongs to, where that parent wants one.
macro_rules! register {
    ($B:ty, $ops:expr, $grads:expr, $values:expr) => {
        for (parent, value) in $ops.parents.into_iter().zip($values) {
            if let Some(parent) = parent {
                $grads.register::<$B>(parent.id, value);
            }
        }
    };
}

#[derive(Debug)]
struct Linear(Activation);

impl<B: BertBackend> Backward<B, 3> for Linear {
    type State = (FloatTensor<B>, FloatTensor<B>, Option<FloatTensor<B>>);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let (x, weight, pre_activation) = ops.state;
        let values = B::bert_linear_backward(grad, x, weight, pre_activation, self.0);
        register!(B, ops, grads, values);
    }
}

#[derive(Debug)]
struct AddLayerNorm;

impl<B: BertBackend> Backward<B, 4> for AddLayerNorm {
    type State = (FloatTensor<B>, LayerNormSaved<B>);

    fn backward(self, ops: Ops<Self::State, 4>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let (gamma, saved) = ops.state;
        let values = B::bert_add_layer_norm_backward(grad, gamma, saved);
        register!(B, ops, grads, values);
    }
}

#[derive(Debug)]
struct LayerNorm;

impl<B: BertBackend> Backward<B, 3> for LayerNorm {
    type State = (FloatTensor<B>, LayerNormSaved<B>);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let (gamma, saved) = ops.state;
        let [dx, _, d_gamma, d_beta] = B::bert_add_layer_norm_backward(grad, gamma, saved);
        register!(B, ops, grads, [dx, d_gamma, d_beta]);
    }
}

#[derive(Debug)]
struct Attention(AttentionArgs);

impl<B: BertBackend> Backward<B, 1> for Attention {
    type State = (Sequences<B>, AttentionSaved<B>);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let (sequences, saved) = ops.state;
        let value = B::bert_attention_backward(grad, &sequences, self.0, saved);
        register!(B, ops, grads, [value]);
    }
}

#[derive(Debug)]
struct Embed;

impl<B: BertBackend> Backward<B, 3> for Embed {
    type State = ([usize; 3], EmbeddingIds<B>);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let (rows, ids) = ops.state;
        let values = B::bert_embed_backward(grad, rows, ids);
        register!(B, ops, grads, values);
    }
}

#[derive(Debug)]
struct MaskedLm;

impl<B: BertBackend> Backward<B, 3> for MaskedLm {
    type State = (FloatTensor<B>, FloatTensor<B>, MaskedLmSaved<B>);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let (hidden, word_embeddings, saved) = ops.state;
        let values = B::bert_masked_lm_backward(grad, hidden, word_embeddings, saved);
        register!(B, ops, grads, values);
    }
}

impl<B: BertBackend, C: CheckpointStrategy> BertBackend for Autodiff<B, C> {
    fn bert_linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        let nodes = [x.node.clone(), weight.node.clone(), bias.node.clone()];
        let (x, weight, bias) = (x.primitive, weight.primitive, bias.primitive);
        match Linear(activation)
            .prepare::<C>(nodes)
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => {
                let (y, pre_activation) =
                    B::bert_linear_forward(x.clone(), weight.clone(), bias, activation);
                prep.finish((x, weight, pre_activation), y)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::bert_linear(x, weight, bias, activation)),
        }
    }

    fn bert_add_layer_norm(
        x: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        args: LayerNormArgs,
    ) -> FloatTensor<Self> {
        let nodes = [
            x.node.clone(),
            residual.node.clone(),
            gamma.node.clone(),
            beta.node.clone(),
        ];
        let (y, saved) = B::bert_add_layer_norm_forward(
            x.primitive,
            Some(residual.primitive),
            gamma.primitive.clone(),
            beta.primitive,
            args,
        );
        match AddLayerNorm.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((gamma.primitive, saved), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn bert_layer_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        eps: f64,
    ) -> FloatTensor<Self> {
        let nodes = [x.node.clone(), gamma.node.clone(), beta.node.clone()];
        let args = LayerNormArgs {
            eps,
            dropout: Dropout::NONE,
        };
        let (y, saved) = B::bert_add_layer_norm_forward(
            x.primitive,
            None,
            gamma.primitive.clone(),
            beta.primitive,
            args,
        );
        match LayerNorm.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((gamma.primitive, saved), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn bert_attention(
        qkv: FloatTensor<Self>,
        sequences: &Sequences<Self>,
        args: AttentionArgs,
    ) -> FloatTensor<Self> {
        let sequences = sequences.clone().inner::<B>();
        let (context, saved) = B::bert_attention_forward(qkv.primitive, &sequences, args);
        match Attention(args)
            .prepare::<C>([qkv.node])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish((sequences, saved), context),
            OpsKind::UnTracked(prep) => prep.finish(context),
        }
    }

    fn bert_embed(tables: [FloatTensor<Self>; 3], ids: EmbeddingIds<Self>) -> FloatTensor<Self> {
        let nodes = tables.each_ref().map(|table| table.node.clone());
        let rows = tables.each_ref().map(|table| table.primitive.shape()[0]);
        let sum = B::bert_embed(tables.map(|table| table.primitive), ids.clone());
        match Embed.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((rows, ids), sum),
            OpsKind::UnTracked(prep) => prep.finish(sum),
        }
    }

    fn bert_masked_lm_loss(
        hidden: FloatTensor<Self>,
        word_embeddings: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        labels: IntTensor<Self>,
    ) -> MaskedLmOutput<Self> {
        let nodes = [
            hidden.node.clone(),
            word_embeddings.node.clone(),
            bias.node.clone(),
        ];
        let (output, saved) = B::bert_masked_lm_forward(
            hidden.primitive.clone(),
            word_embeddings.primitive.clone(),
            bias.primitive,
            labels,
        );
        let loss_sum = match MaskedLm.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(
                (hidden.primitive, word_embeddings.primitive, saved),
                output.loss_sum,
            ),
            OpsKind::UnTracked(prep) => prep.finish(output.loss_sum),
        };
        MaskedLmOutput {
            loss_sum,
            correct: <Self as burn::tensor::backend::AutodiffBackend>::from_inner(output.correct),
        }
    }
}
