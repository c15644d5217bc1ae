//! Which of several answers to a question is right.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::{BertModel, HeadDropout};
use crate::config::BertConfig;
use crate::data::packed::PackedBatch;
use crate::nn::{Init, Linear};
use crate::ops::{Activation, BertBackend, DropoutKey};

/// A score for each sequence, which is a question with one of its choices (Devlin et al. 2019, section 4.4). The softmax over
/// the choices of a question is the loss's.
#[derive(Module, Debug)]
pub struct BertForMultipleChoice<B: Backend> {
    /// The encoder.
    pub bert: BertModel<B>,
    /// `[hidden, 1]`
    pub classifier: Linear<B>,
    dropout: HeadDropout,
}

impl<B: Backend> BertForMultipleChoice<B> {
    /// With the sizes of `config` and initial weights.
    pub fn new(config: &BertConfig, init: &Init<'_, B>) -> Self {
        Self {
            bert: BertModel::new(config, init),
            classifier: init.head("classifier", config.hidden_size, 1),
            dropout: HeadDropout::new(config),
        }
    }
}

impl<B: BertBackend> BertForMultipleChoice<B> {
    /// # Shapes
    /// `-> [sequences, 1]`
    pub fn forward(&self, batch: &PackedBatch<B>, dropout: &DropoutKey) -> Tensor<B, 2> {
        let pooled = self.bert.forward_pooled(batch, dropout);
        let pooled = self.dropout.forward(pooled, dropout);
        self.classifier.forward(pooled, Activation::Identity)
    }
}
