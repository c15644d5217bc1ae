//! Command lines. Exit codes: 0 done, 1 run-time failure, 2 usage or configuration.

use std::path::PathBuf;

use bert_core::command::{BackendArgs, ConfigArgs, DashboardArg, LogArgs, ResumeArgs, positive};
use clap::{Args, Parser, Subcommand};

/// A pre-trained BERT to answers.
#[derive(Debug, Parser)]
#[command(name = "bert-finetune", version, about)]
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
    /// Fine-tune a model on labelled data
    Train {
        /// The configuration and its overrides.
        #[command(flatten)]
        config: ConfigArgs,
        /// Whether it begins or goes on.
        #[command(flatten)]
        resume: ResumeArgs,
        /// Train once with each of these seeds, in RUN_DIR/seed-N, and report mean and spread
        #[arg(long, value_delimiter = ',', value_name = "1,2,3")]
        seeds: Vec<u64>,
        /// What shows the training
        #[arg(long, default_value = "auto")]
        dashboard: DashboardArg,
        /// What it came to as JSON; with --seeds a row for each, then mean and spread
        #[arg(long)]
        json: bool,
    },
    /// Score a fine-tuned model on labelled data; JSON unless in a terminal
    Evaluate {
        /// Which model, and how it reads rows.
        #[command(flatten)]
        model: ModelArgs,
        /// Labelled data, as in training
        #[arg(long, value_name = "F")]
        data: PathBuf,
        /// Leave out rows that cannot be used, and count them, instead of refusing
        #[arg(long)]
        skip_bad_rows: bool,
    },
    /// Answer rows with a fine-tuned model
    Predict {
        /// Which model, and how it reads rows.
        #[command(flatten)]
        model: ModelArgs,
        /// Rows to answer: .jsonl (or .json), .csv, .tsv, CoNLL columns, SQuAD .json, a text a line, or - for the standard
        /// input, where each line is answered as it comes
        #[arg(long, value_name = "F")]
        input: PathBuf,
        /// Where to, a row of JSON for each row, in order; the standard output where it is left out
        #[arg(long, value_name = "F.jsonl")]
        output: Option<PathBuf>,
        /// Answer rows that cannot be read with {"error": ...} instead of ending
        #[arg(long)]
        skip_bad_rows: bool,
    },
}

/// Which model, and how it reads rows.
#[derive(Debug, Args)]
pub struct ModelArgs {
    /// A fine-tuned model directory, ours or one that transformers saved
    #[arg(long)]
    pub model: PathBuf,
    /// Override a key of the task, as it stands in a configuration: doc_stride=64
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
    /// The column or key of the text
    #[arg(long, value_name = "KEY")]
    pub text: Option<String>,
    /// The column or key of the second text of a pair
    #[arg(long, value_name = "KEY")]
    pub text_pair: Option<String>,
    /// The column or key of the label
    #[arg(long, value_name = "KEY")]
    pub label: Option<String>,
    /// Longest sequence in tokens, special ones included; what the model was trained with, unless given
    #[arg(long, value_name = "N")]
    pub max_seq_length: Option<usize>,
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
