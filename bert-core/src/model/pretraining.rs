//! Pre-training: the masked-LM and next-sentence heads (Devlin et al. 2019, section 3.1).

use burn::module::{Module, Param};
use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor};

use super::BertModel;
use crate::config::BertConfig;
use crate::data::packed::{PackedBatch, Selection, Sequences, ids};
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

/// What the two heads should say, on the host.
#[derive(Debug, Clone, Copy)]
pub struct PreTrainingLabels<'a> {
    /// Rows of the packed batch that are masked; may be empty.
    pub masked_rows: &'a [usize],
    /// Their words, one a row.
    pub masked_labels: &'a [u32],
    /// 0 for "is next", 1 for "is not", one a sequence; `None` where sentences are not predicted.
    pub next_sentence: Option<&'a [u8]>,
    /// What the masked-LM sum will be multiplied with before it is differentiated, as far as that is known; another factor
    /// costs time, nothing else.
    pub mlm_weight: f64,
}

impl PreTrainingLabels<'_> {
    /// The tokens that the heads see: the masked ones, and `[CLS]` where sentences are predicted. `None` where there are
    /// none.
    pub fn selection<B: Backend>(
        &self,
        sequences: &Sequences<B>,
        device: &B::Device,
    ) -> Option<Selection<B>> {
        let mut rows = self.masked_rows.to_vec();
        if self.next_sentence.is_some() {
            rows.extend(sequences.starts());
        }
        (!rows.is_empty()).then(|| Selection::new(rows, sequences, device))
    }
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

impl<B: Backend> PreTrainingLoss<B> {
    fn zero(device: &B::Device) -> Self {
        let zero = || Tensor::zeros([1], device);
        Self {
            mlm_sum: zero(),
            mlm_correct: zero(),
            nsp_sum: zero(),
            nsp_correct: zero(),
        }
    }
}

impl<B: Backend> BertForPreTraining<B> {
    /// With the sizes of `config` and initial weights.
    pub fn new(config: &BertConfig, seed: u64, device: &B::Device) -> Self {
        let init = Init::new(config, seed, device);
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
    /// The loss of a batch. Of the last layer only what the two heads see is computed: masked tokens and `[CLS]`.
    pub fn loss(
        &self,
        batch: &PackedBatch<B>,
        labels: PreTrainingLabels<'_>,
        dropout: &DropoutKey,
    ) -> PreTrainingLoss<B> {
        let device = batch.input_ids.device();
        let Some(selection) = labels.selection(&batch.sequences, &device) else {
            return PreTrainingLoss::zero(&device);
        };
        let hidden_states = self.bert.forward_selected(batch, &selection, dropout);
        self.loss_of_selected(hidden_states, &selection, &batch.sequences, labels)
    }

    /// The two heads and their losses.
    ///
    /// # Shapes
    /// hidden_states `[selected, hidden]`, of the tokens that [`PreTrainingLabels::selection`] says.
    pub fn loss_of_selected(
        &self,
        hidden_states: Tensor<B, 2>,
        selection: &Selection<B>,
        sequences: &Sequences<B>,
        labels: PreTrainingLabels<'_>,
    ) -> PreTrainingLoss<B> {
        let device = hidden_states.device();
        let mut loss = PreTrainingLoss::zero(&device);
        if !labels.masked_rows.is_empty() {
            let rows = selection.places(labels.masked_rows.iter().copied(), &device);
            let transformed = self.transform_rows(hidden_states.clone(), rows);
            let words = labels.masked_labels.iter().map(|&word| i64::from(word));
            let output = B::bert_masked_lm_loss(
                primitive(transformed),
                primitive(self.decoder()),
                primitive(self.cls.predictions.bias.val()),
                ids::<B>(words, &device).into_primitive(),
                labels.mlm_weight,
            );
            loss.mlm_sum = tensor(output.loss_sum);
            loss.mlm_correct = tensor(output.correct);
        }
        if let Some(next_sentence) = labels.next_sentence {
            let rows = selection.places(sequences.starts(), &device);
            let pooled = self.bert.pooler.forward(hidden_states.select(0, rows));
            // Softmax and cross-entropy over a linear map, as for words: its two rows stand for the vocabulary.
            let head = &self.cls.seq_relationship;
            let labels = next_sentence.iter().map(|&label| i64::from(label));
            let output = B::bert_masked_lm_loss(
                primitive(pooled),
                primitive(head.weight.val().transpose()),
                primitive(head.bias.val()),
                ids::<B>(labels, &device).into_primitive(),
                1.0,
            );
            loss.nsp_sum = tensor(output.loss_sum);
            loss.nsp_correct = tensor(output.correct);
        }
        loss
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
        let hidden_states = self.transform_rows(hidden_states, rows);
        tensor(B::bert_masked_lm_logits(
            primitive(hidden_states),
            primitive(self.decoder()),
            primitive(self.cls.predictions.bias.val()),
        ))
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
        let rows = hidden_states.select(0, rows);
        let transform = &self.cls.predictions.transform;
        let hidden = transform.dense.forward(rows, transform.activation);
        transform.layer_norm.forward(hidden)
    }

    fn decoder(&self) -> Tensor<B, 2> {
        self.bert.embeddings.word_embeddings.weight.val()
    }
}
