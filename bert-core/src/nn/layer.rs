//! One layer of the encoder, post-LN as in the paper.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::{Attention, Init, Intermediate, ResidualOutput, Selected};
use crate::config::BertConfig;
use crate::data::packed::Sequences;
use crate::ops::{BertBackend, DropoutKey};

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
        self.output
            .feed_forward(&self.intermediate, attended, dropout)
    }
}
