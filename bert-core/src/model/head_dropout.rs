//! The dropout before a classifier.

use burn::module::Module;
use burn::tensor::Tensor;

use crate::config::BertConfig;
use crate::ops::{BertBackend, DropoutKey};

/// Drops elements of what a classifier reads, at `classifier_dropout` or, where that is not set, `hidden_dropout_prob`.
#[derive(Module, Clone, Debug)]
pub(super) struct HeadDropout {
    probability: f64,
}

impl HeadDropout {
    pub(super) fn new(config: &BertConfig) -> Self {
        let probability = config.classifier_dropout;
        Self {
            probability: probability.unwrap_or(config.hidden_dropout_prob),
        }
    }

    /// # Shapes
    /// `[rows, hidden] -> [rows, hidden]`
    pub(super) fn forward<B: BertBackend>(
        &self,
        x: Tensor<B, 2>,
        dropout: &DropoutKey,
    ) -> Tensor<B, 2> {
        let mask = dropout.next(self.probability).mask(x.dims(), &x.device());
        match mask {
            Some(mask) => x * mask,
            None => x,
        }
    }
}
