//! Where in a passage the answer to a question begins and ends.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::BertModel;
use crate::config::BertConfig;
use crate::data::packed::PackedBatch;
use crate::nn::{Init, Linear};
use crate::ops::{Activation, BertBackend, DropoutKey};

/// `h W + b` for every token: how well an answer begins there, and ends there (Devlin et al. 2019, sections 4.2 and 4.3).
/// There is no dropout before the head, and the pooler is not used.
#[derive(Module, Debug)]
pub struct BertForQuestionAnswering<B: Backend> {
    /// The encoder.
    pub bert: BertModel<B>,
    /// `[hidden, 2]`, column 0 for the beginning, 1 for the end.
    pub qa_outputs: Linear<B>,
}

impl<B: Backend> BertForQuestionAnswering<B> {
    /// With the sizes of `config` and initial weights.
    pub fn new(config: &BertConfig, init: &Init<'_, B>) -> Self {
        Self {
            bert: BertModel::new(config, init),
            qa_outputs: init.head("qa_outputs", config.hidden_size, 2),
        }
    }
}

impl<B: BertBackend> BertForQuestionAnswering<B> {
    /// # Shapes
    /// `-> [tokens, 2]`
    pub fn forward(&self, batch: &PackedBatch<B>, dropout: &DropoutKey) -> Tensor<B, 2> {
        let states = self.bert.forward_states(batch, dropout);
        self.qa_outputs.forward(states, Activation::Identity)
    }
}
