//! The `bert-pretrain` command.

use std::process::ExitCode;

bert_core::use_jemalloc!();

fn main() -> ExitCode {
    match bert_core::command::parse() {
        Ok(cli) => bert_core::command::end(bert_pretrain::run::run(cli)),
        Err(code) => code,
    }
}
