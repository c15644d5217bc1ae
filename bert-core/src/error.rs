//! What can go wrong, as data. Strings are made only when an error is shown.

use std::path::{Path, PathBuf};

/// The result of everything in this crate that a user, a file or a device can make fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// One thing wrong in a configuration, with the path of its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// Dotted path of the key, such as `training.batch_tokens`; empty for the file as a whole.
    pub key: String,
    /// What is wrong with it and what would be right.
    pub problem: String,
}

impl std::fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.key.is_empty() {
            f.write_str(&self.problem)
        } else {
            write!(f, "{}: {}", self.key, self.problem)
        }
    }
}

/// Everything that can fail here, each with what the message needs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused to read, write, create or rename something.
    #[error("cannot {action} {}", .path.display())]
    Io {
        /// The verb: "read", "write", "create", "rename" and so on.
        action: &'static str,
        /// What it was tried on.
        path: PathBuf,
        /// Why it was refused.
        source: std::io::Error,
    },

    /// A configuration that cannot be used; all its problems at once.
    #[error("{}: {}", .origin, join(.problems))]
    Config {
        /// The file (and the overrides) it came from, for display.
        origin: String,
        /// Everything wrong with it.
        problems: Vec<ConfigProblem>,
    },

    /// A file whose content is not what it should be.
    #[error("{}{}: {problem}", .path.display(), line_suffix(.line))]
    Data {
        /// The file.
        path: PathBuf,
        /// Its line, counted from 1, where one can be named.
        line: Option<u64>,
        /// What is wrong.
        problem: String,
        /// What the user can do about it.
        help: String,
    },

    /// A model directory or checkpoint that cannot be used.
    #[error("{}: {problem}", .path.display())]
    Weights {
        /// The file or directory.
        path: PathBuf,
        /// What is wrong, naming the tensor or key.
        problem: String,
        /// What the user can do about it.
        help: String,
    },

    /// The compute backend asked for cannot run here.
    #[error("backend {backend}: {problem}")]
    Backend {
        /// Its name in configurations.
        backend: &'static str,
        /// Why it cannot run.
        problem: String,
        /// What the user can do about it.
        help: String,
    },

    /// The tokenizers library refused something.
    #[error("tokenizer: cannot {action}")]
    Tokenizer {
        /// What was tried.
        action: String,
        /// What the library said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },

    /// Training met a loss or gradient that is not a finite number.
    #[error("{what} is not finite at step {step} ({batch})")]
    NonFinite {
        /// "loss" or "gradient norm".
        what: &'static str,
        /// The optimizer step, counted from 1.
        step: u64,
        /// Which examples it was, so that they can be looked at.
        batch: String,
        /// The file that they were saved in.
        saved: Option<PathBuf>,
        /// The last checkpoint written before it.
        last_checkpoint: Option<PathBuf>,
    },

    /// The backend gave up in the middle of a training step.
    #[error("step {step} failed, with {tokens} tokens in {micro_batches} micro-batches: {problem}")]
    Step {
        /// The optimizer step, counted from 1.
        step: u64,
        /// Tokens of the step.
        tokens: usize,
        /// Micro-batches of the step.
        micro_batches: usize,
        /// What the backend said.
        problem: String,
        /// The last checkpoint written before it.
        last_checkpoint: Option<PathBuf>,
    },

    /// Nobody reads the output any more. Programs end with it as if all were done.
    #[error("nobody reads the output any more")]
    OutputClosed,

    /// Something asked for that is not there to be had.
    #[error("{problem}")]
    Usage {
        /// What was asked and why it cannot be.
        problem: String,
        /// What the user can do about it.
        help: String,
    },
}

impl Error {
    /// For `map_err`: an [`Error::Io`] with its verb and path.
    pub fn io(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }

    /// What the user can do about it, as the end of the message.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Io { source, .. } => Some(match source.kind() {
                std::io::ErrorKind::NotFound => "check the path".into(),
                std::io::ErrorKind::PermissionDenied => "check the permissions".into(),
                std::io::ErrorKind::StorageFull => "free some disk space".into(),
                std::io::ErrorKind::IsADirectory => "name a file in it".into(),
                std::io::ErrorKind::InvalidData => "check that the file is whole, and its text UTF-8".into(),
                _ => "check the path, and that its disk is sound".into(),
            }),
            Self::Config { problems, .. } if problems.iter().all(|p| p.key.is_empty()) => {
                Some("mend the file".into())
            }
            Self::Config { .. } => Some("every key is described in configs/README.md".into()),
            Self::Data { help, .. }
            | Self::Weights { help, .. }
            | Self::Backend { help, .. }
            | Self::Usage { help, .. } => Some(help.clone()),
            Self::OutputClosed => None,
            Self::Tokenizer { .. } => Some(
                "check that tokenizer.json or vocab.txt is a WordPiece vocabulary as transformers saves it".into(),
            ),
            Self::NonFinite {
                saved,
                last_checkpoint,
                ..
            } => {
                let saved = saved.as_ref();
                let saved = saved.map_or(String::new(), |path| {
                    format!("its batch is in {}; ", path.display())
                });
                let lower = "lower optimizer.learning_rate or lengthen schedule.warmup_steps";
                Some(match last_checkpoint {
                    Some(path) => format!(
                        "{saved}the last good checkpoint is {}: {lower} and train again with --resume \
                         --accept-changes",
                        path.display()
                    ),
                    None => format!("{saved}no checkpoint was written yet: {lower}"),
                })
            }
            Self::Step {
                last_checkpoint, ..
            } => Some(format!(
                "where its memory is too small, lower training.batch_tokens and raise training.accumulation as \
                 much; {}",
                match last_checkpoint {
                    Some(path) => format!("the last checkpoint is {}", path.display()),
                    None => "no checkpoint was written yet".into(),
                }
            )),
        }
    }

    /// The exit code of a program that ends with this error: 2 for usage and configuration, 1 otherwise.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config { .. } | Self::Usage { .. } => 2,
            _ => 1,
        }
    }
}

/// What a panic says.
pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| text.to_string());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "it says nothing".into())
}

fn join(problems: &[ConfigProblem]) -> String {
    let list: Vec<String> = problems.iter().map(ConfigProblem::to_string).collect();
    list.join("; ")
}

fn line_suffix(line: &Option<u64>) -> String {
    line.map(|line| format!(":{line}")).unwrap_or_default()
}
