//! One answer for a text or a pair: a class, several labels, or a number (Devlin et al. 2019, section 4.1).

mod scorers;

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use bert_core::error::{Error, Result};
use bert_core::train::MetricInfo;
use bert_core::weights::{Head, ProblemType};
use serde_json::{Map, Value, json};

use super::encoder::Encoder;
use super::row::{self, Input, Origin};
use super::{Answer, Scorer, Task, argmax, higher, lower, softmax};
use crate::config::{DEFAULT_PAIR, SequenceAnswer, SequenceConfig};
use crate::data::labels::Labels;
use crate::data::message::named;
use crate::data::table::Row;
use crate::examples::{ClassTargets, Classes, Example, Target};
use crate::metrics::confusion::Confusion;
use crate::metrics::multi_label::MultiLabel;
use crate::metrics::regression::Correlation;
use crate::model::{HeadKind, LossKind};
use scorers::{ClassScorer, LabelScorer, NumberScorer};

pub(super) use scorers::class_report;

/// Classification, of one label or of several, or regression.
#[derive(Debug, Clone)]
pub struct SequenceTask {
    labels: Arc<Labels>,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Classes(ClassTargets),
    Labels { threshold: f64 },
    Number,
}

impl Kind {
    fn new(answer: &SequenceAnswer, labels: usize) -> Self {
        match *answer {
            SequenceAnswer::Classification { .. } => Self::Classes(ClassTargets::plain(labels)),
            SequenceAnswer::MultiLabel { threshold, .. } => Self::Labels { threshold },
            SequenceAnswer::Regression => Self::Number,
        }
    }
}

/// A text or a pair, and what is right.
#[derive(Debug, Clone)]
pub struct Record {
    origin: Origin,
    input: Input,
    gold: Option<Gold>,
}

#[derive(Debug, Clone, PartialEq)]
enum Gold {
    Class(String),
    Labels(Vec<String>),
    Number(f64),
}

impl Record {
    fn new(config: &SequenceConfig, path: &Arc<Path>, row: &Row, gold: bool) -> Result<Self> {
        let SequenceConfig {
            answer,
            text,
            text_pair,
            may_be_pair,
            label,
        } = config;
        let text_pair = match text_pair {
            None if *may_be_pair && row.fields.has(DEFAULT_PAIR) => Some(DEFAULT_PAIR),
            named => named.as_deref(),
        };
        let origin = Origin::of(path, row);
        let value = row::gold(row, path, label, gold)?;
        let value = value.map(|value| {
            gold_of(answer, value).ok_or_else(|| {
                let expected = match answer {
                    SequenceAnswer::Classification { .. } => "a name",
                    SequenceAnswer::MultiLabel { .. } => {
                        "an array of names, each once, or such names in a string (of columns or arrays that say 0 or 1 for \
                         each label, give the names of those that are 1)"
                    }
                    SequenceAnswer::Regression => "a finite number",
                };
                origin.error(
                    format!("\"{label}\" is {value}, not {expected}"),
                    "mend the row, or have such rows skipped (data.bad_rows, --skip-bad-rows)",
                )
            })
        });
        Ok(Self {
            input: row::input(row, path, text, text_pair)?,
            gold: value.transpose()?,
            origin,
        })
    }
}

fn gold_of(answer: &SequenceAnswer, value: &Value) -> Option<Gold> {
    match answer {
        SequenceAnswer::Classification { .. } => row::label(value).map(Gold::Class),
        SequenceAnswer::MultiLabel { separator, .. } => {
            let is_array = |text: &str| text.trim_start().starts_with('[');
            let labels: Vec<String> = match value {
                Value::String(text) if !is_array(text) => {
                    let parts = text.split(separator.as_str()).map(str::trim);
                    let named = parts.filter(|part| !part.is_empty());
                    named.map(str::to_string).collect()
                }
                value => {
                    let values = row::array(value)?;
                    // `[1.0, 0.0]` says for each label whether it is one, not which.
                    if values.iter().any(Value::is_f64) {
                        return None;
                    }
                    values.iter().map(row::label).collect::<Option<_>>()?
                }
            };
            let mut once = HashSet::new();
            let all_once = labels.iter().all(|label| once.insert(label));
            all_once.then_some(Gold::Labels(labels))
        }
        SequenceAnswer::Regression => {
            let number = match value {
                Value::String(text) => text.trim().parse().ok()?,
                value => value.as_f64()?,
            };
            // The model computes in f32.
            Some(Gold::Number(number)).filter(|_| (number as f32).is_finite())
        }
    }
}

impl SequenceTask {
    fn number_of(&self, label: &str, origin: &Origin) -> Result<usize> {
        self.labels.get(label).ok_or_else(|| {
            let nearest = self.labels.nearest(label);
            let nearest = nearest.map(|name| format!(" (did you mean \"{name}\"?)"));
            origin.error(
                format!(
                    "the label \"{label}\" is not one of the model's{}: {}",
                    nearest.unwrap_or_default(),
                    named(self.labels.names())
                ),
                "mend the row, or have such rows skipped (data.bad_rows, --skip-bad-rows)",
            )
        })
    }

    /// What a record's head should say.
    fn target(&self, record: &Record) -> Result<Option<Target>> {
        let Some(gold) = &record.gold else {
            return Ok(None);
        };
        Ok(Some(match (&self.kind, gold) {
            (Kind::Classes(targets), Gold::Class(label)) => {
                targets.of([self.number_of(label, &record.origin)?])
            }
            (Kind::Labels { .. }, Gold::Labels(given)) => {
                let places = given
                    .iter()
                    .map(|label| self.number_of(label, &record.origin));
                let scores = self.labels.len();
                Target::Ones {
                    places: places.collect::<Result<_>>()?,
                    scores,
                    weight: scores as f64,
                }
            }
            (Kind::Number, Gold::Number(number)) => Target::Number(*number as f32),
            _ => unreachable!("records are read with the task's own configuration"),
        }))
    }

    fn probabilities(&self, scores: &[f32]) -> Vec<f64> {
        match self.kind {
            Kind::Labels { .. } => scores.iter().map(|&score| sigmoid(score)).collect(),
            _ => softmax(scores),
        }
    }
}

/// Labels that a task needs to have something to tell apart.
fn least_labels(answer: &SequenceAnswer) -> usize {
    match answer {
        SequenceAnswer::Classification { .. } => 2,
        SequenceAnswer::MultiLabel { .. } => 1,
        SequenceAnswer::Regression => 0,
    }
}

fn sigmoid(score: f32) -> f64 {
    1.0 / (1.0 + (-f64::from(score)).exp())
}

impl Task for SequenceTask {
    type Config = SequenceConfig;
    type Record = Record;
    type Layout = ();

    fn text_key(config: &SequenceConfig) -> &str {
        &config.text
    }

    fn record(config: &SequenceConfig, path: &Arc<Path>, row: &Row, gold: bool) -> Result<Record> {
        Record::new(config, path, row, gold)
    }

    fn learn(config: &SequenceConfig, records: &[Record], known: &[String]) -> Result<Self> {
        let golds = records.iter().filter_map(|record| record.gold.as_ref());
        let names: Vec<&str> = golds
            .flat_map(|gold| match gold {
                Gold::Class(label) => std::slice::from_ref(label),
                Gold::Labels(labels) => labels,
                Gold::Number(_) => &[],
            })
            .map(String::as_str)
            .collect();
        let discovered = Labels::discover(names.iter().copied());
        let labels = Labels::of_data(config.answer.label_names(), discovered, known)?;
        let all_have_all = records.iter().all(|record| {
            matches!(&record.gold, Some(Gold::Labels(given)) if given.len() == labels.len())
        });
        if all_have_all && labels.len() > 1 {
            return Err(Error::Usage {
                problem: format!(
                    "every row of the training data has all {} labels",
                    labels.len()
                ),
                help: "give each row the names or the numbers of its labels, not a 0 or 1 for each"
                    .into(),
            });
        }
        if labels.len() < least_labels(&config.answer) {
            return Err(Error::Usage {
                problem: match labels.names() {
                    [only] => format!("all rows of the training data have the label \"{only}\""),
                    _ => "no row of the training data has a label".into(),
                },
                help: "give data with at least two labels, or check task.label".into(),
            });
        }
        labels.not_too_many("task.label")?;
        Ok(Self {
            kind: Kind::new(&config.answer, labels.len()),
            labels: Arc::new(labels),
        })
    }

    fn of_head(config: &SequenceConfig, head: &Head) -> Result<Self> {
        let labels = Labels::of_head(config.answer.label_names(), &head.labels)?;
        labels.enough(least_labels(&config.answer))?;
        if config.answer == SequenceAnswer::Regression && labels.len() > 1 {
            return Err(Error::Usage {
                problem: format!("the model has {} outputs, a number is one", labels.len()),
                help: "regression on several numbers at once is not supported".into(),
            });
        }
        Ok(Self {
            kind: Kind::new(&config.answer, labels.len()),
            labels: Arc::new(labels),
        })
    }

    fn weighed(&self, classes: &Classes, records: &[Record]) -> Result<Self> {
        let mut weighed = self.clone();
        if let Kind::Classes(targets) = &mut weighed.kind {
            let golds = records.iter().filter_map(|record| match &record.gold {
                Some(Gold::Class(label)) => Some(label.as_str()),
                _ => None,
            });
            *targets = ClassTargets::new(classes, self.labels.names(), &self.labels.count(golds))?;
        }
        Ok(weighed)
    }

    fn resolve(&self, config: &SequenceConfig) -> SequenceConfig {
        SequenceConfig {
            answer: config.answer.clone().without_names(),
            ..config.clone()
        }
    }

    fn head(&self) -> Head {
        let problem_type = match self.kind {
            Kind::Classes(_) => ProblemType::SingleLabel,
            Kind::Labels { .. } => ProblemType::MultiLabel,
            Kind::Number => ProblemType::Regression,
        };
        let mut labels = self.labels.names().to_vec();
        if let (Kind::Number, true) = (&self.kind, labels.is_empty()) {
            // transformers counts the outputs by their names.
            labels.push("LABEL_0".into());
        }
        Head {
            architecture: self.kind().architecture().into(),
            labels,
            problem_type: Some(problem_type),
        }
    }

    fn kind(&self) -> HeadKind {
        HeadKind::Sequence
    }

    fn loss(&self) -> LossKind {
        match self.kind {
            Kind::Classes(_) => LossKind::CrossEntropy,
            Kind::Labels { .. } => LossKind::BinaryCrossEntropy,
            Kind::Number => LossKind::SquaredError,
        }
    }

    fn outputs(&self) -> usize {
        self.labels.len().max(1)
    }

    fn encode(&self, encoder: &Encoder, record: &Record) -> Result<(Vec<Example>, ())> {
        let sequence = encoder.sequence(&record.input, &record.origin)?;
        let example = Example {
            sequences: vec![sequence],
            tokens: Vec::new(),
            rows: 1,
            target: self.target(record)?,
        };
        Ok((vec![example], ()))
    }

    fn answer(&self, record: &Record, (): &(), scores: &[Vec<f32>]) -> Answer {
        let scores = &scores[0];
        let mut json = Map::new();
        if let Some(id) = &record.origin.id {
            json.insert("id".into(), id.clone());
        }
        if let Kind::Number = self.kind {
            json.insert("value".into(), json!(scores[0]));
            json.insert("logits".into(), json!(scores));
            let readable = format!("{:.4}", scores[0]);
            return Answer { json, readable };
        }
        let probabilities = self.probabilities(scores);
        let named = self.labels.names().iter().zip(&probabilities);
        let percent = |(name, p): (&String, &f64)| format!("{name} {:.2} %", 100.0 * p);
        let readable = if let Kind::Labels { threshold } = self.kind {
            let given = named.clone().filter(|(_, p)| **p >= threshold);
            let names: Vec<&String> = given.clone().map(|(name, _)| name).collect();
            json.insert("labels".into(), json!(names));
            let given: Vec<String> = given.map(percent).collect();
            match given.is_empty() {
                true => "no label".into(),
                false => given.join(", "),
            }
        } else {
            let best = argmax(scores);
            let name = &self.labels.names()[best];
            json.insert("label".into(), json!(name));
            json.insert("score".into(), json!(probabilities[best]));
            percent((name, &probabilities[best]))
        };
        let named: Map<String, Value> = named.map(|(name, p)| (name.clone(), json!(p))).collect();
        json.insert("probabilities".into(), named.into());
        json.insert("logits".into(), json!(scores));
        Answer { json, readable }
    }

    fn metrics(&self) -> Vec<MetricInfo> {
        match self.kind {
            Kind::Classes(_) => {
                let names = ["accuracy", "f1_macro", "f1_weighted", "matthews"];
                let of_two = (self.labels.len() == 2).then_some("f1");
                names.into_iter().chain(of_two).map(higher).collect()
            }
            Kind::Labels { .. } => vec![
                higher("f1_micro"),
                higher("f1_macro"),
                higher("subset_accuracy"),
                lower("hamming_loss"),
            ],
            Kind::Number => vec![
                higher("pearson"),
                higher("spearman"),
                lower("mse"),
                lower("mae"),
            ],
        }
    }

    fn scorer(&self) -> Box<dyn Scorer<Self>> {
        let outputs = self.outputs();
        match self.kind {
            Kind::Classes(_) => Box::new(ClassScorer {
                task: self.clone(),
                confusion: Confusion::new(outputs),
            }),
            Kind::Labels { threshold } => Box::new(LabelScorer {
                task: self.clone(),
                threshold,
                labels: MultiLabel::new(outputs),
            }),
            Kind::Number => Box::new(NumberScorer {
                numbers: Correlation::new(),
            }),
        }
    }
}
