//! Multi-head self-attention and its output projection.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::{Init, Linear, ResidualOutput};
use crate::config::BertConfig;
use crate::data::packed::Sequences;
use crate::ops::composed::attention_probabilities;
use crate::ops::{
    Activation, AttentionArgs, AttentionTensors, BertBackend, DropoutKey, primitive, tensor,
};

/// Queries, keys, values, and attention itself.
#[derive(Module, Debug)]
pub struct SelfAttention<B: Backend> {
    /// `[hidden, hidden]`
    pub query: Linear<B>,
    /// `[hidden, hidden]`
    pub key: Linear<B>,
    /// `[hidden, hidden]`
    pub value: Linear<B>,
    num_attention_heads: usize,
    attention_probs_dropout_prob: f64,
}

impl<B: Backend> SelfAttention<B> {
    /// With the sizes of `config`.
    pub fn new(config: &BertConfig, name: &str, init: &Init<'_, B>) -> Self {
        let hidden = config.hidden_size;
        let linear = |part: &str| init.linear(&format!("{name}.{part}"), hidden, hidden);
        Self {
            query: linear("query"),
            key: linear("key"),
            value: linear("value"),
            num_attention_heads: config.num_attention_heads,
            attention_probs_dropout_prob: config.attention_probs_dropout_prob,
        }
    }
}

impl<B: BertBackend> SelfAttention<B> {
    /// What the selected tokens, or all, read from the tokens of their sequence.
    ///
    /// # Shapes
    /// `[tokens, hidden] -> [selected, hidden]`
    pub fn forward(
        &self,
        hidden_states: Tensor<B, 2>,
        selected: Selected<'_, B>,
        sequences: &Sequences<B>,
        dropout: &DropoutKey,
    ) -> Tensor<B, 2> {
        let query = self
            .query
            .forward(selected.hidden_states, Activation::Identity);
        let maps = [&self.key, &self.value].map(|map| map.tensors());
        let key_value = B::bert_joint_linear(primitive(hidden_states), maps);
        let args = AttentionArgs {
            heads: self.num_attention_heads,
            dropout: dropout.next(self.attention_probs_dropout_prob),
        };
        let tensors = AttentionTensors {
            query: primitive(query),
            key_value,
        };
        let context = B::bert_attention(tensors, [selected.sequences, sequences], args);
        tensor(context)
    }

    /// What every token attends to, for looking at.
    ///
    /// # Shapes
    /// `[tokens, hidden] -> [sequences, heads, width, width]`; what lies beyond a sequence's end has no meaning.
    pub fn probabilities(
        &self,
        hidden_states: Tensor<B, 2>,
        sequences: &Sequences<B>,
    ) -> Tensor<B, 4> {
        let query = self
            .query
            .forward(hidden_states.clone(), Activation::Identity);
        let key = self.key.forward(hidden_states, Activation::Identity);
        attention_probabilities(query, key, sequences, self.num_attention_heads)
    }
}

/// The tokens that attend: all of a batch, or some of them.
#[derive(Debug, Clone)]
pub struct Selected<'a, B: Backend> {
    /// `[selected, hidden]`
    pub hidden_states: Tensor<B, 2>,
    /// How many each sequence has.
    pub sequences: &'a Sequences<B>,
}

/// Self-attention, projected, added to its input and normalised.
#[derive(Module, Debug)]
pub struct Attention<B: Backend> {
    /// `attention.self` in checkpoints.
    pub self_attention: SelfAttention<B>,
    /// The projection and the add-and-norm.
    pub output: ResidualOutput<B>,
}

impl<B: Backend> Attention<B> {
    /// With the sizes of `config`.
    pub fn new(config: &BertConfig, name: &str, init: &Init<'_, B>) -> Self {
        Self {
            self_attention: SelfAttention::new(config, &format!("{name}.self"), init),
            output: ResidualOutput::new(
                config,
                config.hidden_size,
                &format!("{name}.output"),
                init,
            ),
        }
    }
}

impl<B: BertBackend> Attention<B> {
    /// # Shapes
    /// `[tokens, hidden] -> [selected, hidden]`
    pub fn forward(
        &self,
        hidden_states: Tensor<B, 2>,
        selected: Selected<'_, B>,
        sequences: &Sequences<B>,
        dropout: &DropoutKey,
    ) -> Tensor<B, 2> {
        let residual = selected.hidden_states.clone();
        let context = self
            .self_attention
            .forward(hidden_states, selected, sequences, dropout);
        self.output.forward(context, residual, dropout)
    }
}
