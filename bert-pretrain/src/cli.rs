//! Command lines. Exit codes: 0 done, 1 run-time failure, 2 usage or configuration.

use std::path::PathBuf;

use bert_core::command::{BackendArgs, ConfigArgs, DashboardArg, LogArgs, ResumeArgs, positive};
use clap::{Args, Parser, Subcommand, ValueEnum};

/// Raw text to a pre-trained BERT.
#[derive(Debug, Parser)]
#[command(name = "bert-pretrain", version, about)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// What is logged.
    #[command(flatten)]
    pub log: LogArgs,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Learn the vocabulary, prepare the corpus, train
    Train {
        /// The configuration and its overrides.
        #[command(flatten)]
        config: ConfigArgs,
        /// Whether it begins or goes on.
        #[command(flatten)]
        resume: ResumeArgs,
        /// What shows the training
        #[arg(long, default_value = "auto")]
        dashboard: DashboardArg,
        /// What it came to as JSON
        #[arg(long)]
        json: bool,
    },
    /// Only learn the vocabulary
    Tokenizer {
        /// The configuration and its overrides.
        #[command(flatten)]
        config: ConfigArgs,
        /// Results as JSON
        #[arg(long)]
        json: bool,
    },
    /// Only tokenize the corpus
    Prepare {
        /// The configuration and its overrides.
        #[command(flatten)]
        config: ConfigArgs,
        /// Results as JSON
        #[arg(long)]
        json: bool,
    },
    /// Print examples as the model will see them
    ShowExamples {
        /// The configuration and its overrides.
        #[command(flatten)]
        config: ConfigArgs,
        /// How many
        #[arg(short = 'n', default_value_t = 5, value_parser = positive())]
        count: usize,
        /// Results as JSON
        #[arg(long)]
        json: bool,
    },
    /// Masked-LM loss, accuracy and perplexity, next-sentence accuracy on held-out documents
    Evaluate {
        /// A model directory
        #[arg(long)]
        model: PathBuf,
        /// The configuration and its overrides.
        #[command(flatten)]
        config: ConfigArgs,
        /// Results as JSON
        #[arg(long)]
        json: bool,
    },
    /// The most probable words for every `[MASK]`
    FillMask {
        /// A model directory
        #[arg(long)]
        model: PathBuf,
        /// How many words
        #[arg(long, default_value_t = 5, value_parser = positive())]
        top_k: usize,
        /// The backend.
        #[command(flatten)]
        backend: BackendArgs,
        /// Results as JSON
        #[arg(long)]
        json: bool,
        /// Texts with `[MASK]`
        #[arg(required = true)]
        texts: Vec<String>,
    },
    /// Whether B follows A
    NextSentence {
        /// A model directory
        #[arg(long)]
        model: PathBuf,
        /// The backend.
        #[command(flatten)]
        backend: BackendArgs,
        /// Results as JSON
        #[arg(long)]
        json: bool,
        /// The first sentence
        a: String,
        /// The second
        b: String,
    },
    /// Hidden states, pooled vectors and scores of texts or ids
    Features(FeaturesArgs),
    /// Read a model in any form and write it as safetensors in f32, with today's names
    Convert {
        /// A model directory
        #[arg(long)]
        model: PathBuf,
        /// The directory to write; it must not exist yet
        #[arg(long)]
        output: PathBuf,
        /// Taken as everywhere, though nothing is computed.
        #[command(flatten)]
        backend: BackendArgs,
        /// Results as JSON
        #[arg(long)]
        json: bool,
    },
    /// Write the built-in corpus and labelled sets
    SampleData {
        /// Where
        directory: PathBuf,
        /// Another seed gives another world
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Taken as everywhere, though nothing is computed.
        #[command(flatten)]
        backend: BackendArgs,
        /// Results as JSON
        #[arg(long)]
        json: bool,
    },
    /// Time training and inference of a model of some sizes on this machine
    Bench {
        /// A model configuration, such as configs/model/tiny.json
        #[arg(long)]
        model: PathBuf,
        /// Sequences a batch
        #[arg(long, default_value_t = 8, value_parser = positive())]
        batch: usize,
        /// Tokens a sequence
        #[arg(long, default_value_t = 128)]
        seq: usize,
        /// A file with one sequence length a line, instead of --seq
        #[arg(long)]
        lengths: Option<PathBuf>,
        /// Timed repetitions; medians are reported
        #[arg(long, default_value_t = 5, value_parser = positive())]
        iters: usize,
        /// Both dropout rates
        #[arg(long, default_value_t = 0.1)]
        dropout: f64,
        /// Override a key of the model configuration
        #[arg(long = "set", value_name = "KEY=VALUE")]
        overrides: Vec<String>,
        /// The backend.
        #[command(flatten)]
        backend: BackendArgs,
        /// Results as JSON
        #[arg(long)]
        json: bool,
    },
}

/// What to compute of which rows.
#[derive(Debug, Args)]
pub struct FeaturesArgs {
    /// A model directory
    #[arg(long)]
    pub model: PathBuf,
    /// JSON Lines: {"text", "text_pair"?} or {"input_ids", "token_type_ids"?}
    #[arg(long, value_name = "F.jsonl")]
    pub input: PathBuf,
    /// Where to: .jsonl, a row a line, or .safetensors, tensors "ROW.hidden", "ROW.pooled", "ROW.mlm_logits", "ROW.nsp_logits"
    #[arg(long, value_name = "F.jsonl|F.safetensors")]
    pub output: PathBuf,
    /// Which hidden states: 0 are the embeddings, 1 the first layer's; negative counts from the last
    #[arg(long, default_value_t = -1, allow_negative_numbers = true)]
    pub layer: i64,
    /// One vector a text instead of one a token
    #[arg(long, default_value = "none")]
    pub pooling: Pooling,
    /// Divide pooled vectors by their length
    #[arg(long)]
    pub normalize: bool,
    /// Scores of the pre-training heads
    #[arg(long, value_delimiter = ',')]
    pub heads: Vec<Head>,
    /// Cut texts that are longer than the model; otherwise they are refused
    #[arg(long)]
    pub truncate: bool,
    /// Tokens computed at a time
    #[arg(long, default_value_t = 4096, value_parser = positive())]
    pub batch_tokens: usize,
    /// The backend.
    #[command(flatten)]
    pub backend: BackendArgs,
    /// Results as JSON
    #[arg(long)]
    pub json: bool,
}

/// How the tokens of a text become one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Pooling {
    /// They do not: hidden states of every token
    None,
    /// The hidden state of `[CLS]`
    Cls,
    /// The mean of all hidden states, `[CLS]` and `[SEP]` included, as sentence-transformers does
    Mean,
    /// The model's own pooler, a dense layer over `[CLS]`
    Pooler,
}

/// A pre-training head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Head {
    /// Scores of every word for every token
    Mlm,
    /// Scores of "is next" and "is not"
    Nsp,
}
