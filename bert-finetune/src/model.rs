//! A model with its head and its loss: what the training loop trains, and what answers.

use std::collections::BTreeSet;
use std::path::Path;

use bert_core::config::BertConfig;
use bert_core::data::packed::{PackedBatch, Selection, Sequences, ids};
use bert_core::error::Result;
use bert_core::loss::{binary_cross_entropy, cross_entropy, grouped_cross_entropy, squared_error};
use bert_core::model::{
    BertForMultipleChoice, BertForQuestionAnswering, BertForSequenceClassification,
    BertForTokenClassification, BertModel,
};
use bert_core::nn::Init;
use bert_core::ops::{BertAutodiffBackend, BertBackend, DropoutKey};
use bert_core::train::{MetricInfo, StepMetrics, StepOutput, Task};
use bert_core::weights::{Checkpoint, Head, Loaded, Part, load_module, save_model};
use burn::module::Module;
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use burn_train::{InferenceStep, TrainOutput, TrainStep};

use crate::examples::FinetuneBatch;

/// Which model answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadKind {
    /// One answer for a sequence.
    Sequence,
    /// One for each token.
    Tokens,
    /// Where an answer begins and ends.
    Questions,
    /// One score for each choice.
    Choice,
}

impl HeadKind {
    /// The class of transformers.
    pub fn architecture(self) -> &'static str {
        match self {
            Self::Sequence => "BertForSequenceClassification",
            Self::Tokens => "BertForTokenClassification",
            Self::Questions => "BertForQuestionAnswering",
            Self::Choice => "BertForMultipleChoice",
        }
    }

    /// The part that the head is in a checkpoint.
    pub fn part(self) -> Part {
        match self {
            Self::Questions => Part::AnswerHead,
            _ => Part::Classifier,
        }
    }

    /// Whether the pooler is part of the model.
    pub fn has_pooler(self) -> bool {
        matches!(self, Self::Sequence | Self::Choice)
    }
}

/// A loss; all are means over an optimizer step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LossKind {
    /// Softmax cross-entropy over the scores of a row.
    CrossEntropy,
    /// Logistic cross-entropy of each score.
    BinaryCrossEntropy,
    /// The squared error.
    SquaredError,
    /// Softmax cross-entropy over the tokens of a sequence, for each column.
    SpanCrossEntropy,
    /// Softmax cross-entropy over the sequences of an example.
    ChoiceCrossEntropy,
}

/// One of the models, by what it answers.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant)]
pub enum TaskModel<B: Backend> {
    /// One answer for a sequence.
    Sequence(BertForSequenceClassification<B>),
    /// One for each token.
    Tokens(BertForTokenClassification<B>),
    /// Where an answer begins and ends.
    Questions(BertForQuestionAnswering<B>),
    /// One score for each choice.
    Choice(BertForMultipleChoice<B>),
}

impl<B: Backend> TaskModel<B> {
    /// With initial weights.
    pub fn new(
        kind: HeadKind,
        outputs: usize,
        config: &BertConfig,
        seed: u64,
        device: &B::Device,
    ) -> Self {
        let init = Init::new(config, seed, device);
        match kind {
            HeadKind::Sequence => {
                Self::Sequence(BertForSequenceClassification::new(config, outputs, &init))
            }
            HeadKind::Tokens => {
                Self::Tokens(BertForTokenClassification::new(config, outputs, &init))
            }
            HeadKind::Questions => Self::Questions(BertForQuestionAnswering::new(config, &init)),
            HeadKind::Choice => Self::Choice(BertForMultipleChoice::new(config, &init)),
        }
    }

    /// With the weights of a directory, but for those of the parts that are to stay as they are.
    ///
    /// # Errors
    /// What reading them gives.
    pub fn load(
        self,
        directory: &Path,
        without: &BTreeSet<Part>,
        device: &B::Device,
    ) -> Result<(Self, Loaded)> {
        let from = Checkpoint::open(directory)?;
        macro_rules! load {
            ($variant:path, $model:expr) => {{
                let (model, loaded) = load_module($model, &from, without, device)?;
                ($variant(model), loaded)
            }};
        }
        Ok(match self {
            Self::Sequence(model) => load!(Self::Sequence, model),
            Self::Tokens(model) => load!(Self::Tokens, model),
            Self::Questions(model) => load!(Self::Questions, model),
            Self::Choice(model) => load!(Self::Choice, model),
        })
    }

    /// Writes configuration and weights.
    ///
    /// # Errors
    /// What writing them gives.
    pub fn save(&self, directory: &Path, config: &BertConfig, head: &Head) -> Result<()> {
        let (all, no_pooler) = (BTreeSet::new(), BTreeSet::from([Part::Pooler]));
        match self {
            Self::Sequence(model) => save_model(directory, model, config, head, &all),
            Self::Tokens(model) => save_model(directory, model, config, head, &no_pooler),
            Self::Questions(model) => save_model(directory, model, config, head, &no_pooler),
            Self::Choice(model) => save_model(directory, model, config, head, &all),
        }
    }

    /// With the embeddings and the first `layers` layers left as they are by training; with 0, nothing is.
    pub fn freeze(mut self, layers: usize) -> Self {
        if layers > 0 {
            let bert = self.bert_mut();
            bert.embeddings = bert.embeddings.clone().no_grad();
            for layer in bert.encoder.layer.iter_mut().take(layers) {
                *layer = layer.clone().no_grad();
            }
        }
        self
    }

    fn bert_mut(&mut self) -> &mut BertModel<B> {
        match self {
            Self::Sequence(model) => &mut model.bert,
            Self::Tokens(model) => &mut model.bert,
            Self::Questions(model) => &mut model.bert,
            Self::Choice(model) => &mut model.bert,
        }
    }

    fn device(&self) -> B::Device {
        let head = match self {
            Self::Sequence(model) => &model.classifier,
            Self::Tokens(model) => &model.classifier,
            Self::Questions(model) => &model.qa_outputs,
            Self::Choice(model) => &model.classifier,
        };
        head.bias.lazy_device()
    }
}

impl<B: BertBackend> TaskModel<B> {
    /// The scores of a batch; a model that labels tokens gives those of the rows of interest.
    ///
    /// # Shapes
    /// `-> [sequences, labels]`, `[tokens of interest, labels]`, `[tokens, 2]` or `[sequences, 1]`
    fn scores(
        &self,
        packed: &PackedBatch<B>,
        tokens: &[usize],
        dropout: &DropoutKey,
    ) -> Tensor<B, 2> {
        match self {
            Self::Sequence(model) => model.forward(packed, dropout),
            Self::Tokens(model) => {
                let rows = tokens.iter().copied();
                let device = packed.input_ids.device();
                let selection = Selection::new(rows, &packed.sequences, &device);
                model.forward(packed, &selection, dropout)
            }
            Self::Questions(model) => model.forward(packed, dropout),
            Self::Choice(model) => model.forward(packed, dropout),
        }
    }
}

/// A model with its loss.
#[derive(Module, Debug)]
pub struct Finetuning<B: Backend> {
    /// What is trained.
    pub model: TaskModel<B>,
    #[module(skip)]
    loss: LossKind,
}

/// A batch's scores and, where targets are known, its loss.
struct Scored<B: Backend> {
    scores: Tensor<B, 2>,
    loss: Option<Tensor<B, 1>>,
}

impl<B: Backend> Finetuning<B> {
    /// A model with a loss.
    pub fn new(model: TaskModel<B>, loss: LossKind) -> Self {
        Self { model, loss }
    }
}

impl<B: BertBackend> Finetuning<B> {
    fn score(&self, batch: &FinetuneBatch, dropout: &DropoutKey) -> Scored<B> {
        let device = self.model.device();
        let packed = batch.sequences.to_device::<B>(&device);
        let scores = self.model.scores(&packed, &batch.tokens, dropout);
        let loss = batch.targets.as_ref().map(|targets| {
            let targets = TensorData::new(targets.to_vec(), scores.dims());
            let targets = Tensor::from_data(targets.convert::<B::FloatElem>(), &device);
            let scores = scores.clone();
            match self.loss {
                LossKind::CrossEntropy => cross_entropy(scores, targets),
                LossKind::BinaryCrossEntropy => binary_cross_entropy(scores, targets),
                LossKind::SquaredError => squared_error(scores, targets),
                LossKind::SpanCrossEntropy => {
                    grouped_cross_entropy(scores, targets, &packed.sequences)
                }
                LossKind::ChoiceCrossEntropy => {
                    let choices = Sequences::new(&batch.sequence_counts, &device);
                    grouped_cross_entropy(scores, targets, &choices)
                }
            }
        });
        Scored { scores, loss }
    }

    /// The summed loss and its weight, both 0 where targets are not known, then all scores row by row.
    fn values(&self, batch: &FinetuneBatch) -> Tensor<B, 1> {
        let Scored { scores, loss } = self.score(batch, &DropoutKey::inference());
        let device = scores.device();
        let weight = loss.as_ref().map_or(0.0, |_| batch.weight);
        let loss = loss.unwrap_or_else(|| Tensor::zeros([1], &device));
        let weight = number(weight, &device);
        Tensor::cat(vec![loss, weight, scores.flatten::<1>(0, 1)], 0)
    }

    /// The scores of each example of a batch, row by row, and the summed loss with its weight.
    pub fn outputs(&self, batch: &FinetuneBatch) -> Outputs {
        Outputs::new(
            batch,
            &self
                .values(batch)
                .into_data()
                .iter::<f64>()
                .collect::<Vec<_>>(),
        )
    }
}

/// What a model gave for a batch.
pub struct Outputs {
    /// The summed loss; 0 where targets are not known.
    pub loss: f64,
    /// What it is divided by; 0 where targets are not known.
    pub weight: f64,
    /// The scores of each example, row by row.
    pub scores: Vec<Vec<f32>>,
}

impl Outputs {
    /// From the values of an evaluation step.
    pub fn new(batch: &FinetuneBatch, values: &[f64]) -> Self {
        let [loss, weight, scores @ ..] = values else {
            unreachable!("an evaluation step gives loss and weight before its scores");
        };
        let rows: usize = batch.row_counts.iter().sum();
        let columns = scores.len().checked_div(rows).unwrap_or(0);
        let mut rest = scores;
        let part = |rows: &usize| {
            let (part, after) = rest.split_at(rows * columns);
            rest = after;
            part.iter().map(|score| *score as f32).collect()
        };
        Self {
            loss: *loss,
            weight: *weight,
            scores: batch.row_counts.iter().map(part).collect(),
        }
    }
}

fn number<B: Backend>(value: f64, device: &B::Device) -> Tensor<B, 1> {
    Tensor::from_data(TensorData::from([value]).convert::<B::FloatElem>(), device)
}

impl<B: BertAutodiffBackend> TrainStep for Finetuning<B> {
    type Input = FinetuneBatch;
    type Output = StepOutput<B>;

    /// The statistics are the summed loss, its weight, how many rows' highest score is the right class's, and how many rows
    /// have a right class.
    fn step(&self, batch: FinetuneBatch) -> TrainOutput<StepOutput<B>> {
        let dropout = DropoutKey::training(batch.dropout_seed);
        let Scored { scores, loss } = self.score(&batch, &dropout);
        let device = scores.device();
        let loss = loss.unwrap_or_else(|| Tensor::zeros([1], &device));
        let mean = loss.clone() * (1.0 / batch.step_weight.max(f64::MIN_POSITIVE));
        let mut statistics = vec![loss.detach(), number(batch.weight, &device)];
        if !batch.classes.is_empty() {
            let classes = ids::<B>(batch.classes.iter().map(|&class| i64::from(class)), &device);
            let chosen = scores.detach().argmax(1).flatten::<1>(0, 1);
            statistics.push(chosen.equal(classes).float().sum());
            statistics.push(number(batch.classes.len() as f64, &device));
        }
        let statistics = StepOutput::Statistics(Tensor::cat(statistics, 0));
        TrainOutput::new(self, mean.backward(), statistics)
    }
}

impl<B: BertBackend> InferenceStep for Finetuning<B> {
    type Input = FinetuneBatch;
    type Output = StepOutput<B>;

    fn step(&self, batch: FinetuneBatch) -> StepOutput<B> {
        StepOutput::Statistics(self.values(&batch))
    }
}

impl<B: BertAutodiffBackend> Task<B> for Finetuning<B> {
    type Batch = FinetuneBatch;

    fn metrics(statistics: &[f64]) -> StepMetrics {
        let &[loss, weight, ..] = statistics else {
            return StepMetrics::default();
        };
        let mut values = vec![(LOSS.name, loss / weight)];
        if let &[_, _, correct, rows] = statistics {
            values.push(("accuracy", correct / rows));
        }
        StepMetrics { values }
    }
}

/// What training lowers.
pub const LOSS: MetricInfo = MetricInfo {
    name: "loss",
    higher_is_better: false,
};
