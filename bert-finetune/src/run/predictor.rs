//! A fine-tuned model that stays loaded and answers rows, whatever its task and its backend.

use std::path::Path;

use bert_core::backend::{Job, run_on, within};
use bert_core::config::BackendConfig;
use bert_core::error::{Error, Result};
use bert_core::ops::{BertAutodiffBackend, BertBackend};
use serde_json::Value;

use super::directory::FineTuned;
use super::pools::Pools;
use super::with_task;
use crate::data::input::Records;
use crate::data::table::{Row, kind};
use crate::model::Finetuning;
use crate::tasks::encoder::Encoder;
use crate::tasks::{Answer, Task};

/// Tokens computed at a time.
const BATCH_TOKENS: usize = 4096;

/// What messages call the rows that a program gives.
const ROWS: &str = "rows";

/// A fine-tuned model, loaded: what `bert-finetune predict` answers with, in a program of one's own.
///
/// ```no_run
/// use bert_core::config::BackendConfig;
/// use bert_finetune::Predictor;
///
/// fn main() -> bert_core::error::Result<()> {
///     let tagger = Predictor::open("runs/entities/model", &BackendConfig::default())?;
///     for answer in tagger.predict(["In Amberwick 61 throat lozenges were counted by Mrs Merriman."])? {
///         println!("{}", answer?.readable); // Amberwick [LOC]  Merriman [PER]
///     }
///     Ok(())
/// }
/// ```
pub struct Predictor {
    loaded: Box<dyn AnyLoaded>,
    backend: BackendConfig,
}

impl Predictor {
    /// Loads a model directory, ours or one that transformers saved. Rows are read as the model was trained: by the columns,
    /// lengths and strides of its `finetune.json`, or the defaults where it has none.
    ///
    /// # Errors
    /// [`Error::Weights`] and [`Error::Io`] where it is not such a directory, [`Error::Backend`] as
    /// [`run_on`](bert_core::backend::run_on).
    pub fn open(model: impl AsRef<Path>, backend: &BackendConfig) -> Result<Self> {
        Self::open_path(model.as_ref(), backend)
    }

    // Not generic: what loads all kinds of models on all backends is compiled here, not anew in every program that calls it.
    fn open_path(model: &Path, backend: &BackendConfig) -> Result<Self> {
        let opened = FineTuned::open(model)?;
        let loaded = with_task!(&opened.settings.task, (T, config) => {
            let job = Load::<T> {
                opened: &opened,
                task: T::of_head(config, &opened.head)?,
                config: config.clone(),
            };
            run_on(backend, job)?
        });
        Ok(Self {
            loaded,
            backend: backend.clone(),
        })
    }

    /// The answers to rows, in their order. A row is an object with the fields that a line of the task's JSON Lines has, or a
    /// text by itself. They are computed together, in batches of like lengths.
    ///
    /// # Errors
    /// [`Error::Backend`] where the backend gives up. An answer is an [`Error::Data`] where its row cannot be used; it calls
    /// the first row `rows:1`.
    pub fn predict<R: Into<Value>>(
        &self,
        rows: impl IntoIterator<Item = R>,
    ) -> Result<Vec<Result<Answer>>> {
        let rows: Vec<Value> = rows.into_iter().map(Into::into).collect();
        within(&self.backend, || self.loaded.answers(rows))
    }

    /// How many texts were longer than the model, and cut, since it was loaded. Tagged sentences and passages are not cut, but
    /// read in windows.
    pub fn truncated_texts(&self) -> usize {
        self.loaded.truncated_texts()
    }
}

struct Load<'a, T: Task> {
    opened: &'a FineTuned,
    task: T,
    config: T::Config,
}

impl<T: Task> Job for Load<'_, T> {
    type Output = Box<dyn AnyLoaded>;

    fn run<B: BertAutodiffBackend>(self, device: B::Device) -> Result<Self::Output> {
        let loaded = Loaded::<B::InnerBackend, T>::new::<B>(self.opened, self.task, &device)?;
        Ok(Box::new((loaded, self.config)))
    }
}

/// A model of any task on any backend.
trait AnyLoaded: Send + Sync {
    fn answers(&self, rows: Vec<Value>) -> Result<Vec<Result<Answer>>>;

    fn truncated_texts(&self) -> usize;
}

impl<B: BertBackend, T: Task> AnyLoaded for (Loaded<B, T>, T::Config) {
    fn answers(&self, rows: Vec<Value>) -> Result<Vec<Result<Answer>>> {
        let (loaded, config) = self;
        let mut answers = Vec::with_capacity(rows.len());
        let text_key = T::text_key(config).to_string();
        let rows = (1..)
            .zip(rows)
            .map(move |(number, row)| of_value(number, row, &text_key));
        let records = T::records(config, Path::new(ROWS), Box::new(rows), false);
        loaded.answer(loaded.pools(records, BATCH_TOKENS), &mut |answer| {
            answers.push(answer);
            Ok(())
        })?;
        Ok(answers)
    }

    fn truncated_texts(&self) -> usize {
        self.0.encoder.truncated()
    }
}

/// The row of this number, counted from 1.
fn of_value(line: u64, value: Value, text_key: &str) -> Result<Row> {
    match value {
        Value::Object(object) => Ok(Row::of_object(line, object)),
        Value::String(text) => Ok(Row::of_text(line, text_key, text)),
        other => Err(Error::Data {
            path: ROWS.into(),
            line: Some(line),
            problem: format!("this is {}, not a text or an object", kind(&other)),
            help: "give a text, or an object with the fields of a row".into(),
        }),
    }
}

/// A task with its model, ready to answer.
pub(super) struct Loaded<B: BertBackend, T> {
    pub(super) task: T,
    pub(super) model: Finetuning<B>,
    pub(super) encoder: Encoder,
}

impl<B: BertBackend, T: Task> Loaded<B, T> {
    pub(super) fn new<A: BertAutodiffBackend<InnerBackend = B>>(
        opened: &FineTuned,
        task: T,
        device: &A::Device,
    ) -> Result<Self> {
        Ok(Self {
            model: opened.load::<A, T>(&task, device)?,
            encoder: opened.encoder(),
            task,
        })
    }

    pub(super) fn pools(&self, records: Records<T::Record>, batch_tokens: usize) -> Pools<'_, T> {
        Pools::new(&self.task, &self.encoder, records, batch_tokens)
    }

    /// Gives away the answer to every row, in order.
    pub(super) fn answer(
        &self,
        pools: Pools<'_, T>,
        take: &mut dyn FnMut(Result<Answer>) -> Result<()>,
    ) -> Result<()> {
        for pool in pools {
            let scores = pool.scores(&self.model);
            for row in pool.rows {
                let answer = row.map(|row| {
                    let scores = scores.of(&row);
                    self.task.answer(&row.record, &row.layout, scores)
                });
                take(answer)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_readme_shows_the_program_that_is_tested_here() {
        let readme = include_str!("../../../README.md");
        let shown = readme.split("```rust\n").nth(1).unwrap();
        let shown = shown.split("```").next().unwrap();
        let documented = include_str!("predictor.rs").replace("///\n", "/// \n");
        assert!(documented.replace("/// ", "").contains(shown), "{shown}");
    }
}
