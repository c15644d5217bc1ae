//! `bert-example PROGRAM DIR ...`; the modules of the library say what there is.

use std::process::ExitCode;

use bert_core::command::{end, usage};
use bert_core::error::Result;

bert_core::use_jemalloc!();

fn main() -> ExitCode {
    let arguments = std::env::args_os().skip(1);
    let arguments: Vec<String> = arguments
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    end(run(&arguments))
}

fn run(arguments: &[String]) -> Result<()> {
    let program = arguments.first().map_or("", String::as_str);
    let rest = arguments.get(1..).unwrap_or_default();
    match (program, rest.len()) {
        ("classify", 2..) => examples::classify::run(rest),
        ("tag", 2..) => examples::tag::run(rest),
        ("answer", 3) => examples::answer::run(rest),
        ("choose", 4..) => examples::choose::run(rest),
        ("embed", 2..) => examples::embed::run(rest),
        ("fine_tune", 1 | 2) => examples::fine_tune::run(rest),
        _ => Err(usage(
            "no such example, or not its arguments",
            "classify DIR TEXT..., tag DIR TEXT..., answer DIR QUESTION CONTEXT, \
             choose DIR QUESTION CHOICE CHOICE..., embed DIR TEXT..., fine_tune DIR [OUTPUT]",
        )),
    }
}
