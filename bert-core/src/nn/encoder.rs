//! The stack of layers.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::{Init, Layer};
use crate::config::BertConfig;
use crate::data::packed::Sequences;
use crate::ops::{BertBackend, DropoutKey};

/// `num_hidden_layers` layers.
#[derive(Module, Debug)]
pub struct Encoder<B: Backend> {
    /// From the embeddings upwards.
    pub layer: Vec<Layer<B>>,
}

impl<B: Backend> Encoder<B> {
    /// With the sizes of `config`.
    pub fn new(config: &BertConfig, init: &Init<'_, B>) -> Self {
        Self {
            layer: (0..config.num_hidden_layers)
                .map(|i| Layer::new(config, &format!("layer.{i}"), init))
                .collect(),
        }
    }
}

impl<B: BertBackend> Encoder<B> {
    /// The output of the last layer.
    ///
    /// # Shapes
    /// `[tokens, hidden] -> [tokens, hidden]`
    pub fn forward(
        &self,
        embedded: Tensor<B, 2>,
        sequences: &Sequences<B>,
        dropout: &DropoutKey,
    ) -> Tensor<B, 2> {
        self.layer.iter().fold(embedded, |hidden_states, layer| {
            layer.forward(hidden_states, sequences, dropout)
        })
    }

    /// What goes into the first layer, then the output of every layer.
    ///
    /// # Shapes
    /// `[tokens, hidden] -> (num_hidden_layers + 1) x [tokens, hidden]`
    pub fn all_hidden_states(
        &self,
        embedded: Tensor<B, 2>,
        sequences: &Sequences<B>,
        dropout: &DropoutKey,
    ) -> Vec<Tensor<B, 2>> {
        let mut all = vec![embedded];
        for layer in &self.layer {
            let below = all[all.len() - 1].clone();
            all.push(layer.forward(below, sequences, dropout));
        }
        all
    }
}
