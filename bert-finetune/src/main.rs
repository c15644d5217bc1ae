//! The `bert-finetune` command.

use std::process::ExitCode;

use clap::Parser;

bert_core::use_jemalloc!();

fn main() -> ExitCode {
    let cli = bert_finetune::cli::Cli::parse();
    bert_core::command::end(bert_finetune::run::run(cli))
}
