//! The `bert-pretrain` command.

use std::process::ExitCode;

use clap::Parser;

bert_core::use_jemalloc!();

fn main() -> ExitCode {
    let cli = bert_pretrain::cli::Cli::parse();
    bert_core::command::end(bert_pretrain::run::run(cli))
}
