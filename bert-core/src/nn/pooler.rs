//! The representation of a whole sequence.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::{Init, Linear};
use crate::config::BertConfig;
use crate::ops::{Activation, BertBackend};

/// `tanh(h_[CLS] W + b)`.
#[derive(Module, Debug)]
pub struct Pooler<B: Backend> {
    /// `[hidden, hidden]`
    pub dense: Linear<B>,
}

impl<B: Backend> Pooler<B> {
    /// With the sizes of `config`.
    pub fn new(config: &BertConfig, init: &Init<'_, B>) -> Self {
        Self {
            dense: init.linear("pooler.dense", config.hidden_size, config.hidden_size),
        }
    }
}

impl<B: BertBackend> Pooler<B> {
    /// Takes the last layer's output for the first token of every sequence.
    ///
    /// # Shapes
    /// `[sequences, hidden] -> [sequences, hidden]`
    pub fn forward(&self, first_tokens: Tensor<B, 2>) -> Tensor<B, 2> {
        self.dense.forward(first_tokens, Activation::Tanh)
    }
}
