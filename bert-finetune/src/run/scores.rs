//! What a model gives for rows, and what that measures.

use std::ops::Range;

use crate::epochs::Batching;
use crate::examples::{Example, FinetuneBatch};
use crate::model::{LOSS, Outputs};
use crate::tasks::{Report, Scorer, Task};

/// A row with its encoding.
pub(super) struct Row<T: Task> {
    pub(super) record: T::Record,
    pub(super) layout: T::Layout,
    /// Its examples among those that are scored together.
    pub(super) examples: Range<usize>,
}

/// The batches of all examples, shortest first.
pub(super) fn sorted_batches(
    examples: &[Example],
    batch_tokens: usize,
) -> impl Iterator<Item = FinetuneBatch> {
    let batching = Batching {
        batch_tokens,
        batch_size: None,
        seed: 0,
    };
    let lengths: Vec<usize> = examples.iter().map(Example::length).collect();
    let all: Vec<usize> = (0..lengths.len()).collect();
    let batches = batching.sorted(&all, &lengths).into_iter();
    batches.map(|batch| FinetuneBatch::new(examples, &batch, Default::default()))
}

/// What a model gave for examples.
pub(super) struct Scores {
    /// The summed loss; 0 where targets are not known.
    loss: f64,
    /// What it is divided by; 0 where targets are not known.
    weight: f64,
    by_example: Vec<Vec<f32>>,
}

impl Scores {
    /// Puts the scores of each of so many examples in its place.
    pub(super) fn gather(
        examples: usize,
        batches: impl Iterator<Item = (FinetuneBatch, Outputs)>,
    ) -> Self {
        let mut gathered = Self {
            loss: 0.0,
            weight: 0.0,
            by_example: vec![Vec::new(); examples],
        };
        for (batch, outputs) in batches {
            gathered.loss += outputs.loss;
            gathered.weight += outputs.weight;
            for (&example, scores) in batch.examples().iter().zip(outputs.scores) {
                gathered.by_example[example] = scores;
            }
        }
        gathered
    }

    /// Those of a row's examples.
    pub(super) fn of<T: Task>(&self, row: &Row<T>) -> &[Vec<f32>] {
        &self.by_example[row.examples.clone()]
    }
}

/// The loss and the metrics of rows, as they come.
pub(super) struct Measured<T: Task> {
    scorer: Box<dyn Scorer<T>>,
    loss: f64,
    weight: f64,
    rows: u64,
}

impl<T: Task> Measured<T> {
    pub(super) fn new(task: &T) -> Self {
        Self {
            scorer: task.scorer(),
            loss: 0.0,
            weight: 0.0,
            rows: 0,
        }
    }

    /// Takes rows with all the scores of their examples.
    pub(super) fn add(&mut self, rows: &[Row<T>], scores: &Scores) {
        self.loss += scores.loss;
        self.weight += scores.weight;
        self.rows += rows.len() as u64;
        for row in rows {
            self.scorer.add(&row.record, &row.layout, scores.of(row));
        }
    }

    /// What the user should know beside.
    pub(super) fn remark(&self) -> Option<&'static str> {
        self.scorer.remark()
    }

    /// What all of them come to; `None` of no rows.
    pub(super) fn report(&self) -> Option<Report> {
        (self.weight > 0.0).then(|| {
            let mut report = self.scorer.report();
            let loss = (LOSS.name, self.loss / self.weight);
            report.values.insert(0, loss);
            report.details.insert("rows".into(), self.rows.into());
            report
        })
    }
}
