//! A labelled file, read and encoded.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bert_core::config::BadRows;
use bert_core::error::{Error, Result};
use rayon::prelude::*;

use super::bad_rows::BadRowCount;
use super::scores::{Measured, Row, Scores};
use crate::examples::{Example, FinetuneBatch};
use crate::model::Outputs;
use crate::tasks::encoder::Encoder;
use crate::tasks::{Report, Task};

/// The rows of a file.
pub(super) struct Rows<T: Task> {
    pub(super) records: Vec<T::Record>,
    path: PathBuf,
    bad: BadRowCount,
}

impl<T: Task> Rows<T> {
    /// Reads a file whole.
    pub(super) fn read(config: &T::Config, path: &Path, policy: BadRows) -> Result<Self> {
        let mut bad = BadRowCount::new(policy);
        let mut records = Vec::new();
        for record in T::read(config, path, true)? {
            records.extend(bad.take(record)?);
        }
        if records.is_empty() {
            bad.finish()?;
            return Err(no_rows(path));
        }
        Ok(Self {
            records,
            path: path.to_path_buf(),
            bad,
        })
    }

    /// Ends with the rows that cannot be used, where such rows are refused.
    pub(super) fn refuse_bad(self) -> Result<()> {
        self.bad.finish().map(|_| ())
    }

    /// Holds the rows of the second list out.
    pub(super) fn split(self, held_out: &[usize]) -> (Self, Self) {
        let policy = self.bad.policy();
        let (mut train, mut valid) = (Vec::new(), Vec::new());
        for (index, record) in self.records.into_iter().enumerate() {
            match held_out.binary_search(&index) {
                Ok(_) => valid.push(record),
                Err(_) => train.push(record),
            }
        }
        let train = Self {
            records: train,
            path: self.path.clone(),
            bad: self.bad,
        };
        let valid = Self {
            records: valid,
            path: self.path,
            bad: BadRowCount::new(policy),
        };
        (train, valid)
    }

    /// Keeps these rows alone, ascending.
    pub(super) fn keep(&mut self, rows: &[usize]) {
        let mut index = 0..;
        self.records.retain(|_| {
            index
                .next()
                .is_some_and(|row| rows.binary_search(&row).is_ok())
        });
    }

    /// Encodes them, in parallel.
    pub(super) fn encode(mut self, task: &T, encoder: &Encoder) -> Result<Set<T>> {
        let cut_before = encoder.truncated();
        let encoded: Vec<Result<_>> = (self.records.par_iter())
            .map(|record| task.encode(encoder, record))
            .collect();
        let mut set = Set {
            rows: Vec::with_capacity(encoded.len()),
            examples: Vec::with_capacity(encoded.len()),
            skipped: 0,
            truncated: 0,
        };
        for (record, encoded) in self.records.into_iter().zip(encoded) {
            let Some((examples, layout)) = self.bad.take(encoded)? else {
                continue;
            };
            let first = set.examples.len();
            set.examples.extend(examples);
            set.rows.push(Row {
                record,
                layout,
                examples: first..set.examples.len(),
            });
        }
        set.skipped = self.bad.finish()?;
        if set.rows.is_empty() {
            return Err(no_rows(&self.path));
        }
        set.truncated = encoder.truncated() - cut_before;
        Ok(set)
    }
}

fn no_rows(path: &Path) -> Error {
    Error::Data {
        path: path.to_path_buf(),
        line: None,
        problem: "it has no rows that can be used".into(),
        help: "give a file with labelled rows".into(),
    }
}

/// Rows with their examples.
pub(super) struct Set<T: Task> {
    rows: Vec<Row<T>>,
    pub(super) examples: Vec<Example>,
    /// Rows that were left out.
    pub(super) skipped: usize,
    /// Texts that were cut.
    pub(super) truncated: usize,
}

impl<T: Task> Set<T> {
    /// A line about it.
    pub(super) fn summary(&self) -> String {
        let tokens: usize = self.examples.iter().map(Example::length).sum();
        let mut text = format!("{} rows, {} tokens", self.rows.len(), tokens);
        if self.examples.len() != self.rows.len() {
            text += &format!(" in {} windows", self.examples.len());
        }
        for (count, what) in [
            (self.truncated, "texts cut"),
            (self.skipped, "bad rows left out"),
        ] {
            if count > 0 {
                text += &format!(", {count} {what}");
            }
        }
        text
    }

    /// The metrics of a model's outputs for all batches; `None` of no batches.
    pub(super) fn score(
        &self,
        task: &T,
        batches: impl Iterator<Item = (FinetuneBatch, Outputs)>,
    ) -> Option<Report> {
        let mut measured = Measured::new(task);
        measured.add(&self.rows, &Scores::gather(self.examples.len(), batches));
        measured.report()
    }
}

/// Shared with the threads of a training.
pub(super) type SharedSet<T> = Arc<Set<T>>;
