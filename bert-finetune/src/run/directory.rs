//! A fine-tuned model directory: ours, or one that transformers saved.

use std::path::{Path, PathBuf};

use bert_core::command::usage;
use bert_core::config::{
    BertConfig, FromSection, Section, apply_overrides, from_value, read_value,
};
use bert_core::error::{Error, Result};
use bert_core::files::write_json;
use bert_core::tokenizer::BertTokenizer;
use bert_core::weights::{Checkpoint, Head, ProblemType, read_config, read_head};
use serde_json::{Value, json};

use crate::cli::ModelArgs;
use crate::config::TaskConfig;
use crate::tasks::encoder::Encoder;

/// Beside the files that transformers knows: how rows are read.
const FILE: &str = "finetune.json";

/// How a model was fine-tuned, as far as its use asks.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Settings {
    pub(super) task: TaskConfig,
    pub(super) max_seq_length: usize,
}

impl FromSection for Settings {
    fn from_section(section: &mut Section) -> Self {
        Self {
            task: section.child("task"),
            max_seq_length: section.positive("max_seq_length", 256),
        }
    }
}

impl Settings {
    /// Writes them into a model directory.
    pub(super) fn save(&self, directory: &Path) -> Result<()> {
        let value = json!({"task": self.task, "max_seq_length": self.max_seq_length});
        write_json(&directory.join(FILE), &value)
    }
}

/// A directory, opened but for its weights.
pub(super) struct FineTuned {
    pub(super) path: PathBuf,
    pub(super) config: BertConfig,
    pub(super) head: Head,
    pub(super) settings: Settings,
    pub(super) tokenizer: BertTokenizer,
}

impl FineTuned {
    /// As it was trained.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let config = read_config(path)?;
        let mut head = read_head(path)?;
        let settings = match path.join(FILE) {
            file if file.is_file() => from_value(&file.display().to_string(), read_value(&file)?)?,
            _ => Settings {
                task: task_of(&mut head, path)?,
                max_seq_length: config.max_position_embeddings,
            },
        };
        let tokenizer = BertTokenizer::load(path)?;
        tokenizer.check_fits(config.vocab_size)?;
        Ok(Self {
            path: path.to_path_buf(),
            config,
            head,
            settings,
            tokenizer,
        })
    }

    /// As the arguments want it.
    pub(super) fn open_as(args: &ModelArgs) -> Result<Self> {
        let mut opened = Self::open(&args.model)?;
        opened.settings.task = overridden(&opened.settings.task, args)?;
        if let Some(tokens) = args.max_seq_length {
            let positions = opened.config.max_position_embeddings;
            if tokens < 3 || tokens > positions {
                return Err(usage(
                    format!(
                        "--max-seq-length {tokens} is not in 3 to the model's {positions} positions"
                    ),
                    "give another",
                ));
            }
            opened.settings.max_seq_length = tokens;
        }
        Ok(opened)
    }

    pub(super) fn encoder(&self) -> Encoder {
        let max_tokens = self.settings.max_seq_length;
        Encoder::new(self.tokenizer.clone(), &self.config, max_tokens)
    }
}

/// The task that a model of transformers does, by its class; labels without names get transformers' own.
fn task_of(head: &mut Head, path: &Path) -> Result<TaskConfig> {
    let kind = match head.architecture.as_str() {
        "BertForSequenceClassification" => {
            name_outputs(head, path)?;
            match (head.problem_type, head.labels.len()) {
                (Some(ProblemType::MultiLabel), _) => "multi_label",
                (Some(ProblemType::Regression), _) | (None, 1) => "regression",
                _ => "classification",
            }
        }
        "BertForTokenClassification" => {
            name_outputs(head, path)?;
            "tokens"
        }
        "BertForQuestionAnswering" => "question_answering",
        "BertForMultipleChoice" => "multiple_choice",
        "" => {
            return Err(Error::Weights {
                path: path.to_path_buf(),
                problem: "its config.json names no architecture".into(),
                help:
                    "add \"architectures\": [\"BertForSequenceClassification\"], or whichever it is"
                        .into(),
            });
        }
        other => {
            return Err(Error::Weights {
                path: path.to_path_buf(),
                problem: format!("it is not fine-tuned: its architecture is \"{other}\""),
                help: "fine-tune it with bert-finetune train, and name the run's model/".into(),
            });
        }
    };
    from_value("defaults", json!({ "type": kind }))
}

/// Gives outputs that `config.json` does not name transformers' names, `LABEL_0` and on.
fn name_outputs(head: &mut Head, path: &Path) -> Result<()> {
    if head.labels.is_empty() {
        let checkpoint = Checkpoint::open(path)?;
        let outputs = checkpoint
            .shape("classifier.bias")
            .and_then(|s| s.first().copied());
        let names = (0..outputs.unwrap_or(0)).map(|output| format!("LABEL_{output}"));
        head.labels = names.collect();
    }
    Ok(())
}

fn overridden(task: &TaskConfig, args: &ModelArgs) -> Result<TaskConfig> {
    let mut value = json!(task);
    apply_overrides(&mut value, &args.overrides)?;
    let given = [
        ("text", &args.text),
        ("text_pair", &args.text_pair),
        ("label", &args.label),
    ];
    for (key, name) in given {
        if let Some(name) = name {
            value[key] = Value::from(name.as_str());
        }
    }
    from_value("the command line", value)
}
