//! The `bert-pretrain` command.

use std::error::Error as _;
use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = bert_pretrain::cli::Cli::parse();
    match bert_pretrain::run::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut line = format!("error: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                line += &format!(": {cause}");
                source = cause.source();
            }
            if let Some(help) = error.help() {
                line += &format!("; {help}");
            }
            eprintln!("{}", line.replace('\n', " "));
            ExitCode::from(error.exit_code())
        }
    }
}
