//! Command lines. Exit codes: 0 done, 1 run-time failure, 2 usage or configuration.

use std::path::PathBuf;

use bert_core::train::Dashboard;
use clap::{Args, Parser, Subcommand, ValueEnum};

/// Raw text to a pre-trained BERT.
#[derive(Debug, Parser)]
#[command(name = "bert-pretrain", version, about)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// How much is logged.
    #[arg(long, global = true, value_name = "LEVEL", default_value = "info")]
    pub log_level: log::LevelFilter,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Learn the vocabulary, prepare the corpus, train
    Train {
        /// The configuration and its overrides.
        #[command(flatten)]
        config: ConfigArgs,
        /// Go on from the newest checkpoint of the run
        #[arg(long)]
        resume: bool,
        /// What shows the training
        #[arg(long, default_value = "auto")]
        dashboard: DashboardArg,
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
        #[arg(short = 'n', default_value_t = 5)]
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
        #[arg(long, default_value_t = 5)]
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
    /// Write the built-in corpus and labelled sets
    SampleData {
        /// Where
        directory: PathBuf,
        /// Another seed gives another world
        #[arg(long, default_value_t = 1)]
        seed: u64,
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
        #[arg(long, default_value_t = 8)]
        batch: usize,
        /// Tokens a sequence
        #[arg(long, default_value_t = 128)]
        seq: usize,
        /// A file with one sequence length a line, instead of --seq
        #[arg(long)]
        lengths: Option<PathBuf>,
        /// Timed repetitions; medians are reported
        #[arg(long, default_value_t = 5)]
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

/// A configuration file, and what overrides it.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// A file like configs/pretrain/quickstart.json
    pub config: PathBuf,
    /// Override a key: training.steps=500
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
    /// The backend.
    #[command(flatten)]
    pub backend: BackendArgs,
}

/// The backend, overriding the configuration.
#[derive(Debug, Args)]
pub struct BackendArgs {
    /// ndarray or wgpu
    #[arg(long, value_parser = ["ndarray", "wgpu"])]
    pub backend: Option<String>,
    /// The type of matrix products on ndarray
    #[arg(long, value_parser = ["f32", "bf16"])]
    pub compute: Option<String>,
}

/// What shows a training.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum DashboardArg {
    /// The dashboard in a terminal, lines elsewhere
    Auto,
    /// The dashboard
    Tui,
    /// A line per logged step
    Plain,
    /// Nothing
    None,
}

impl From<DashboardArg> for Dashboard {
    fn from(arg: DashboardArg) -> Self {
        match arg {
            DashboardArg::Auto => Self::Auto,
            DashboardArg::Tui => Self::Tui,
            DashboardArg::Plain => Self::Plain,
            DashboardArg::None => Self::None,
        }
    }
}
