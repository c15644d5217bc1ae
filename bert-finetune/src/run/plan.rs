//! How long a training is, and its batches in order.

use std::sync::Arc;

use bert_core::train::BatchLoader;

use crate::config::FinetuneConfig;
use crate::epochs::Batching;
use crate::examples::{Cursor, Example, FinetuneBatch};

/// How many steps there are, and what happens after which.
pub(super) struct Plan {
    batching: Batching,
    pub(super) steps: u64,
    pub(super) evaluate_at: Vec<u64>,
}

impl Plan {
    pub(super) fn new(config: &FinetuneConfig, examples: &[Example]) -> Self {
        let training = &config.training;
        let batching = Batching {
            batch_tokens: training.batch_tokens,
            batch_size: training.batch_size,
            seed: config.seed,
        };
        let lengths: Vec<usize> = examples.iter().map(Example::length).collect();
        // Batches done at the end of each epoch.
        let mut ends = vec![0];
        for epoch in 0..training.epochs {
            let batches = batching.epoch(&lengths, epoch).len();
            ends.push(ends[ends.len() - 1] + batches);
        }
        // A tenth of an epoch, three times, is a little more than three tenths to a computer.
        let steps_of = |batches: f64| (batches / training.accumulation as f64 - 1e-6).ceil() as u64;
        let mut steps = steps_of(ends[ends.len() - 1] as f64);
        if let Some(most) = training.max_steps {
            steps = steps.min(most as u64);
        }
        // Not more than once a step.
        let least = training.epochs as f64 / steps_of(ends[ends.len() - 1] as f64).max(1) as f64;
        let every = training.evaluate_every_epochs.max(least);
        let evaluations = (training.epochs as f64 / every + 1e-6).floor() as u64;
        let at = |evaluation: u64| {
            let epochs = evaluation as f64 * every;
            let whole = (epochs.floor() as usize).min(ends.len() - 1);
            let next = (whole + 1).min(ends.len() - 1);
            let part = (epochs - whole as f64) * (ends[next] - ends[whole]) as f64;
            steps_of(ends[whole] as f64 + part)
        };
        let mut evaluate_at: Vec<u64> = (1..=evaluations).map(at).collect();
        evaluate_at.dedup();
        Self {
            batching,
            steps,
            evaluate_at,
        }
    }

    /// The stream of training batches from a position on; it does not end.
    pub(super) fn loader(
        &self,
        examples: Arc<Vec<Example>>,
        cursor: Cursor,
    ) -> BatchLoader<FinetuneBatch> {
        let batching = self.batching;
        let lengths: Arc<Vec<usize>> = Arc::new(examples.iter().map(Example::length).collect());
        BatchLoader::new(self.steps as usize, move || {
            let (examples, lengths) = (examples.clone(), lengths.clone());
            let batches = (cursor.epoch..).flat_map(move |epoch| {
                let skip = if epoch == cursor.epoch {
                    cursor.batch
                } else {
                    0
                };
                let batches = batching.epoch(&lengths, epoch);
                let last = batches.len();
                let numbered = batches.into_iter().enumerate().skip(skip);
                numbered.map(move |(index, batch)| {
                    let after = match index + 1 {
                        done if done == last => Cursor {
                            epoch: epoch + 1,
                            batch: 0,
                        },
                        done => Cursor { epoch, batch: done },
                    };
                    (batch, after)
                })
            });
            Box::new(
                batches.map(move |(batch, after)| FinetuneBatch::new(&examples, &batch, after)),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use bert_core::config::from_value;
    use serde_json::json;

    use super::*;
    use crate::examples::Sequence;

    #[test]
    fn a_tenth_of_an_epoch_is_a_tenth_of_its_steps_each_time() {
        let config = json!({
            "model": {"path": "m"}, "data": {"sample": "sentiment"},
            "training": {"epochs": 3, "evaluate_every_epochs": 0.1, "batch_tokens": 100, "max_seq_length": 10},
        });
        let config: FinetuneConfig = from_value("test", config).unwrap();
        let example = Example {
            sequences: vec![Sequence {
                input_ids: vec![0; 10],
                token_type_ids: vec![0; 10],
            }],
            ..Example::default()
        };
        let plan = Plan::new(&config, &vec![example; 100]);
        assert_eq!(plan.steps, 30);
        assert_eq!(plan.evaluate_at, (1..=30).collect::<Vec<_>>());
    }
}
