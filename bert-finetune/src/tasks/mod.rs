//! The tasks: from rows to examples, from scores to answers, from answers to metrics.
//!
//! | file | what it holds |
//! |---|---|
//! | [`sequence`] | one answer for a text or a pair: a class, several labels, a number |
//! | [`tokens`] | a tag for every word, names in a text |
//! | [`questions`] | an answer within a passage |
//! | [`choice`] | one of several answers |
//! | [`encoder`] | texts and ids as sequences of the model |
//! | [`row`] | what rows of data have in common |
//! | [`windows`] | texts that are longer than the model |

pub mod choice;
pub mod encoder;
pub mod questions;
pub mod row;
pub mod sequence;
pub mod tokens;
pub mod windows;

use std::path::Path;
use std::sync::Arc;

use bert_core::error::Result;
use bert_core::train::MetricInfo;
use bert_core::weights::Head;
use serde_json::{Map, Value};

use crate::config::TaskConfig;
use crate::data::input::{self, Records};
use crate::data::table::Row;
use crate::examples::{Classes, Example};
use crate::model::{HeadKind, LossKind};
use encoder::Encoder;

/// A task with the names of its outputs.
pub trait Task: Clone + Send + Sync + 'static {
    /// Its configuration.
    type Config: Clone + Send + Sync + Into<TaskConfig> + 'static;
    /// A row of its data.
    type Record: Send + Sync + 'static;
    /// What of a row's encoding its answer needs.
    type Layout: Send + Sync + 'static;

    /// The key that a text by itself has as a row.
    fn text_key(config: &Self::Config) -> &str;

    /// A row of the data that messages call by this path; of one that is to be answered only, `gold` is false and what is
    /// right may be left out.
    ///
    /// # Errors
    /// [`bert_core::error::Error::Data`] where the row cannot be used.
    fn record(
        config: &Self::Config,
        path: &Arc<Path>,
        row: &Row,
        gold: bool,
    ) -> Result<Self::Record>;

    /// [`Task::record`] of every row.
    fn records(
        config: &Self::Config,
        path: &Path,
        rows: Records<Row>,
        gold: bool,
    ) -> Records<Self::Record> {
        let (config, path): (Self::Config, Arc<Path>) = (config.clone(), path.into());
        Box::new(rows.map(move |row| Self::record(&config, &path, &row?, gold)))
    }

    /// The rows of a file.
    ///
    /// # Errors
    /// [`bert_core::error::Error::Io`] where the file cannot be read, and what is wrong with it as a whole.
    fn read(config: &Self::Config, path: &Path, gold: bool) -> Result<Records<Self::Record>> {
        let rows = input::read(path, Self::text_key(config))?;
        Ok(Self::records(config, path, rows, gold))
    }

    /// What a row has in common with others, which are held out together with it; `None` of a row by itself.
    fn shared(_record: &Self::Record) -> Option<&str> {
        None
    }

    /// With the outputs that labelled data call for, in the order of the `known` names where these are the same.
    ///
    /// # Errors
    /// Where there are too few to tell apart.
    fn learn(config: &Self::Config, records: &[Self::Record], known: &[String]) -> Result<Self>;

    /// With the outputs of a model's head.
    ///
    /// # Errors
    /// Where they do not fit the task.
    fn of_head(config: &Self::Config, head: &Head) -> Result<Self>;

    /// As it is trained on these records: classes weigh what is asked for and targets are smoothed, while it is measured
    /// without.
    ///
    /// # Errors
    /// [`bert_core::error::Error::Config`] where a class is weighed that is not there.
    fn weighed(&self, _classes: &Classes, _records: &[Self::Record]) -> Result<Self> {
        Ok(self.clone())
    }

    /// A configuration with what was learnt in place of what was left open.
    fn resolve(&self, config: &Self::Config) -> Self::Config {
        config.clone()
    }

    /// What a model of it is called and its outputs are.
    fn head(&self) -> Head;

    /// Which model.
    fn kind(&self) -> HeadKind;

    /// Which loss.
    fn loss(&self) -> LossKind;

    /// Scores a row.
    fn outputs(&self) -> usize;

    /// The examples of a row: one, or one for each window.
    ///
    /// # Errors
    /// What is wrong with the row.
    fn encode(
        &self,
        encoder: &Encoder,
        record: &Self::Record,
    ) -> Result<(Vec<Example>, Self::Layout)>;

    /// The answer that the scores of a row's examples come to.
    fn answer(&self, record: &Self::Record, layout: &Self::Layout, scores: &[Vec<f32>]) -> Answer;

    /// What an evaluation gives beside the loss. Models are chosen by the first unless another is named.
    fn metrics(&self) -> Vec<MetricInfo>;

    /// What measures answers.
    fn scorer(&self) -> Box<dyn Scorer<Self>>;
}

/// An answer, as JSON and as people read it.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The answer in the task's own terms, and `logits`.
    pub json: Map<String, Value>,
    /// The answer in a line, or several.
    pub readable: String,
}

/// Measures the answers to rows whose right answer is known.
pub trait Scorer<T: Task> {
    /// Takes a row and the scores of its examples.
    fn add(&mut self, record: &T::Record, layout: &T::Layout, scores: &[Vec<f32>]);

    /// What all of them come to.
    fn report(&self) -> Report;

    /// What the user should know beside.
    fn remark(&self) -> Option<&'static str> {
        None
    }
}

/// The metrics of an evaluation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// By name, in order.
    pub values: Vec<(&'static str, f64)>,
    /// By class, by type, and the like.
    pub details: Map<String, Value>,
}

impl Report {
    /// The metrics by name, without the details.
    pub fn metrics(&self) -> Map<String, Value> {
        let values = self.values.iter();
        values
            .map(|(name, value)| (name.to_string(), Value::from(*value)))
            .collect()
    }
}

/// A metric of which more is better.
fn higher(name: &'static str) -> MetricInfo {
    MetricInfo {
        name,
        higher_is_better: true,
    }
}

/// A metric of which less is better.
fn lower(name: &'static str) -> MetricInfo {
    MetricInfo {
        name,
        higher_is_better: false,
    }
}

/// The softmax of scores.
fn softmax(scores: &[f32]) -> Vec<f64> {
    let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers = scores.iter().map(|score| f64::from(score - most).exp());
    let powers: Vec<f64> = powers.collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}

/// The place of the highest score, the first of equal ones.
fn argmax(scores: &[f32]) -> usize {
    let indices = 0..scores.len();
    indices
        .reduce(|best, index| {
            if scores[index] > scores[best] {
                index
            } else {
                best
            }
        })
        .unwrap_or(0)
}
