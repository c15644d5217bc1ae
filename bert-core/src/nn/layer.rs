//! One layer of the encoder, post-LN as in the paper.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::{Attention, Init, Intermediate, ResidualOutput, Selected};
use crate::config::BertConfig;
use crate::data::packed::Sequences;
use crate::ops::{BertBackend, DropoutKey, primitive, tensor};

/// Attention, then the feed-forward network.
#[derive(Module, Debug)]
pub struct Layer<B: Backend> {
    /// The first half.
    pub attention: Attention<B>,
    /// The first map of the feed-forward network.
    pub intermediate: Intermediate<B>,
    /// The second, and its add-and-norm.
    pub output: ResidualOutput<B>,
}

impl<B: Backend> Layer<B> {
    /// With the sizes of `config`.
    pub fn new(config: &BertConfig, name: &str, init: &Init<'_, B>) -> Self {
        Self {
            attention: Attention::new(config, &format!("{name}.attention"), init),
            intermediate: Intermediate::new(config, &format!("{name}.intermediate"), init),
            output: ResidualOutput::new(
                config,
                config.intermediate_size,
                &format!("{name}.output"),
                init,
            ),
        }
    }
}

impl<B: BertBackend> Layer<B> {
    /// # Shapes
    /// `[tokens, hidden] -> [tokens, hidden]`
    pub fn forward(
        &self,
        hidden_states: Tensor<B, 2>,
        sequences: &Sequences<B>,
        dropout: &DropoutKey,
    ) -> Tensor<B, 2> {
        let selected = Selected {
            hidden_states: hidden_states.clone(),
            sequences,
        };
        self.forward_selected(hidden_states, selected, sequences, dropout)
    }

    /// The states of the selected tokens only: of the others, this layer computes keys and values.
    ///
    /// # Shapes
    /// `[tokens, hidden] -> [selected, hidden]`
    pub fn forward_selected(
        &self,
        hidden_states: Tensor<B, 2>,
        selected: Selected<'_, B>,
        sequences: &Sequences<B>,
        dropout: &DropoutKey,
    ) -> Tensor<B, 2> {
        let attended = self
            .attention
            .forward(hidden_states, selected, sequences, dropout);
        self.feed_forward(attended, dropout)
    }

    /// The second half: `LayerNorm(x + dropout(activation(x W₁ + b₁) W₂ + b₂))` (Vaswani et al. 2017, section 3.3).
    ///
    /// # Shapes
    /// `[tokens, hidden] -> [tokens, hidden]`
    pub fn feed_forward(&self, x: Tensor<B, 2>, dropout: &DropoutKey) -> Tensor<B, 2> {
        let maps = [&self.intermediate.dense, &self.output.dense].map(|map| map.tensors());
        let activation = self.intermediate.activation;
        let y = B::bert_feed_forward(primitive(x.clone()), maps, activation);
        self.output.add_and_norm(tensor(y), x, dropout)
    }
}
