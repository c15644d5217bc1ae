//! The representation of a whole sequence.

use burn::module::Module;
use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor};

use super::{Init, Linear};
use crate::config::BertConfig;
use crate::ops::{Activation, BertBackend, primitive, tensor};

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
    /// # Shapes
    /// hidden_states `[tokens, hidden]`, first_tokens `[sequences]` -> `[sequences, hidden]`
    pub fn forward(
        &self,
        hidden_states: Tensor<B, 2>,
        first_tokens: Tensor<B, 1, Int>,
    ) -> Tensor<B, 2> {
        let first = B::bert_gather_rows(primitive(hidden_states), first_tokens.into_primitive());
        self.dense.forward(tensor(first), Activation::Tanh)
    }
}
