//! The commands.

mod bench;
mod convert;
mod data;
mod evaluate;
mod features;
mod held_out;
mod model;
mod predict;
mod train;

use bert_core::config::{apply_overrides, read_value};
use bert_core::error::Result;

use crate::cli::{Cli, Command};

/// Runs a command.
///
/// # Errors
/// The command's own; [`bert_core::command::end`] says how to end with them.
pub fn run(cli: Cli) -> Result<()> {
    if !matches!(cli.command, Command::Train { .. }) {
        cli.log.to_stderr();
    }
    match cli.command {
        Command::Train {
            config,
            resume,
            dashboard,
            json,
        } => train::train(&config.load()?, resume, dashboard.into(), cli.log, json),
        Command::Tokenizer { config, json } => data::tokenizer(&config.load()?, json),
        Command::Prepare { config, json } => data::prepare(&config.load()?, json),
        Command::ShowExamples {
            config,
            count,
            json,
        } => data::show_examples(&config.load()?, count, json),
        Command::SampleData {
            directory,
            seed,
            backend: _,
            json,
        } => data::sample_data(&directory, seed, json),
        Command::Evaluate {
            model,
            config,
            json,
        } => evaluate::evaluate(&model, &config.load()?, json),
        Command::FillMask {
            model,
            top_k,
            backend,
            json,
            texts,
        } => predict::fill_mask(&model, &backend.config()?, top_k, &texts, json),
        Command::NextSentence {
            model,
            backend,
            json,
            a,
            b,
        } => predict::next_sentence(&model, &backend.config()?, &a, &b, json),
        Command::Features(args) => features::features(&args, &args.backend.config()?),
        Command::Convert {
            model,
            output,
            backend: _,
            json,
        } => convert::convert(&model, &output, json),
        Command::Bench {
            model,
            batch,
            seq,
            lengths,
            iters,
            dropout,
            overrides,
            backend,
            json,
        } => {
            let mut value = read_value(&model)?;
            apply_overrides(&mut value, &overrides)?;
            let backend = backend.config()?;
            let lengths = bench::lengths(lengths.as_deref(), batch, seq)?;
            bench::bench(&model, value, &backend, lengths, iters, dropout, json)
        }
    }
}
