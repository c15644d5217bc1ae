//! The stack of layers.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::{Init, Layer, Selected};
use crate::config::BertConfig;
use crate::data::packed::{Selection, Sequences};
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

    /// The output of the last layer for the selected tokens. What depends on them alone is not computed for the others: in
    /// masked-LM training that is the query, the attention, its projection and the feed-forward network of 85 % of tokens
    /// in the last layer.
    ///
    /// # Shapes
    /// `[tokens, hidden] -> [selected, hidden]`
    pub fn forward_selected(
        &self,
        embedded: Tensor<B, 2>,
        sequences: &Sequences<B>,
        selection: &Selection<B>,
        dropout: &DropoutKey,
    ) -> Tensor<B, 2> {
        let select = |hidden_states: Tensor<B, 2>| hidden_states.select(0, selection.rows.clone());
        let Some((last, below)) = self.layer.split_last() else {
            return select(embedded);
        };
        let hidden_states = below.iter().fold(embedded, |hidden_states, layer| {
            layer.forward(hidden_states, sequences, dropout)
        });
        let selected = Selected {
            hidden_states: select(hidden_states.clone()),
            sequences: &selection.sequences,
        };
        last.forward_selected(hidden_states, selected, sequences, dropout)
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
