//! A label for every token: names, parts of speech.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::{BertModel, HeadDropout};
use crate::config::BertConfig;
use crate::data::packed::{PackedBatch, Selection};
use crate::nn::{Init, Linear};
use crate::ops::{Activation, BertBackend, DropoutKey};

/// `dropout(h) W + b` for every token (Devlin et al. 2019, section 5.3). The pooler is not used.
#[derive(Module, Debug)]
pub struct BertForTokenClassification<B: Backend> {
    /// The encoder.
    pub bert: BertModel<B>,
    /// `[hidden, labels]`
    pub classifier: Linear<B>,
    dropout: HeadDropout,
}

impl<B: Backend> BertForTokenClassification<B> {
    /// With the sizes of `config` and initial weights.
    pub fn new(config: &BertConfig, labels: usize, init: &Init<'_, B>) -> Self {
        Self {
            bert: BertModel::new(config, init),
            classifier: init.head("classifier", config.hidden_size, labels),
            dropout: HeadDropout::new(config),
        }
    }
}

impl<B: BertBackend> BertForTokenClassification<B> {
    /// The scores of every label for the selected tokens, such as the first piece of every word; the last layer is
    /// computed for them alone.
    ///
    /// # Shapes
    /// `-> [selected, labels]`
    pub fn forward(
        &self,
        batch: &PackedBatch<B>,
        selection: &Selection<B>,
        dropout: &DropoutKey,
    ) -> Tensor<B, 2> {
        let states = self.bert.forward_selected(batch, selection, dropout);
        let states = self.dropout.forward(states, dropout);
        self.classifier.forward(states, Activation::Identity)
    }
}
