//! Which head a model has, and what its outputs are called: the keys of `config.json` that fine-tuning adds.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::{Checkpoint, weights_error};
use crate::config::read_value;
use crate::error::{Error, Result};

/// The head of a model directory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Head {
    /// The class of transformers, such as `BertForTokenClassification`; empty where it is not said.
    pub architecture: String,
    /// What the outputs of a classifier are called, in their order; empty where it is not said.
    pub labels: Vec<String>,
    /// What the outputs of a sequence classifier are.
    pub problem_type: Option<ProblemType>,
}

/// What the outputs of a sequence classifier are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProblemType {
    /// Scores of classes, one of which is right.
    SingleLabel,
    /// Scores of labels, any of which are right.
    MultiLabel,
    /// A number.
    Regression,
}

const PROBLEM_TYPES: [(&str, ProblemType); 3] = [
    ("single_label_classification", ProblemType::SingleLabel),
    ("multi_label_classification", ProblemType::MultiLabel),
    ("regression", ProblemType::Regression),
];

/// The classes whose outputs have names.
const CLASSIFIERS: [&str; 2] = [
    "BertForSequenceClassification",
    "BertForTokenClassification",
];

impl Head {
    /// One without names for its outputs.
    pub fn new(architecture: &str) -> Self {
        Self {
            architecture: architecture.to_string(),
            ..Self::default()
        }
    }

    /// Whether its outputs are those of `wanted`, in the same order; outputs without names but transformers' are those of
    /// labels that are their numbers. Many directories do not say their problem type.
    pub fn gives(&self, wanted: &Self) -> bool {
        let outputs = self.labels.len();
        let of_numbers = || {
            let numbers = (0..outputs).map(|output| output.to_string());
            self.labels == default_labels(outputs) && numbers.eq(wanted.labels.iter().cloned())
        };
        self.architecture == wanted.architecture
            && (self.labels == wanted.labels || of_numbers())
            && self
                .problem_type
                .is_none_or(|own| Some(own) == wanted.problem_type)
    }

    /// Whether its outputs have names.
    pub(super) fn is_classifier(&self) -> bool {
        CLASSIFIERS.contains(&self.architecture.as_str())
    }

    /// Gives the outputs of a classifier that `config.json` does not name transformers' names, `LABEL_0` and on, and refuses
    /// one that has not as many outputs as names.
    ///
    /// # Errors
    /// [`Error::Weights`].
    pub(super) fn name_outputs(&mut self, checkpoint: &Checkpoint, hidden: usize) -> Result<()> {
        let wrong = |problem: String| weights_error(checkpoint.path(), problem);
        // Its values lie in the file, so that names for them are no more than fit there.
        let outputs = match checkpoint.shape("classifier.weight") {
            Some([outputs, width]) if *outputs > 0 && *width == hidden => *outputs,
            Some(shape) => {
                let problem =
                    format!("tensor classifier.weight is {shape:?}, not [outputs, {hidden}]");
                return Err(wrong(problem));
            }
            None => return Err(wrong("tensor classifier.weight is missing".into())),
        };
        match checkpoint.shape("classifier.bias") {
            Some(shape) if *shape == [outputs] => {}
            Some(shape) => {
                let problem = format!("tensor classifier.bias is {shape:?}, not [{outputs}]");
                return Err(wrong(problem));
            }
            None => return Err(wrong("tensor classifier.bias is missing".into())),
        }
        if self.labels.is_empty() {
            self.labels = default_labels(outputs);
        }
        if self.labels.len() != outputs {
            let problem = format!(
                "its classifier has {outputs} outputs, config.json names {}",
                self.labels.len()
            );
            return Err(wrong(problem));
        }
        Ok(())
    }

    /// The same for a model to be saved, whose classifier has so many outputs: transformers makes one of as many as there
    /// are names, and two where there are none. That of multiple choice has one whatever is named.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub(super) fn naming(&self, outputs: usize) -> Result<Self> {
        let mut head = self.clone();
        if head.architecture == "BertForMultipleChoice" {
            return Ok(head);
        }
        if head.labels.is_empty() {
            head.labels = default_labels(outputs);
        }
        if head.labels.len() == outputs {
            return Ok(head);
        }
        Err(Error::Usage {
            problem: format!(
                "the classifier has {outputs} outputs, its head names {}",
                head.labels.len()
            ),
            help: "give a name for each output, or none".into(),
        })
    }

    /// `id2label`, `label2id` and `problem_type`, where they are known.
    pub(super) fn keys(&self) -> Map<String, Value> {
        let mut keys = Map::new();
        if !self.labels.is_empty() {
            let named = self.labels.iter().enumerate();
            let id2label: Map<String, Value> = named
                .clone()
                .map(|(id, name)| (id.to_string(), json!(name)))
                .collect();
            let label2id: Map<String, Value> =
                named.map(|(id, name)| (name.clone(), json!(id))).collect();
            keys.insert("id2label".into(), id2label.into());
            keys.insert("label2id".into(), label2id.into());
        }
        let of_type = PROBLEM_TYPES
            .iter()
            .find(|(_, known)| Some(*known) == self.problem_type);
        if let Some((name, _)) = of_type {
            keys.insert("problem_type".into(), json!(name));
        }
        keys
    }
}

/// transformers' names for outputs without any.
fn default_labels(outputs: usize) -> Vec<String> {
    let names = (0..outputs).map(|output| format!("LABEL_{output}"));
    names.collect()
}

/// The head that a directory's `config.json` describes; outputs that it does not name have no names
/// ([`super::named_head`] gives them some).
///
/// # Errors
/// [`Error::Io`], [`Error::Config`] where the file is not JSON, [`Error::Weights`] where a key is not what transformers
/// writes.
pub fn read_head(directory: &Path) -> Result<Head> {
    let path = directory.join("config.json");
    let config = read_value(&path)?;
    let wrong = |key: &str, problem: String| Error::Weights {
        path: path.clone(),
        problem: format!("{key}: {problem}"),
        help: "write it as transformers does".into(),
    };
    let architecture = config.pointer("/architectures/0").and_then(Value::as_str);
    let mut labels = Vec::new();
    if let Some(id2label) = config.get("id2label").filter(|value| !value.is_null()) {
        let Some(names) = id2label.as_object() else {
            return Err(wrong("id2label", "expected an object".into()));
        };
        for id in 0..names.len() {
            labels.push(match names.get(&id.to_string()) {
                Some(Value::String(name)) => name.clone(),
                Some(Value::Number(name)) => name.to_string(),
                _ => return Err(wrong("id2label", format!("no name for output {id}"))),
            });
        }
    }
    let problem_type = match config.get("problem_type") {
        None | Some(Value::Null) => None,
        Some(value) => {
            let known = PROBLEM_TYPES.iter();
            let found = known
                .clone()
                .find(|(name, _)| value.as_str() == Some(name))
                .map(|(_, of_type)| *of_type);
            Some(found.ok_or_else(|| wrong("problem_type", format!("{value} is not known")))?)
        }
    };
    Ok(Head {
        architecture: architecture.unwrap_or_default().to_string(),
        labels,
        problem_type,
    })
}
