//! The configuration of a pre-training run; `configs/README.md` describes every key.

use std::path::PathBuf;

use bert_core::config::{
    BackendConfig, BertConfig, FromSection, OptimizerConfig, ScheduleConfig, Section, read_value,
};
use bert_core::sample_data::DEFAULT_DOCUMENTS;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

/// `configs/pretrain/*.json`
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PretrainConfig {
    /// Where everything is written.
    pub run_dir: PathBuf,
    /// Decides weights, order, pairs, masks and dropout.
    pub seed: u64,
    /// Where prepared corpora are kept for the next run.
    pub cache_dir: PathBuf,
    /// What computes.
    pub backend: BackendConfig,
    /// What is trained.
    pub model: ModelSource,
    /// What cuts text into word pieces.
    pub tokenizer: TokenizerConfig,
    /// What is read.
    pub corpus: CorpusConfig,
    /// What is asked of the model.
    pub examples: ExamplesConfig,
    /// The update rule.
    pub optimizer: OptimizerConfig,
    /// The learning rate over time.
    pub schedule: ScheduleConfig,
    /// How long, how much at a time, and how often what.
    pub training: TrainingConfig,
}

/// Initial weights of some sizes, or the weights of a model directory.
#[derive(Debug, Clone, PartialEq)]
pub enum ModelSource {
    /// Sizes; `vocab_size` 0 takes the tokenizer's.
    Sizes(BertConfig),
    /// A model directory to go on from.
    Directory(PathBuf),
}

impl Serialize for ModelSource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Sizes(config) => config.serialize(serializer),
            Self::Directory(path) => json!({ "path": path }).serialize(serializer),
        }
    }
}

/// Where the vocabulary comes from.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum TokenizerConfig {
    /// Learnt from the corpus.
    Train {
        /// At most so many tokens.
        vocab_size: usize,
        /// Whether case and accents are dropped.
        lowercase: bool,
        /// Words and pieces that occur less often are not learnt.
        min_frequency: u64,
    },
    /// Read from a directory or file.
    Load {
        /// Of a tokenizer.json, a vocab.txt, or a directory with one.
        path: PathBuf,
    },
}

/// Where text comes from.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum CorpusConfig {
    /// The built-in generator.
    Sample {
        /// How many articles.
        documents: usize,
    },
    /// Plain text, `.gz` and `.zst` too.
    Text {
        /// Files, directories, globs.
        paths: Vec<String>,
        /// Where sentences end.
        sentences: Sentences,
        /// Where documents end.
        documents: Documents,
    },
    /// A document a line, in a field of a JSON object; `.gz` and `.zst` too.
    Jsonl {
        /// Files, directories, globs.
        paths: Vec<String>,
        /// The field.
        field: String,
        /// Where sentences end.
        sentences: Sentences,
    },
}

/// Where sentences end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sentences {
    /// With the line.
    Lines,
    /// Where Unicode's segmentation (UAX #29) says.
    Split,
}

/// Where documents end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Documents {
    /// At an empty line.
    BlankLine,
    /// With the file.
    File,
}

/// What is asked of the model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExamplesConfig {
    /// The longest sequence, in tokens.
    pub max_seq_length: usize,
    /// The share of tokens to predict.
    pub masked_fraction: f64,
    /// Whether the pieces of a word are masked together.
    pub whole_word: bool,
    /// The sentence-level objective.
    pub pairs: Pairs,
    /// The share of documents cut into shorter sequences.
    pub short_seq_probability: f64,
    /// The share of documents held out.
    pub valid_fraction: f64,
}

/// The sentence-level objective.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pairs {
    /// Does B follow A, or is it from elsewhere (BERT)?
    Nsp,
    /// Does B follow A, or A follow B (ALBERT)?
    Sop,
    /// None: full sentences only (RoBERTa).
    None,
}

/// How long, how much at a time, and how often what.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrainingConfig {
    /// Optimizer steps.
    pub steps: u64,
    /// Tokens of a micro-batch, at most.
    pub batch_tokens: usize,
    /// Micro-batches a step.
    pub accumulation: usize,
    /// Gradients are scaled down to this global norm; `null` leaves them.
    pub max_gradient_norm: Option<f64>,
    /// Steps from one logged step to the next.
    pub log_every_steps: u64,
    /// Steps from one evaluation to the next.
    pub evaluate_every_steps: u64,
    /// Held-out tokens an evaluation reads, at most.
    pub evaluate_tokens: usize,
    /// Steps from one checkpoint to the next.
    pub checkpoint_every_steps: u64,
    /// Checkpoints kept.
    pub keep_checkpoints: usize,
}

impl FromSection for PretrainConfig {
    fn from_section(section: &mut Section) -> Self {
        let config = Self {
            run_dir: section.or("run_dir", "runs/pretrain".into()),
            seed: section.or("seed", 1),
            cache_dir: section.or("cache_dir", "runs/cache".into()),
            backend: section.child("backend"),
            model: section.child("model"),
            tokenizer: section.child("tokenizer"),
            corpus: section.child("corpus"),
            examples: section.child("examples"),
            optimizer: section.child("optimizer"),
            schedule: section.child("schedule"),
            training: section.child("training"),
        };
        let (examples, training) = (&config.examples, &config.training);
        if let ModelSource::Sizes(sizes) = &config.model {
            section.check(
                examples.max_seq_length <= sizes.max_position_embeddings,
                "examples.max_seq_length",
                format!(
                    "is {}, beyond the model's {} positions",
                    examples.max_seq_length, sizes.max_position_embeddings
                ),
            );
        }
        section.check(
            training.batch_tokens >= examples.max_seq_length,
            "training.batch_tokens",
            "must hold at least one sequence of examples.max_seq_length",
        );
        section.check(
            config.schedule.least_steps() <= training.steps,
            "schedule",
            format!("warm-up and decay are longer than the {} training.steps", training.steps),
        );
        config
    }
}

impl FromSection for ModelSource {
    fn from_section(section: &mut Section) -> Self {
        if section.has("path") {
            return Self::Directory(section.required("path"));
        }
        if !section.has("config") {
            return Self::Sizes(BertConfig::from_section(section));
        }
        // The file's keys, overridden by those beside it.
        let path: PathBuf = section.required("config");
        let file = match read_value(&path) {
            Ok(file) => file,
            Err(error) => {
                section.problem("config", error.to_string());
                json!({"hidden_size": 2, "num_hidden_layers": 1, "num_attention_heads": 1})
            }
        };
        let mut merged = section.take_rest();
        if let (Value::Object(merged), Value::Object(file)) = (&mut merged, file) {
            for (key, value) in file {
                merged.entry(key).or_insert(value);
            }
        }
        let mut inner = Section::new("model", merged, section.problems());
        let sizes = BertConfig::from_section(&mut inner);
        inner.finish();
        Self::Sizes(sizes)
    }
}

impl FromSection for TokenizerConfig {
    fn from_section(section: &mut Section) -> Self {
        if section.choice("type", &[("train", false), ("load", true)], false) {
            return Self::Load {
                path: section.required("path"),
            };
        }
        Self::Train {
            vocab_size: section.positive("vocab_size", 8192),
            lowercase: section.or("lowercase", true),
            min_frequency: section.or("min_frequency", 2),
        }
    }
}

impl FromSection for CorpusConfig {
    fn from_section(section: &mut Section) -> Self {
        let kinds = [("sample", 0), ("text", 1), ("jsonl", 2)];
        let sentences = [("lines", Sentences::Lines), ("split", Sentences::Split)];
        match section.choice("type", &kinds, 0) {
            0 => Self::Sample {
                documents: section.positive("documents", DEFAULT_DOCUMENTS),
            },
            1 => {
                let documents = [
                    ("blank_line", Documents::BlankLine),
                    ("file", Documents::File),
                ];
                Self::Text {
                    paths: paths(section),
                    sentences: section.choice("sentences", &sentences, Sentences::Lines),
                    documents: section.choice("documents", &documents, Documents::BlankLine),
                }
            }
            _ => Self::Jsonl {
                paths: paths(section),
                field: section.or("field", "text".to_string()),
                sentences: section.choice("sentences", &sentences, Sentences::Split),
            },
        }
    }
}

fn paths(section: &mut Section) -> Vec<String> {
    let missing = !section.has("paths");
    let paths: Vec<String> = section.required("paths");
    section.check(missing || !paths.is_empty(), "paths", "names nothing to read");
    paths
}

impl FromSection for ExamplesConfig {
    fn from_section(section: &mut Section) -> Self {
        let pairs = [
            ("nsp", Pairs::Nsp),
            ("sop", Pairs::Sop),
            ("none", Pairs::None),
        ];
        let config = Self {
            max_seq_length: section.or("max_seq_length", 128),
            masked_fraction: section.fraction("masked_fraction", 0.15),
            whole_word: section.or("whole_word", false),
            pairs: section.choice("pairs", &pairs, Pairs::Nsp),
            short_seq_probability: section.fraction("short_seq_probability", 0.1),
            valid_fraction: section.fraction("valid_fraction", 0.05),
        };
        section.check(
            config.max_seq_length >= 8,
            "max_seq_length",
            "must be at least 8: three special tokens and some text",
        );
        config
    }
}

impl FromSection for TrainingConfig {
    fn from_section(section: &mut Section) -> Self {
        let config = Self {
            steps: section.or("steps", 1000),
            batch_tokens: section.positive("batch_tokens", 4096),
            accumulation: section.positive("accumulation", 1),
            max_gradient_norm: section.or("max_gradient_norm", Some(1.0)),
            log_every_steps: section.or("log_every_steps", 10),
            evaluate_every_steps: section.or("evaluate_every_steps", 200),
            evaluate_tokens: section.positive("evaluate_tokens", 131_072),
            checkpoint_every_steps: section.or("checkpoint_every_steps", 200),
            keep_checkpoints: section.positive("keep_checkpoints", 2),
        };
        for (key, value) in [
            ("steps", config.steps),
            ("log_every_steps", config.log_every_steps),
            ("evaluate_every_steps", config.evaluate_every_steps),
            ("checkpoint_every_steps", config.checkpoint_every_steps),
        ] {
            section.check(value > 0, key, "must be at least 1");
        }
        section.check(
            config.max_gradient_norm.is_none_or(|norm| norm > 0.0),
            "max_gradient_norm",
            "must be above 0, or null",
        );
        config
    }
}
