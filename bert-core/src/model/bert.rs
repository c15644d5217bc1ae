//! The encoder without a head.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use crate::config::BertConfig;
use crate::data::packed::{PackedBatch, Selection};
use crate::nn::{Embeddings, Encoder, Init, Pooler};
use crate::ops::{BertBackend, DropoutKey};

/// Embeddings, encoder and pooler (Devlin et al. 2019, section 3).
#[derive(Module, Debug)]
pub struct BertModel<B: Backend> {
    /// Words, positions, segments.
    pub embeddings: Embeddings<B>,
    /// The layers.
    pub encoder: Encoder<B>,
    /// Of `[CLS]`.
    pub pooler: Pooler<B>,
}

/// What the encoder makes of a batch.
#[derive(Debug, Clone)]
pub struct BertModelOutput<B: Backend> {
    /// `[tokens, hidden]`
    pub last_hidden_state: Tensor<B, 2>,
    /// `[sequences, hidden]`
    pub pooler_output: Tensor<B, 2>,
}

impl<B: Backend> BertModel<B> {
    /// With the sizes of `config` and initial weights.
    pub fn new(config: &BertConfig, init: &Init<'_, B>) -> Self {
        Self {
            embeddings: Embeddings::new(config, init),
            encoder: Encoder::new(config, init),
            pooler: Pooler::new(config, init),
        }
    }
}

impl<B: BertBackend> BertModel<B> {
    /// Encodes a batch; `dropout` says whether this is training.
    ///
    /// # Panics
    /// As [`Embeddings::forward`], which every model calls: where an id, a position or a token type is outside the model's.
    /// [`BertConfig::check_sequence`] tells before.
    pub fn forward(&self, batch: &PackedBatch<B>, dropout: &DropoutKey) -> BertModelOutput<B> {
        let last_hidden_state = self.forward_states(batch, dropout);
        let first_tokens = batch.first_tokens.clone();
        let first_tokens = last_hidden_state.clone().select(0, first_tokens);
        BertModelOutput {
            pooler_output: self.pooler.forward(first_tokens),
            last_hidden_state,
        }
    }

    /// The last layer's output, `[tokens, hidden]`, without the pooler.
    pub fn forward_states(&self, batch: &PackedBatch<B>, dropout: &DropoutKey) -> Tensor<B, 2> {
        let embedded = self.embeddings.forward(batch, dropout);
        self.encoder.forward(embedded, &batch.sequences, dropout)
    }

    /// The pooler's output alone, `[sequences, hidden]`. Of the last layer only `[CLS]` is computed.
    pub fn forward_pooled(&self, batch: &PackedBatch<B>, dropout: &DropoutKey) -> Tensor<B, 2> {
        let device = batch.input_ids.device();
        let starts = batch.sequences.starts();
        let selection = Selection::new(starts, &batch.sequences, &device);
        let first = self.forward_selected(batch, &selection, dropout);
        self.pooler.forward(first)
    }

    /// The last layer's output for the selected tokens, `[selected, hidden]`, without the pooler.
    pub fn forward_selected(
        &self,
        batch: &PackedBatch<B>,
        selection: &Selection<B>,
        dropout: &DropoutKey,
    ) -> Tensor<B, 2> {
        let embedded = self.embeddings.forward(batch, dropout);
        self.encoder
            .forward_selected(embedded, &batch.sequences, selection, dropout)
    }
}
