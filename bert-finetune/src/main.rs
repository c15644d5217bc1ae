//! The `bert-finetune` command.

use std::process::ExitCode;

bert_core::use_jemalloc!();

fn main() -> ExitCode {
    match bert_core::command::parse() {
        Ok(cli) => bert_core::command::end(bert_finetune::run::run(cli)),
        Err(code) => code,
    }
}
