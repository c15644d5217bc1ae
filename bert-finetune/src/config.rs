//! The configuration of a fine-tuning run. Every key, its unit and the reason of its default are in
//! `configs/README.md`.

mod task;

use std::path::PathBuf;

use bert_core::config::{
    BackendConfig, BadRows, FromSection, NonFinite, OptimizerConfig, ScheduleConfig, Section,
};
use bert_core::sample_data::LABELLED;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

pub use task::{
    ChoiceConfig, DEFAULT_PAIR, QuestionsConfig, Scheme, SequenceAnswer, SequenceConfig,
    TaskConfig, TokensConfig,
};

/// A fine-tuning run, from labelled data to a model directory.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FinetuneConfig {
    /// Where everything the run writes goes.
    pub run_dir: PathBuf,
    /// All randomness is a function of this number and of positions in the data.
    pub seed: u64,
    /// Where to compute.
    pub backend: BackendConfig,
    /// The model directory to start from.
    pub model: ModelSource,
    /// What is to be answered.
    pub task: TaskConfig,
    /// The labelled data.
    pub data: DataConfig,
    /// How gradients become updates.
    pub optimizer: OptimizerConfig,
    /// How the learning rate goes over the training.
    pub schedule: FinetuneSchedule,
    /// The training loop.
    pub training: TrainingConfig,
}

/// Where the model's body comes from; its head is new.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelSource {
    /// A model directory, ours or one of transformers.
    pub path: PathBuf,
}

/// The labelled data.
#[derive(Debug, Clone, PartialEq)]
pub struct DataConfig {
    /// What to train on.
    pub train: DataSource,
    /// What to evaluate on during training; `None` for a part of `train`.
    pub valid: Option<PathBuf>,
    /// What to evaluate on at the end.
    pub test: Option<PathBuf>,
    /// The part of `train` that is held out where `valid` is not given.
    pub valid_fraction: f64,
    /// How many of the rows that are left to train on, drawn by the seed, are used; `None` for all.
    pub max_train_rows: Option<usize>,
    /// What becomes of rows that cannot be used.
    pub bad_rows: BadRows,
}

/// Files, or a set that is built in.
#[derive(Debug, Clone, PartialEq)]
pub enum DataSource {
    /// A file.
    File(PathBuf),
    /// A labelled set of the built-in sample, by name; its three files are written into the run directory.
    Sample(String),
}

/// A schedule whose warm-up may be a fraction: how many steps there are is known only with the data.
#[derive(Debug, Clone, PartialEq)]
pub struct FinetuneSchedule {
    schedule: ScheduleConfig,
    warmup_fraction: Option<f64>,
}

/// The training loop. Steps are optimizer steps.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrainingConfig {
    /// Passes over the training data.
    pub epochs: u64,
    /// Ends the training early, after so many steps; `None` to do all epochs.
    pub max_steps: Option<usize>,
    /// Tokens of a micro-batch at most.
    pub batch_tokens: usize,
    /// Examples of a micro-batch at most; `None` for no other bound than tokens.
    pub batch_size: Option<usize>,
    /// Micro-batches a step.
    pub accumulation: usize,
    /// The global norm that gradients are clipped to; `None` to leave them.
    pub max_gradient_norm: Option<f64>,
    /// Steps between two rows of metrics.
    pub log_every_steps: u64,
    /// Epochs between two evaluations; may be a fraction.
    pub evaluate_every_epochs: f64,
    /// Ends the training after so many evaluations without a better one; `None` to go on.
    pub early_stopping_evaluations: Option<usize>,
    /// The metric by which a model is the best; `None` for the task's own.
    pub best_metric: Option<String>,
    /// How many of the latest checkpoints are kept.
    pub keep_checkpoints: usize,
    /// What becomes of a step whose loss or gradient is not finite.
    pub non_finite: NonFinite,
    /// Layers, from the bottom, that training leaves as they are, and the embeddings with them.
    pub freeze_layers: usize,
    /// What the learning rate of each layer is multiplied with, from the head downwards.
    pub layer_decay: f64,
    /// The share of a target that is spread over all classes.
    pub label_smoothing: f64,
    /// What each class weighs in the loss.
    pub class_weights: ClassWeights,
    /// The longest sequence in tokens, the special ones included.
    pub max_seq_length: usize,
}

/// What each class weighs in the loss.
#[derive(Debug, Clone, PartialEq)]
pub enum ClassWeights {
    /// All the same.
    Equal,
    /// `rows / (classes * rows of the class)`, as scikit-learn's `balanced`.
    Balanced,
    /// By the class's name; those that are not named weigh 1.
    Named(Vec<(String, f64)>),
}

impl FromSection for FinetuneConfig {
    fn from_section(section: &mut Section) -> Self {
        let config = Self {
            run_dir: section.path_or("run_dir", "runs/finetune"),
            seed: section.or("seed", 1),
            backend: section.child("backend"),
            model: section.child("model"),
            task: section.child("task"),
            data: section.child("data"),
            optimizer: optimizer(section),
            schedule: section.child("schedule"),
            training: section.child("training"),
        };
        // These compare values with one another, and where one could not be read a placeholder stands.
        if section.problems().borrow().is_empty() {
            config.check(section);
        }
        config
    }
}

/// The optimizer's section; what is left out has the values of fine-tuning.
fn optimizer(section: &mut Section) -> OptimizerConfig {
    let mut inner = section.section("optimizer");
    // Devlin et al. 2019, appendix A.3: 5e-5, 3e-5 or 2e-5 suit most tasks.
    inner.set_default("learning_rate", json!(5e-5));
    let optimizer = OptimizerConfig::from_section(&mut inner);
    inner.finish();
    optimizer
}

impl FinetuneConfig {
    /// What no single section can know.
    fn check(&self, section: &mut Section) {
        let training = &self.training;
        let classes = self.task.has_classes();
        section.check(
            classes || training.label_smoothing == 0.0,
            "training.label_smoothing",
            format!(
                "must be 0 for {}: it has no classes to spread a target over",
                self.task.name()
            ),
        );
        section.check(
            classes || training.class_weights == ClassWeights::Equal,
            "training.class_weights",
            format!("must be null for {}: it has no classes", self.task.name()),
        );
        section.check(
            training.batch_tokens >= training.max_seq_length,
            "training.batch_tokens",
            format!(
                "must be at least training.max_seq_length ({}), found {}",
                training.max_seq_length, training.batch_tokens
            ),
        );
        let room = match &self.task {
            // Beside the longest question there must be a passage.
            TaskConfig::Questions(config) => self.task.least_tokens() + config.max_query_tokens - 1,
            _ => self.task.least_tokens(),
        };
        section.check(
            training.max_seq_length >= room,
            "training.max_seq_length",
            format!("must be at least {room} for {}", self.task.name()),
        );
    }
}

impl FromSection for ModelSource {
    fn from_section(section: &mut Section) -> Self {
        Self {
            path: section.path("path"),
        }
    }
}

impl FromSection for DataConfig {
    fn from_section(section: &mut Section) -> Self {
        const BESIDE: &str = "cannot stand beside sample, which has files of its own: remove one \
                              (--set data='{\"train\": …}' replaces the whole object)";
        let sample = section.optional_name("sample");
        let file = match (&sample, section.has("train")) {
            (Some(_), false) => section.path_if_any("train"),
            _ => Some(section.path("train")),
        };
        let train = match (sample, file) {
            (Some(name), given) => {
                section.check(given.is_none(), "train", BESIDE);
                section.check(
                    LABELLED.contains(&name.as_str()),
                    "sample",
                    format!("\"{name}\" is not one of {}", LABELLED.join(", ")),
                );
                DataSource::Sample(name)
            }
            (None, given) => DataSource::File(given.unwrap_or_default()),
        };
        let is_sample = matches!(train, DataSource::Sample(_));
        let valid = section.optional_path("valid");
        let test = section.optional_path("test");
        for (key, given) in [("valid", &valid), ("test", &test)] {
            section.check(!is_sample || given.is_none(), key, BESIDE);
        }
        Self {
            train,
            valid,
            test,
            valid_fraction: section.fraction("valid_fraction", 0.1),
            max_train_rows: section.optional_positive("max_train_rows"),
            bad_rows: BadRows::of_key(section, "bad_rows"),
        }
    }
}

impl Serialize for DataConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut value = match &self.train {
            DataSource::File(path) => {
                json!({"train": path, "valid": self.valid, "test": self.test})
            }
            DataSource::Sample(name) => json!({ "sample": name }),
        };
        value["valid_fraction"] = json!(self.valid_fraction);
        value["max_train_rows"] = json!(self.max_train_rows);
        value["bad_rows"] = json!(self.bad_rows);
        value.serialize(serializer)
    }
}

impl FromSection for FinetuneSchedule {
    fn from_section(section: &mut Section) -> Self {
        let in_steps = section.has("warmup_steps");
        let in_fraction = section.has("warmup_fraction");
        section.check(
            !(in_steps && in_fraction),
            "warmup_fraction",
            "cannot stand beside warmup_steps: remove one",
        );
        // Devlin et al. 2019 warm up over 10,000 steps of pre-training; their fine-tuning code over a tenth.
        let warmup_fraction = section.fraction("warmup_fraction", 0.1);
        Self {
            schedule: ScheduleConfig::from_section(section),
            warmup_fraction: (!in_steps).then_some(warmup_fraction),
        }
    }
}

impl FinetuneSchedule {
    /// For a training of so many steps.
    pub fn over(&self, steps: u64) -> ScheduleConfig {
        let mut schedule = self.schedule.clone();
        if let Some(fraction) = self.warmup_fraction {
            schedule.set_warmup_steps((fraction * steps as f64) as u64);
        }
        schedule
    }
}

impl Serialize for FinetuneSchedule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut value = serde_json::to_value(&self.schedule).map_err(serde::ser::Error::custom)?;
        if let (Some(fraction), Value::Object(schedule)) = (self.warmup_fraction, &mut value) {
            schedule.shift_remove("warmup_steps");
            schedule.insert("warmup_fraction".into(), json!(fraction));
        }
        value.serialize(serializer)
    }
}

/// Beyond these a slip of the keyboard would ask for more than any machine has.
const MOST_EPOCHS: u64 = 100_000;
const MOST_TOKENS: usize = 1 << 24;
const MOST_LAYERS: usize = 10_000;

impl FromSection for TrainingConfig {
    fn from_section(section: &mut Section) -> Self {
        let max_gradient_norm = section.or("max_gradient_norm", Some(1.0));
        section.check(
            max_gradient_norm.is_none_or(|norm| norm > 0.0),
            "max_gradient_norm",
            "must be above 0, or null for no clipping",
        );
        let evaluate_every_epochs = section.or("evaluate_every_epochs", 1.0);
        section.check(
            evaluate_every_epochs > 0.0,
            "evaluate_every_epochs",
            "must be above 0",
        );
        let layer_decay = section.or("layer_decay", 1.0);
        section.check(
            layer_decay > 0.0 && layer_decay <= 1.0,
            "layer_decay",
            "must be above 0 and at most 1",
        );
        Self {
            epochs: section.number("epochs", 3, 1..=MOST_EPOCHS),
            max_steps: section.optional_positive("max_steps"),
            batch_tokens: section.number("batch_tokens", 2048, 1..=MOST_TOKENS),
            batch_size: section.optional_positive("batch_size"),
            accumulation: section.number("accumulation", 1, 1..=MOST_TOKENS),
            max_gradient_norm,
            log_every_steps: section.number("log_every_steps", 10, 1..=u64::MAX),
            evaluate_every_epochs,
            early_stopping_evaluations: section.optional_positive("early_stopping_evaluations"),
            best_metric: section.or("best_metric", None),
            keep_checkpoints: section.positive("keep_checkpoints", 2),
            non_finite: section.child("non_finite"),
            freeze_layers: section.number("freeze_layers", 0, 0..=MOST_LAYERS),
            layer_decay,
            label_smoothing: section.fraction("label_smoothing", 0.0),
            class_weights: class_weights(section),
            max_seq_length: section.number("max_seq_length", 256, 3..=MOST_TOKENS),
        }
    }
}

fn class_weights(section: &mut Section) -> ClassWeights {
    let value = section.value("class_weights");
    match &value {
        None | Some(Value::Null) => return ClassWeights::Equal,
        Some(Value::String(name)) if name == "balanced" => return ClassWeights::Balanced,
        Some(Value::Object(weights)) => {
            let named: Option<Vec<(String, f64)>> = (weights.iter())
                .map(|(name, weight)| {
                    let weight = weight.as_f64().filter(|weight| *weight > 0.0)?;
                    Some((name.clone(), weight))
                })
                .collect();
            if let Some(named) = named {
                return ClassWeights::Named(named);
            }
        }
        Some(_) => {}
    }
    section.problem(
        "class_weights",
        "must be null, \"balanced\", or an object of positive numbers by class, {\"spam\": 2.5}",
    );
    ClassWeights::Equal
}

impl Serialize for ClassWeights {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Equal => Value::Null.serialize(serializer),
            Self::Balanced => "balanced".serialize(serializer),
            Self::Named(named) => {
                let weights = named
                    .iter()
                    .map(|(name, weight)| (name.clone(), json!(weight)));
                Value::Object(weights.collect()).serialize(serializer)
            }
        }
    }
}
