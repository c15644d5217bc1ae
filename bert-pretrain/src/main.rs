//! The `bert-pretrain` command.

use std::error::Error as _;
use std::process::ExitCode;

use clap::Parser;

#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// jemalloc keeps memory that was freed, in huge pages where the system has them: every step asks for the same large
/// buffers again, and having the system clear their pages anew took a third of a step of BERT-Base.
#[cfg(not(target_env = "msvc"))]
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static ALLOCATOR_SETTINGS: &u8 =
    &b"dirty_decay_ms:-1,muzzy_decay_ms:-1,thp:always,oversize_threshold:0\0"[0];

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
