//! A fine-tuned model directory: ours, or one that transformers saved.

use std::path::Path;

use bert_core::command::usage;
use bert_core::config::{FromSection, Section, apply_overrides, from_value, read_value};
use bert_core::error::{Error, Result};
use bert_core::files::write_json;
use bert_core::ops::BertAutodiffBackend;
use bert_core::weights::{Head, ModelDirectory, Part, ProblemType};
use serde_json::{Value, json};

use crate::cli::ModelArgs;
use crate::config::TaskConfig;
use crate::model::{Finetuning, TaskModel};
use crate::tasks::Task;
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
    pub(super) directory: ModelDirectory,
    pub(super) head: Head,
    pub(super) settings: Settings,
}

impl FineTuned {
    /// As it was trained.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let directory = ModelDirectory::open(path)?;
        let config = &directory.config;
        let head = directory.head()?;
        let settings = match path.join(FILE) {
            file if file.is_file() => from_value(&file.display().to_string(), read_value(&file)?)?,
            _ => Settings {
                task: task_of(&head, path)?,
                max_seq_length: config.max_position_embeddings,
            },
        };
        let tokens = settings.max_seq_length.min(config.max_position_embeddings);
        let least = settings.task.least_tokens();
        if tokens < least {
            return Err(Error::Weights {
                path: path.to_path_buf(),
                problem: format!(
                    "its sequences have {tokens} tokens at most, with [CLS] and [SEP] they need {least}"
                ),
                help: format!(
                    "give a model of more positions, and a max_seq_length of {least} or more in {FILE}"
                ),
            });
        }
        Ok(Self {
            directory,
            head,
            settings,
        })
    }

    /// As the arguments want it.
    pub(super) fn open_as(args: &ModelArgs) -> Result<Self> {
        let mut opened = Self::open(&args.model)?;
        opened.settings.task = overridden(&opened.settings.task, args)?;
        if let Some(tokens) = args.max_seq_length {
            let positions = opened.directory.config.max_position_embeddings;
            let least = opened.settings.task.least_tokens();
            if tokens < least || tokens > positions {
                return Err(usage(
                    format!(
                        "--max-seq-length {tokens} is not in {least} to the model's {positions} positions"
                    ),
                    "give another",
                ));
            }
            opened.settings.max_seq_length = tokens;
        }
        Ok(opened)
    }

    /// Its model, for inference; the head must be there.
    pub(super) fn load<B: BertAutodiffBackend, T: Task>(
        &self,
        task: &T,
        device: &B::Device,
    ) -> Result<Finetuning<B::InnerBackend>> {
        let kind = task.kind();
        let ModelDirectory { path, config, .. } = &self.directory;
        let model = TaskModel::new(kind, task.outputs(), config, 0, device);
        let (model, loaded) = model.load(path, &Default::default(), device)?;
        loaded.require(kind.part(), path)?;
        if kind.has_pooler() {
            loaded.require(Part::Pooler, path)?;
        }
        Ok(Finetuning::new(model, task.loss()))
    }

    pub(super) fn encoder(&self) -> Encoder {
        let max_tokens = self.settings.max_seq_length;
        let ModelDirectory {
            config, tokenizer, ..
        } = &self.directory;
        Encoder::new(tokenizer.clone(), config, max_tokens)
    }
}

/// The task that a model of transformers does, by its class.
fn task_of(head: &Head, path: &Path) -> Result<TaskConfig> {
    let kind = match head.architecture.as_str() {
        "BertForSequenceClassification" => match (head.problem_type, head.labels.len()) {
            (Some(ProblemType::MultiLabel), _) => "multi_label",
            (Some(ProblemType::Regression), _) | (None, 1) => "regression",
            _ => "classification",
        },
        "BertForTokenClassification" => "tokens",
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
    let mut task = from_value("defaults", json!({ "type": kind }))?;
    if let TaskConfig::Sequence(config) = &mut task {
        config.may_be_pair = true;
    }
    Ok(task)
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
            if value.get(key).is_none() {
                return Err(usage(
                    format!(
                        "--{} is not for {}, which has no such key",
                        key.replace('_', "-"),
                        task.name()
                    ),
                    "name its columns with --set; configs/README.md has the keys of every task",
                ));
            }
            value[key] = Value::from(name.as_str());
        }
    }
    let mut overridden = from_value("the command line", value)?;
    if let (TaskConfig::Sequence(new), TaskConfig::Sequence(old)) = (&mut overridden, task) {
        new.may_be_pair = old.may_be_pair;
    }
    Ok(overridden)
}
