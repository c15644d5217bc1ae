//! A stream of rows, computed as many at a time as make full batches of like lengths.

use std::time::Duration;

use bert_core::error::Result;
use bert_core::ops::BertBackend;
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;

use super::scores::{Row, Scores, sorted_batches};
use crate::data::input::Records;
use crate::examples::Example;
use crate::model::Finetuning;
use crate::tasks::Task;
use crate::tasks::encoder::Encoder;

/// Rows that are computed together, sorted by length: so many batches' worth.
const POOLED_BATCHES: usize = 16;
/// Rows of a pool at most, whatever their lengths.
const POOLED_ROWS: usize = 4096;

/// Rows, encoded, as many at a time as are computed together.
pub(super) struct Pools<'a, T: Task> {
    task: &'a T,
    encoder: &'a Encoder,
    records: Records<T::Record>,
    batch_tokens: usize,
    rows: usize,
    progress: ProgressBar,
}

impl<'a, T: Task> Pools<'a, T> {
    pub(super) fn new(
        task: &'a T,
        encoder: &'a Encoder,
        records: Records<T::Record>,
        batch_tokens: usize,
    ) -> Self {
        Self {
            task,
            encoder,
            records,
            batch_tokens,
            rows: POOLED_ROWS,
            progress: ProgressBar::hidden(),
        }
    }

    /// With the count of examples so far on standard error, where that is a terminal.
    pub(super) fn with_progress(mut self) -> Self {
        let progress = ProgressBar::new_spinner();
        if let Ok(style) =
            ProgressStyle::with_template("{spinner} {human_pos} examples  {per_sec}  {elapsed}")
        {
            progress.set_style(style);
        }
        progress.enable_steady_tick(Duration::from_millis(200));
        self.progress = progress;
        self
    }

    /// What shows the progress, to be suspended while something else is written.
    pub(super) fn progress(&self) -> ProgressBar {
        self.progress.clone()
    }

    /// With each row by itself, answered before the next is read.
    pub(super) fn one_by_one(mut self) -> Self {
        self.rows = 1;
        self
    }
}

/// Rows that are computed together.
pub(super) struct Pool<T: Task> {
    /// In order; those that cannot be used with the reason.
    pub(super) rows: Vec<Result<Row<T>>>,
    examples: Vec<Example>,
    batch_tokens: usize,
    progress: ProgressBar,
}

impl<T: Task> Iterator for Pools<'_, T> {
    type Item = Pool<T>;

    fn next(&mut self) -> Option<Pool<T>> {
        let mut pool = Pool {
            rows: Vec::new(),
            examples: Vec::new(),
            batch_tokens: self.batch_tokens,
            progress: self.progress.clone(),
        };
        let (mut tokens, most) = (0, self.batch_tokens.saturating_mul(POOLED_BATCHES));
        while tokens < most && pool.rows.len() < self.rows {
            // A few at a time are encoded by all threads.
            let block = self.rows.min(256);
            let records: Vec<Result<T::Record>> = self.records.by_ref().take(block).collect();
            if records.is_empty() {
                break;
            }
            let encoded: Vec<Result<_>> = records
                .into_par_iter()
                .map(|record| {
                    let record = record?;
                    let encoded = self.task.encode(self.encoder, &record)?;
                    Ok((record, encoded))
                })
                .collect();
            for row in encoded {
                pool.rows.push(row.map(|(record, (examples, layout))| {
                    let first = pool.examples.len();
                    tokens += examples.iter().map(Example::length).sum::<usize>();
                    pool.examples.extend(examples);
                    Row {
                        record,
                        layout,
                        examples: first..pool.examples.len(),
                    }
                }));
            }
        }
        (!pool.rows.is_empty()).then_some(pool)
    }
}

impl<T: Task> Drop for Pools<'_, T> {
    fn drop(&mut self) {
        self.progress.finish_and_clear();
    }
}

impl<T: Task> Pool<T> {
    pub(super) fn scores<B: BertBackend>(&self, model: &Finetuning<B>) -> Scores {
        let batches = sorted_batches(&self.examples, self.batch_tokens).map(|batch| {
            let outputs = model.outputs(&batch);
            self.progress.inc(batch.examples().len() as u64);
            (batch, outputs)
        });
        Scores::gather(self.examples.len(), batches)
    }
}
