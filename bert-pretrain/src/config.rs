//! The configuration of a pre-training run. Every key, its unit and the reason of its default are in
//! `configs/README.md`.

use std::path::{Path, PathBuf};

use bert_core::config::{
    BackendConfig, BadRows, BertConfig, FromSection, NonFinite, OptimizerConfig, ScheduleConfig,
    Section, from_value, read_value,
};
use bert_core::error::Error;
use bert_core::sample_data::DEFAULT_DOCUMENTS;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value, json};

/// A pre-training run, from raw text to a model directory.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct PretrainConfig {
    /// Where everything the run writes goes.
    pub run_dir: PathBuf,
    /// All randomness is a function of this number and of positions in the data.
    pub seed: u64,
    /// Where tokenized corpora are kept for other runs.
    pub cache_dir: PathBuf,
    /// Where to compute.
    pub backend: BackendConfig,
    /// The model to train.
    pub model: ModelSource,
    /// Its vocabulary.
    pub tokenizer: TokenizerConfig,
    /// The text.
    pub corpus: CorpusConfig,
    /// How text becomes training examples.
    pub examples: ExamplesConfig,
    /// How gradients become updates.
    pub optimizer: OptimizerConfig,
    /// How the learning rate goes over the training.
    pub schedule: ScheduleConfig,
    /// The training loop.
    pub training: TrainingConfig,
}

/// A new model or a trained one.
#[derive(Debug, Clone, PartialEq)]
pub enum ModelSource {
    /// A new model of these sizes; `vocab_size` is 0 where it is left to the tokenizer.
    Sizes(BertConfig),
    /// The model directory to go on from.
    Directory(PathBuf),
}

/// Where the vocabulary comes from.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum TokenizerConfig {
    /// WordPiece learnt from the corpus.
    Train {
        /// Tokens to learn, the special ones included.
        vocab_size: usize,
        /// Whether text is lower-cased and stripped of its accents.
        lowercase: bool,
        /// How often a pair of pieces must occur to become a token.
        min_frequency: u64,
        /// How many characters the vocabulary has, the most frequent ones; all where it is not said.
        limit_alphabet: Option<usize>,
    },
    /// One that is there already.
    Load {
        /// A model directory, a `tokenizer.json` or a `vocab.txt`.
        path: PathBuf,
    },
}

/// Where the text comes from.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum CorpusConfig {
    /// The built-in corpus.
    Sample {
        /// Documents to make.
        documents: usize,
    },
    /// Plain text files.
    Text {
        /// Files, directories or glob patterns.
        paths: Vec<String>,
        /// What ends a sentence.
        sentences: Sentences,
        /// What ends a document.
        documents: Documents,
        /// What becomes of lines that are no text.
        bad_lines: BadRows,
    },
    /// JSON Lines: each line an object, and that a document.
    Jsonl {
        /// Files, directories or glob patterns.
        paths: Vec<String>,
        /// The key of the text.
        field: String,
        /// What ends a sentence.
        sentences: Sentences,
        /// What becomes of lines that hold no text.
        bad_lines: BadRows,
    },
}

/// What ends a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sentences {
    /// The end of the line.
    Lines,
    /// The rules of the language's punctuation.
    Split,
}

/// What ends a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Documents {
    /// An empty line.
    BlankLine,
    /// The end of the file.
    File,
}

/// How text becomes training examples.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct ExamplesConfig {
    /// The longest sequence in tokens, the special ones included.
    pub max_seq_length: usize,
    /// The fraction of tokens to predict.
    pub masked_fraction: f64,
    /// Whether all pieces of a word are masked together.
    pub whole_word: bool,
    /// What the second half of an example is.
    pub pairs: Pairs,
    /// How often an example is made shorter at random.
    pub short_seq_probability: f64,
    /// The fraction of documents held out for evaluation.
    pub valid_fraction: f64,
}

/// What the second half of an example is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pairs {
    /// The next sentences or, half the time, those of another document (BERT).
    Nsp,
    /// The next sentences or, half the time, the two halves swapped (ALBERT).
    Sop,
    /// There is none: sentences fill the whole sequence (RoBERTa).
    None,
}

/// The training loop. Steps are optimizer steps.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct TrainingConfig {
    /// The length of the training.
    pub steps: u64,
    /// Tokens of a micro-batch at most.
    pub batch_tokens: usize,
    /// Micro-batches a step.
    pub accumulation: usize,
    /// The global norm that gradients are clipped to; `None` to leave them.
    pub max_gradient_norm: Option<f64>,
    /// Steps between two rows of metrics.
    pub log_every_steps: u64,
    /// Steps between two evaluations.
    pub evaluate_every_steps: u64,
    /// Held-out tokens of an evaluation at most.
    pub evaluate_tokens: usize,
    /// Steps between two checkpoints.
    pub checkpoint_every_steps: u64,
    /// How many of the latest checkpoints are kept.
    pub keep_checkpoints: usize,
    /// What becomes of a step whose loss or gradient is not finite.
    pub non_finite: NonFinite,
}

/// Beyond these a slip of the keyboard would ask for more than any machine has. The largest vocabularies in use have a
/// million tokens; a vocabulary takes memory for its size before the first token is learnt.
const LARGEST_VOCABULARY: usize = 10_000_000;
const LARGEST_SIZE: usize = 1 << 20;
const MOST_BATCH_TOKENS: usize = 1 << 30;
const MOST_DOCUMENTS: usize = 10_000_000;
const MOST_STEPS: u64 = 1_000_000_000_000;

impl FromSection for PretrainConfig {
    fn from_section(section: &mut Section) -> Self {
        let has_tokenizer = section.has("tokenizer");
        let mut config = Self {
            run_dir: section.path_or("run_dir", "runs/pretrain"),
            seed: section.or("seed", 1),
            cache_dir: section.path_or("cache_dir", "runs/cache"),
            backend: section.child("backend"),
            model: section.child("model"),
            tokenizer: section.child("tokenizer"),
            corpus: section.child("corpus"),
            examples: section.child("examples"),
            optimizer: section.child("optimizer"),
            schedule: section.child("schedule"),
            training: section.child("training"),
        };
        if let ModelSource::Directory(path) = &config.model
            && !has_tokenizer
        {
            // Trained weights belong to their own vocabulary.
            config.tokenizer = TokenizerConfig::Load { path: path.clone() };
        }
        // These compare values with one another, and where one could not be read a placeholder stands.
        if section.problems().borrow().is_empty() {
            config.check(section);
        }
        config
    }
}

impl PretrainConfig {
    /// What no single section can know.
    fn check(&self, section: &mut Section) {
        let steps = self.training.steps;
        let least = self.schedule.least_steps();
        section.check(
            least <= steps,
            "schedule.warmup_steps",
            format!(
                "with decay_steps, where there are any, must be at most training.steps ({steps}), found {least}"
            ),
        );
        let max_seq_length = self.examples.max_seq_length;
        section.check(
            self.training.batch_tokens >= max_seq_length,
            "training.batch_tokens",
            format!(
                "must be at least examples.max_seq_length ({max_seq_length}), found {}",
                self.training.batch_tokens
            ),
        );
        match &self.model {
            ModelSource::Sizes(sizes) => self.check_sizes(section, sizes),
            ModelSource::Directory(_) => section.check(
                matches!(self.tokenizer, TokenizerConfig::Load { .. }),
                "tokenizer",
                "must be {\"type\": \"load\", …} with model.path, whose weights belong to their own \
                 vocabulary; left out, it is the one in that directory",
            ),
        }
    }

    fn check_sizes(&self, section: &mut Section, sizes: &BertConfig) {
        let max_seq_length = self.examples.max_seq_length;
        let positions = sizes.max_position_embeddings;
        section.check(
            max_seq_length <= positions,
            "examples.max_seq_length",
            format!(
                "must be at most model.max_position_embeddings ({positions}), found {max_seq_length}"
            ),
        );
        section.check(
            sizes.type_vocab_size >= 2 || self.examples.pairs == Pairs::None,
            "model.type_vocab_size",
            "must be at least 2 with examples.pairs other than \"none\": the second half of a pair has \
             token type 1",
        );
        let rows = sizes.vocab_size;
        section.check(
            rows == 0 || sizes.pad_token_id < rows,
            "model.pad_token_id",
            format!(
                "must be below model.vocab_size ({rows}), found {}",
                sizes.pad_token_id
            ),
        );
        if let TokenizerConfig::Train { vocab_size, .. } = self.tokenizer {
            section.check(
                rows == 0 || rows >= vocab_size,
                "model.vocab_size",
                format!("must be at least tokenizer.vocab_size ({vocab_size}), found {rows}"),
            );
            section.check(
                sizes.pad_token_id == 0,
                "model.pad_token_id",
                "must be 0 with a tokenizer to be trained: its vocabulary begins with [PAD]",
            );
        }
    }
}

impl FromSection for ModelSource {
    fn from_section(section: &mut Section) -> Self {
        let mut inline = Map::new();
        for key in BertConfig::KEYS {
            if let Some(value) = section.value(key) {
                inline.insert(key.to_string(), value);
            }
        }
        let file = section.path_if_any("config");
        if let Some(directory) = section.path_if_any("path") {
            let beside = BertConfig::KEYS.into_iter().chain(["config"]);
            let beside: Vec<&str> = beside.filter(|key| section.has(key)).collect();
            for key in beside {
                section.problem(
                    key,
                    "cannot stand beside path, whose directory says all of the model: remove one \
                     (--set model='{\"path\": …}' replaces the whole object)",
                );
            }
            return Self::Directory(directory);
        }
        // The sizes of BERT-Tiny, the smallest of Turc et al. 2019: what a CPU trains in minutes.
        let mut sizes = Map::from_iter([
            ("hidden_size".to_string(), json!(128)),
            ("num_hidden_layers".to_string(), json!(2)),
            ("num_attention_heads".to_string(), json!(2)),
        ]);
        if let Some(file) = file {
            read_sizes(section, &file, &mut sizes);
        }
        sizes.extend(inline);
        let mut merged = Section::new("model", Value::Object(sizes), section.problems());
        let sizes = BertConfig::from_section(&mut merged);
        merged.finish();
        Self::Sizes(sizes)
    }
}

/// Adds the keys of a model file to `sizes`. Its problems are those of the `model` section as a whole, each with
/// the name of the file.
fn read_sizes(section: &mut Section, file: &Path, sizes: &mut Map<String, Value>) {
    let origin = file.display().to_string();
    let read = read_value(file).and_then(|value| {
        let Value::Object(object) = value else {
            return from_value::<BertConfig>(&origin, value).map(|_| Map::new());
        };
        let mut whole = sizes.clone();
        whole.extend(object.clone());
        from_value::<BertConfig>(&origin, Value::Object(whole)).map(|_| object)
    });
    match read {
        Ok(mut object) => {
            object.shift_remove("description");
            sizes.extend(object);
        }
        Err(Error::Config { problems, .. }) => {
            for problem in problems {
                section.problem("", format!("{origin}: {problem}"));
            }
        }
        Err(error) => {
            let source = std::error::Error::source(&error);
            let cause = source
                .map(|source| format!(": {source}"))
                .unwrap_or_default();
            section.problem("", format!("{error}{cause}"));
        }
    }
}

impl Serialize for ModelSource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Sizes(sizes) => {
                let mut value = serde_json::to_value(sizes).map_err(serde::ser::Error::custom)?;
                if let (0, Value::Object(sizes)) = (sizes.vocab_size, &mut value) {
                    sizes.shift_remove("vocab_size"); // the tokenizer's
                }
                value.serialize(serializer)
            }
            Self::Directory(path) => {
                let mut object = serializer.serialize_map(Some(1))?;
                object.serialize_entry("path", path)?;
                object.end()
            }
        }
    }
}

impl FromSection for TokenizerConfig {
    fn from_section(section: &mut Section) -> Self {
        if section.choice("type", &[("train", false), ("load", true)], false) {
            return Self::Load {
                path: section.path("path"),
            };
        }
        Self::Train {
            // The five special tokens and at least one other.
            vocab_size: section.number("vocab_size", 8192, 6..=LARGEST_VOCABULARY),
            lowercase: section.or("lowercase", true),
            min_frequency: section.number("min_frequency", 2, 1..=u64::MAX),
            limit_alphabet: {
                let limit = section.or("limit_alphabet", None);
                section.check(
                    limit != Some(0),
                    "limit_alphabet",
                    "must be above 0, or null",
                );
                limit
            },
        }
    }
}

impl FromSection for CorpusConfig {
    fn from_section(section: &mut Section) -> Self {
        const SENTENCES: [(&str, Sentences); 2] =
            [("lines", Sentences::Lines), ("split", Sentences::Split)];
        const DOCUMENTS: [(&str, Documents); 2] = [
            ("blank_line", Documents::BlankLine),
            ("file", Documents::File),
        ];
        let kinds = [("sample", 0), ("text", 1), ("jsonl", 2)];
        match section.choice("type", &kinds, 0) {
            1 => Self::Text {
                paths: paths(section),
                sentences: section.choice("sentences", &SENTENCES, Sentences::Lines),
                documents: section.choice("documents", &DOCUMENTS, Documents::BlankLine),
                bad_lines: BadRows::of_key(section, "bad_lines"),
            },
            2 => {
                let field = section.or("field", "text".to_string());
                section.check(!field.is_empty(), "field", "must not be empty");
                Self::Jsonl {
                    paths: paths(section),
                    field,
                    sentences: section.choice("sentences", &SENTENCES, Sentences::Split),
                    bad_lines: BadRows::of_key(section, "bad_lines"),
                }
            }
            _ => Self::Sample {
                // One to train on and another, which next-sentence prediction and evaluation need.
                documents: section.number("documents", DEFAULT_DOCUMENTS, 2..=MOST_DOCUMENTS),
            },
        }
    }
}

impl FromSection for ExamplesConfig {
    fn from_section(section: &mut Section) -> Self {
        let pairs = [
            ("nsp", Pairs::Nsp),
            ("sop", Pairs::Sop),
            ("none", Pairs::None),
        ];
        let config = Self {
            // [CLS] a [SEP] b [SEP]
            max_seq_length: section.number("max_seq_length", 128, 5..=LARGEST_SIZE),
            masked_fraction: section.number("masked_fraction", 0.15, 0.0..=1.0),
            whole_word: section.or("whole_word", false),
            pairs: section.choice("pairs", &pairs, Pairs::Nsp),
            short_seq_probability: section.number("short_seq_probability", 0.1, 0.0..=1.0),
            // All of them, for evaluating on another text.
            valid_fraction: section.number("valid_fraction", 0.05, 0.0..=1.0),
        };
        let nothing = config.masked_fraction == 0.0;
        section.check(!nothing, "masked_fraction", "must be above 0, found 0");
        config
    }
}

impl FromSection for TrainingConfig {
    fn from_section(section: &mut Section) -> Self {
        let max_gradient_norm = section.or("max_gradient_norm", Some(1.0));
        section.check(
            max_gradient_norm.is_none_or(|norm| norm > 0.0),
            "max_gradient_norm",
            "must be above 0, or null for no clipping",
        );
        Self {
            steps: section.number("steps", 1000, 1..=MOST_STEPS),
            batch_tokens: section.number("batch_tokens", 4096, 1..=MOST_BATCH_TOKENS),
            accumulation: section.number("accumulation", 1, 1..=LARGEST_SIZE),
            max_gradient_norm,
            log_every_steps: section.number("log_every_steps", 10, 1..=MOST_STEPS),
            evaluate_every_steps: section.number("evaluate_every_steps", 200, 1..=MOST_STEPS),
            evaluate_tokens: section.number("evaluate_tokens", 131_072, 1..=usize::MAX),
            checkpoint_every_steps: section.number("checkpoint_every_steps", 200, 1..=MOST_STEPS),
            keep_checkpoints: section.positive("keep_checkpoints", 2),
            non_finite: section.child("non_finite"),
        }
    }
}

fn paths(section: &mut Section) -> Vec<String> {
    let (paths, sound) = section.sound(|section| section.required::<Vec<String>>("paths"));
    section.check(
        !sound || (!paths.is_empty() && paths.iter().all(|path| !path.is_empty())),
        "paths",
        "must name at least one file, directory or glob pattern, and none of them may be empty",
    );
    paths
}
