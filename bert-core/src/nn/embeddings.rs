//! Word, position and token type embeddings, summed, normalised, dropped out.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::{Init, LayerNorm};
use crate::config::BertConfig;
use crate::data::packed::PackedBatch;
use crate::ops::{BertBackend, DropoutKey, LayerNormArgs, primitive, tensor};

/// One embedding table.
#[derive(Module, Debug)]
pub struct Embedding<B: Backend> {
    /// `[rows, hidden]`
    pub weight: Param<Tensor<B, 2>>,
}

/// The input of the encoder (Devlin et al. 2019, figure 2).
#[derive(Module, Debug)]
pub struct Embeddings<B: Backend> {
    /// One row a word piece; also the decoder of the masked-LM head.
    pub word_embeddings: Embedding<B>,
    /// One row a position.
    pub position_embeddings: Embedding<B>,
    /// One row a segment.
    pub token_type_embeddings: Embedding<B>,
    /// After the sum.
    pub layer_norm: LayerNorm<B>,
    hidden_dropout_prob: f64,
}

impl<B: Backend> Embeddings<B> {
    /// With the sizes of `config`.
    pub fn new(config: &BertConfig, init: &Init<'_, B>) -> Self {
        let hidden = config.hidden_size;
        let table = |name: &str, rows, zero_row| Embedding {
            weight: init.table(name, [rows, hidden], zero_row),
        };
        Self {
            word_embeddings: table(
                "word_embeddings",
                config.vocab_size,
                Some(config.pad_token_id),
            ),
            position_embeddings: table("position_embeddings", config.max_position_embeddings, None),
            token_type_embeddings: table("token_type_embeddings", config.type_vocab_size, None),
            layer_norm: init.layer_norm(hidden, config.layer_norm_eps),
            hidden_dropout_prob: config.hidden_dropout_prob,
        }
    }
}

impl<B: BertBackend> Embeddings<B> {
    /// # Shapes
    /// `-> [tokens, hidden]`
    ///
    /// # Panics
    /// On the CPU, where a token's id, position or type is none of the tables' rows ([`BertConfig::check_sequence`] tells
    /// before). What a GPU gives then is not defined.
    pub fn forward(&self, batch: &PackedBatch<B>, dropout: &DropoutKey) -> Tensor<B, 2> {
        let tables = [
            &self.word_embeddings,
            &self.position_embeddings,
            &self.token_type_embeddings,
        ]
        .map(|table| primitive(table.weight.val()));
        let ids = [&batch.input_ids, &batch.position_ids, &batch.token_type_ids]
            .map(|ids| ids.clone().into_primitive());
        let args = LayerNormArgs {
            eps: self.layer_norm.eps,
            dropout: dropout.next(self.hidden_dropout_prob),
        };
        tensor(B::bert_embed(
            tables,
            ids,
            primitive(self.layer_norm.weight.val()),
            primitive(self.layer_norm.bias.val()),
            args,
        ))
    }
}
