//! One answer for a whole text or pair: a class, several labels, or a number.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::{BertModel, HeadDropout};
use crate::config::BertConfig;
use crate::data::packed::PackedBatch;
use crate::nn::{Init, Linear};
use crate::ops::{Activation, BertBackend, DropoutKey};

/// `dropout(pooled) W + b` (Devlin et al. 2019, section 4.1).
#[derive(Module, Debug)]
pub struct BertForSequenceClassification<B: Backend> {
    /// The encoder.
    pub bert: BertModel<B>,
    /// `[hidden, labels]`
    pub classifier: Linear<B>,
    dropout: HeadDropout,
}

impl<B: Backend> BertForSequenceClassification<B> {
    /// With the sizes of `config` and initial weights.
    pub fn new(config: &BertConfig, labels: usize, init: &Init<'_, B>) -> Self {
        Self {
            bert: BertModel::new(config, init),
            classifier: init.head("classifier", config.hidden_size, labels),
            dropout: HeadDropout::new(config),
        }
    }
}

impl<B: BertBackend> BertForSequenceClassification<B> {
    /// The scores of every label. Of the last layer only `[CLS]` is computed.
    ///
    /// # Shapes
    /// `-> [sequences, labels]`
    pub fn forward(&self, batch: &PackedBatch<B>, dropout: &DropoutKey) -> Tensor<B, 2> {
        let pooled = self.bert.forward_pooled(batch, dropout);
        let pooled = self.dropout.forward(pooled, dropout);
        self.classifier.forward(pooled, Activation::Identity)
    }
}
