//! [`BertBackend`] for `Autodiff<B>`: every operation with its backward step, for any `B`.

use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::ops::{FloatTensor, IntTensor};
use burn_autodiff::Autodiff;
use burn_autodiff::checkpoint::base::Checkpointer;
use burn_autodiff::checkpoint::strategy::CheckpointStrategy;
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, Ops, OpsKind};

use super::{
    Activation, AttentionArgs, AttentionTensors, BertBackend, Composed, EmbeddingIds, Kernels,
    LayerNormArgs, LinearTensors, MaskedLmOutput,
};
use crate::data::packed::Sequences;

/// The kernels of the backend inside.
type KernelsOf<B> = <B as BertBackend>::Kernels;

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

/// Takes out the gradient that the first parent already has from its other uses, so that it can be added to in place.
macro_rules! so_far {
    ($B:ty, $ops:expr, $grads:expr, $grad:expr) => {
        $ops.parents[0].as_ref().and_then(|parent| {
            let mut named = <Autodiff<$B> as AutodiffBackend>::from_inner($grad.clone());
            named.node = parent.clone();
            $grads.remove::<$B>(&named)
        })
    };
}

/// Records an operation with what its backward step needs, where its input is tracked.
macro_rules! record {
    ($C:ty, $operation:expr, $nodes:expr, $saved:expr, $y:expr) => {
        match $operation.prepare::<$C>($nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish($saved, $y),
            OpsKind::UnTracked(prep) => prep.finish($y),
        }
    };
}

#[derive(Debug)]
struct Linear;

impl<B: BertBackend> Backward<B, 3> for Linear {
    type State = <KernelsOf<B> as Kernels<B>>::LinearSaved;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let so_far = so_far!(B, ops, grads, grad);
        let values = KernelsOf::<B>::linear_backward(grad, ops.state, so_far);
        register!(B, ops, grads, values);
    }
}

#[derive(Debug)]
struct JointLinear;

impl<B: BertBackend> Backward<B, 5> for JointLinear {
    type State = <KernelsOf<B> as Kernels<B>>::JointLinearSaved;

    fn backward(self, ops: Ops<Self::State, 5>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let so_far = so_far!(B, ops, grads, grad);
        let values = KernelsOf::<B>::joint_linear_backward(grad, ops.state, so_far);
        register!(B, ops, grads, values);
    }
}

#[derive(Debug)]
struct FeedForward;

impl<B: BertBackend> Backward<B, 5> for FeedForward {
    type State = <KernelsOf<B> as Kernels<B>>::FeedForwardSaved;

    fn backward(self, ops: Ops<Self::State, 5>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let so_far = so_far!(B, ops, grads, grad);
        let values = KernelsOf::<B>::feed_forward_backward(grad, ops.state, so_far);
        register!(B, ops, grads, values);
    }
}

#[derive(Debug)]
struct AddLayerNorm;

impl<B: BertBackend> Backward<B, 4> for AddLayerNorm {
    type State = <KernelsOf<B> as Kernels<B>>::LayerNormSaved;

    fn backward(self, ops: Ops<Self::State, 4>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let values = KernelsOf::<B>::add_layer_norm_backward(grad, ops.state);
        register!(B, ops, grads, values);
    }
}

/// Without a residual.
#[derive(Debug)]
struct LayerNorm;

impl<B: BertBackend> Backward<B, 3> for LayerNorm {
    type State = <KernelsOf<B> as Kernels<B>>::LayerNormSaved;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let [dx, _, d_gamma, d_beta] = KernelsOf::<B>::add_layer_norm_backward(grad, ops.state);
        register!(B, ops, grads, [dx, d_gamma, d_beta]);
    }
}

#[derive(Debug)]
struct Attention(AttentionArgs);

impl<B: BertBackend> Backward<B, 2> for Attention {
    type State = (
        [Sequences<B>; 2],
        <KernelsOf<B> as Kernels<B>>::AttentionSaved,
    );

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let (sequences, saved) = ops.state;
        let values = KernelsOf::<B>::attention_backward(grad, sequences.each_ref(), self.0, saved);
        register!(B, ops, grads, [values.query, values.key_value]);
    }
}

#[derive(Debug)]
struct Embed;

impl<B: BertBackend> Backward<B, 5> for Embed {
    type State = <KernelsOf<B> as Kernels<B>>::EmbedSaved;

    fn backward(self, ops: Ops<Self::State, 5>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        let so_far = so_far!(B, ops, grads, grad);
        let values = KernelsOf::<B>::embed_backward(grad, ops.state, so_far);
        register!(B, ops, grads, values);
    }
}

#[derive(Debug)]
struct MaskedLm;

impl<B: BertBackend> Backward<B, 3> for MaskedLm {
    type State = <KernelsOf<B> as Kernels<B>>::MaskedLmSaved;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<B>(&ops.node);
        register!(
            B,
            ops,
            grads,
            KernelsOf::<B>::masked_lm_backward(grad, ops.state)
        );
    }
}

/// An input and two maps in the order of their gradients.
fn in_order<'a, B: Backend>(
    x: &'a FloatTensor<B>,
    [first, second]: &'a [LinearTensors<FloatTensor<B>>; 2],
) -> [&'a FloatTensor<B>; 5] {
    [x, &first.weight, &first.bias, &second.weight, &second.bias]
}

fn primitives<B: Backend, C: CheckpointStrategy>(
    maps: [LinearTensors<FloatTensor<Autodiff<B, C>>>; 2],
) -> [LinearTensors<FloatTensor<B>>; 2] {
    maps.map(|map| LinearTensors {
        weight: map.weight.primitive,
        bias: map.bias.primitive,
    })
}

impl<B: BertBackend, C: CheckpointStrategy> BertBackend for Autodiff<B, C> {
    /// Every operation is recorded below, but for scores without a loss: those Burn records.
    type Kernels = Composed;

    fn bert_linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        let nodes = [x.node.clone(), weight.node.clone(), bias.node.clone()];
        let (x, weight, bias) = (x.primitive, weight.primitive, bias.primitive);
        match Linear.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let (y, saved) = KernelsOf::<B>::linear_forward(x, weight, bias, activation);
                prep.finish(saved, y)
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(KernelsOf::<B>::linear(x, weight, bias, activation))
            }
        }
    }

    fn bert_joint_linear(
        x: FloatTensor<Self>,
        maps: [LinearTensors<FloatTensor<Self>>; 2],
    ) -> FloatTensor<Self> {
        let nodes = in_order::<Self>(&x, &maps).map(|tensor| tensor.node.clone());
        let (y, saved) =
            KernelsOf::<B>::joint_linear_forward(x.primitive, primitives::<B, C>(maps));
        record!(C, JointLinear, nodes, saved, y)
    }

    fn bert_feed_forward(
        x: FloatTensor<Self>,
        maps: [LinearTensors<FloatTensor<Self>>; 2],
        activation: Activation,
    ) -> FloatTensor<Self> {
        let nodes = in_order::<Self>(&x, &maps).map(|tensor| tensor.node.clone());
        let (x, maps) = (x.primitive, primitives::<B, C>(maps));
        match FeedForward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let (y, saved) = KernelsOf::<B>::feed_forward_forward(x, maps, activation);
                prep.finish(saved, y)
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(KernelsOf::<B>::feed_forward(x, maps, activation))
            }
        }
    }

    fn bert_add_layer_norm(
        x: FloatTensor<Self>,
        residual: Option<FloatTensor<Self>>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        args: LayerNormArgs,
    ) -> FloatTensor<Self> {
        let (x_node, gamma_node, beta_node) = (x.node, gamma.node, beta.node);
        let (residual_node, residual) = match residual {
            Some(residual) => (Some(residual.node), Some(residual.primitive)),
            None => (None, None),
        };
        let (y, saved) = KernelsOf::<B>::add_layer_norm_forward(
            x.primitive,
            residual,
            gamma.primitive,
            beta.primitive,
            args,
        );
        match residual_node {
            Some(residual_node) => {
                let nodes = [x_node, residual_node, gamma_node, beta_node];
                record!(C, AddLayerNorm, nodes, saved, y)
            }
            None => record!(C, LayerNorm, [x_node, gamma_node, beta_node], saved, y),
        }
    }

    fn bert_attention(
        tensors: AttentionTensors<FloatTensor<Self>>,
        sequences: [&Sequences<Self>; 2],
        args: AttentionArgs,
    ) -> FloatTensor<Self> {
        let sequences = sequences.map(|sequences| sequences.clone().inner::<B>());
        let nodes = [tensors.query.node, tensors.key_value.node];
        let tensors = AttentionTensors {
            query: tensors.query.primitive,
            key_value: tensors.key_value.primitive,
        };
        let (context, saved) =
            KernelsOf::<B>::attention_forward(tensors, sequences.each_ref(), args);
        record!(C, Attention(args), nodes, (sequences, saved), context)
    }

    fn bert_embed(
        tables: [FloatTensor<Self>; 3],
        ids: EmbeddingIds<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        args: LayerNormArgs,
    ) -> FloatTensor<Self> {
        let [word, position, token_type] = tables.each_ref().map(|table| table.node.clone());
        let nodes = [word, position, token_type, gamma.node, beta.node];
        let (y, saved) = KernelsOf::<B>::embed_forward(
            tables.map(|table| table.primitive),
            ids,
            gamma.primitive,
            beta.primitive,
            args,
        );
        record!(C, Embed, nodes, saved, y)
    }

    fn bert_masked_lm_loss(
        hidden: FloatTensor<Self>,
        word_embeddings: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        labels: IntTensor<Self>,
        expected_grad: f64,
    ) -> MaskedLmOutput<Self> {
        let nodes = [hidden.node, word_embeddings.node, bias.node];
        let (hidden, word_embeddings, bias) =
            (hidden.primitive, word_embeddings.primitive, bias.primitive);
        let (loss_sum, correct) = match MaskedLm.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let (output, saved) = KernelsOf::<B>::masked_lm_forward(
                    hidden,
                    word_embeddings,
                    bias,
                    labels,
                    expected_grad,
                );
                (prep.finish(saved, output.loss_sum), output.correct)
            }
            OpsKind::UnTracked(prep) => {
                let output = KernelsOf::<B>::masked_lm(hidden, word_embeddings, bias, labels);
                (prep.finish(output.loss_sum), output.correct)
            }
        };
        MaskedLmOutput {
            loss_sum,
            correct: <Self as AutodiffBackend>::from_inner(correct),
        }
    }
}
