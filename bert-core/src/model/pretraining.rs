//! Pre-training: the masked-LM and next-sentence heads (Devlin et al. 2019, section 3.1).

use burn::module::{Module, Param};
use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor};

use super::{BertModel, BertOutput};
use crate::config::BertConfig;
use crate::data::packed::PackedBatch;
use crate::nn::{Init, LayerNorm, Linear};
use crate::ops::{Activation, BertBackend, DropoutKey, primitive, tensor};

/// `bert` and `cls`, as in checkpoints.
#[derive(Module, Debug)]
pub struct BertForPreTraining<B: Backend> {
    /// The encoder.
    pub bert: BertModel<B>,
    /// The heads.
    pub cls: PreTrainingHeads<B>,
}

/// The two heads.
#[derive(Module, Debug)]
pub struct PreTrainingHeads<B: Backend> {
    /// Masked words.
    pub predictions: PredictionHead<B>,
    /// Next sentence: `[hidden, 2]`, column 0 for "is next", 1 for "is not".
    pub seq_relationship: Linear<B>,
}

/// The masked-LM head. Its decoder is the word embedding matrix itself: one parameter, used twice.
#[derive(Module, Debug)]
pub struct PredictionHead<B: Backend> {
    /// Dense, activation, LayerNorm.
    pub transform: Transform<B>,
    /// `[vocabulary]`
    pub bias: Param<Tensor<B, 1>>,
}

/// `LayerNorm(activation(x W + b))`.
#[derive(Module, Debug)]
pub struct Transform<B: Backend> {
    /// `[hidden, hidden]`
    pub dense: Linear<B>,
    /// `LayerNorm` in checkpoints.
    pub layer_norm: LayerNorm<B>,
    #[module(skip)]
    activation: Activation,
}

/// What the two heads should say.
#[derive(Debug, Clone)]
pub struct PreTrainingLabels<B: Backend> {
    /// Rows of the packed batch that are masked, `[masked]`; may be empty.
    pub masked_rows: Tensor<B, 1, Int>,
    /// Their words, `[masked]`.
    pub masked_labels: Tensor<B, 1, Int>,
    /// 0 for "is next", 1 for "is not", `[sequences]`; `None` where sentences are not predicted.
    pub next_sentence: Option<Tensor<B, 1, Int>>,
}

/// Sums, not means, so that micro-batches add up with the right weights. All `[1]`.
#[derive(Debug, Clone)]
pub struct PreTrainingLoss<B: Backend> {
    /// The sum of the masked-LM loss over the masked tokens.
    pub mlm_sum: Tensor<B, 1>,
    /// How many masked tokens were predicted.
    pub mlm_correct: Tensor<B, 1>,
    /// The sum of the next-sentence loss over the sequences.
    pub nsp_sum: Tensor<B, 1>,
    /// How many sequences were predicted.
    pub nsp_correct: Tensor<B, 1>,
}

impl<B: Backend> BertForPreTraining<B> {
    /// With the sizes of `config` and initial weights.
    pub fn new(config: &BertConfig, seed: u64, device: &B::Device) -> Self {
        let init = Init {
            seed,
            deviation: config.initializer_range,
            device,
        };
        Self {
            bert: BertModel::new(config, &init),
            cls: PreTrainingHeads {
                predictions: PredictionHead {
                    transform: Transform {
                        dense: init.linear("cls.transform", config.hidden_size, config.hidden_size),
                        layer_norm: init.layer_norm(config.hidden_size, config.layer_norm_eps),
                        activation: config.hidden_act.into(),
                    },
                    bias: init.vector(0.0, config.vocab_size),
                },
                seq_relationship: init.linear("cls.seq_relationship", config.hidden_size, 2),
            },
        }
    }
}

impl<B: BertBackend> BertForPreTraining<B> {
    /// The loss of a batch.
    pub fn loss(
        &self,
        batch: &PackedBatch<B>,
        labels: PreTrainingLabels<B>,
        dropout: &DropoutKey,
    ) -> PreTrainingLoss<B> {
        let BertOutput {
            hidden_states,
            pooled,
        } = self.bert.forward(batch, dropout);
        let device = pooled.device();
        let zero = || Tensor::<B, 1>::zeros([1], &device);
        let (mlm_sum, mlm_correct) = if labels.masked_labels.dims()[0] == 0 {
            (zero(), zero())
        } else {
            let transformed = self.transform_rows(hidden_states, labels.masked_rows);
            let output = B::bert_masked_lm_loss(
                primitive(transformed),
                primitive(self.decoder()),
                primitive(self.cls.predictions.bias.val()),
                labels.masked_labels.into_primitive(),
            );
            (tensor(output.loss_sum), tensor(output.correct))
        };
        let (nsp_sum, nsp_correct) = match labels.next_sentence {
            None => (zero(), zero()),
            Some(next_sentence) => {
                // Softmax and cross-entropy over a linear map, as for words: its two rows stand for the vocabulary.
                let head = &self.cls.seq_relationship;
                let output = B::bert_masked_lm_loss(
                    primitive(pooled),
                    primitive(head.weight.val().transpose()),
                    primitive(head.bias.val()),
                    next_sentence.into_primitive(),
                );
                (tensor(output.loss_sum), tensor(output.correct))
            }
        };
        PreTrainingLoss {
            mlm_sum,
            mlm_correct,
            nsp_sum,
            nsp_correct,
        }
    }

    /// Scores of every word at some rows of the encoder's output.
    ///
    /// # Shapes
    /// hidden_states `[tokens, hidden]`, rows `[n]` -> `[n, vocabulary]`
    pub fn masked_lm_logits(
        &self,
        hidden_states: Tensor<B, 2>,
        rows: Tensor<B, 1, Int>,
    ) -> Tensor<B, 2> {
        self.transform_rows(hidden_states, rows)
            .matmul(self.decoder().transpose())
            + self.cls.predictions.bias.val().unsqueeze::<2>()
    }

    /// Scores of "is next" and "is not".
    ///
    /// # Shapes
    /// pooled `[sequences, hidden]` -> `[sequences, 2]`
    pub fn next_sentence_logits(&self, pooled: Tensor<B, 2>) -> Tensor<B, 2> {
        self.cls
            .seq_relationship
            .forward(pooled, Activation::Identity)
    }

    fn transform_rows(&self, hidden_states: Tensor<B, 2>, rows: Tensor<B, 1, Int>) -> Tensor<B, 2> {
        let rows = B::bert_gather_rows(primitive(hidden_states), rows.into_primitive());
        let transform = &self.cls.predictions.transform;
        let hidden = transform.dense.forward(tensor(rows), transform.activation);
        transform.layer_norm.forward(hidden)
    }

    fn decoder(&self) -> Tensor<B, 2> {
        self.bert.embeddings.word_embeddings.weight.val()
    }
}
