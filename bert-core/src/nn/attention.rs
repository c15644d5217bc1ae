//! Multi-head self-attention and its output projection.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::{Init, Linear, ResidualOutput};
use crate::config::BertConfig;
use crate::data::packed::Sequences;
use crate::ops::composed::attention_probabilities;
use crate::ops::{Activation, AttentionArgs, BertBackend, DropoutKey, primitive, tensor};

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
    /// # Shapes
    /// `[tokens, hidden] -> [tokens, hidden]`
    pub fn forward(
        &self,
        hidden_states: Tensor<B, 2>,
        sequences: &Sequences<B>,
        dropout: &DropoutKey,
    ) -> Tensor<B, 2> {
        let qkv = self.project(hidden_states);
        let args = AttentionArgs {
            heads: self.num_attention_heads,
            dropout: dropout.next(self.attention_probs_dropout_prob),
        };
        tensor(B::bert_attention(primitive(qkv), sequences, args))
    }

    /// What every token attends to, for looking at.
    ///
    /// # Shapes
    /// `[tokens, hidden] -> [sequences, heads, longest, longest]`; what lies beyond a sequence's end has no meaning.
    pub fn probabilities(
        &self,
        hidden_states: Tensor<B, 2>,
        sequences: &Sequences<B>,
    ) -> Tensor<B, 4> {
        let qkv = self.project(hidden_states);
        attention_probabilities(qkv, sequences, self.num_attention_heads)
    }

    /// Queries, keys and values side by side: `[tokens, hidden] -> [tokens, 3 * hidden]`
    fn project(&self, hidden_states: Tensor<B, 2>) -> Tensor<B, 2> {
        // One product instead of three: the copy of the weights is small beside it.
        let parts = [&self.query, &self.key, &self.value];
        let weight = Tensor::cat(parts.iter().map(|p| p.weight.val()).collect(), 1);
        let bias = Tensor::cat(parts.iter().map(|p| p.bias.val()).collect(), 0);
        tensor(B::bert_linear(
            primitive(hidden_states),
            primitive(weight),
            primitive(bias),
            Activation::Identity,
        ))
    }
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
    /// `[tokens, hidden] -> [tokens, hidden]`
    pub fn forward(
        &self,
        hidden_states: Tensor<B, 2>,
        sequences: &Sequences<B>,
        dropout: &DropoutKey,
    ) -> Tensor<B, 2> {
        let context = self
            .self_attention
            .forward(hidden_states.clone(), sequences, dropout);
        self.output.forward(context, hidden_states, dropout)
    }
}
