//! The commands, and what `predict` does as a value of a program's own.

mod bad_rows;
mod directory;
mod evaluate;
mod plan;
mod pools;
mod predict;
mod predictor;
mod report;
mod results;
mod scores;
mod set;
mod train;

use bert_core::error::Result;

use crate::cli::{Cli, Command};
pub use predictor::Predictor;
use train::Shown;

/// Does something with the task of a configuration, as the type `$T`, and with its own part of the configuration.
macro_rules! with_task {
    ($task:expr, ($T:ident, $config:ident) => $body:expr) => {
        match $task {
            $crate::config::TaskConfig::Sequence($config) => {
                type $T = $crate::tasks::sequence::SequenceTask;
                $body
            }
            $crate::config::TaskConfig::Tokens($config) => {
                type $T = $crate::tasks::tokens::TokenTask;
                $body
            }
            $crate::config::TaskConfig::Questions($config) => {
                type $T = $crate::tasks::questions::QuestionTask;
                $body
            }
            $crate::config::TaskConfig::Choice($config) => {
                type $T = $crate::tasks::choice::ChoiceTask;
                $body
            }
        }
    };
}
pub(crate) use with_task;

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
            seeds,
            dashboard,
            json,
        } => {
            let shown = Shown {
                dashboard: dashboard.into(),
                log: cli.log,
                json,
            };
            train::train(&config.load()?, resume, &seeds, shown)
        }
        Command::Evaluate {
            model,
            data,
            skip_bad_rows,
        } => evaluate::evaluate(&model, &data, skip_bad_rows),
        Command::Predict {
            model,
            input,
            output,
            skip_bad_rows,
        } => predict::predict(&model, &input, output.as_deref(), skip_bad_rows),
    }
}
