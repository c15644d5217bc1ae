//! The program, run as a script would.

use std::path::Path;
use std::process::{Command, Output};

pub(crate) fn run(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bert-pretrain"))
        .current_dir(directory)
        .args(arguments)
        .output()
        .unwrap()
}
