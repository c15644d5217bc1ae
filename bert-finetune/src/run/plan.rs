//! How long a training is, and its batches in order.

use std::sync::Arc;

use bert_core::train::BatchLoader;

use crate::config::FinetuneConfig;
use crate::epochs::Batching;
use crate::examples::{Cursor, Example, FinetuneBatch};

/// How many steps there are, and what happens after which.
pub(super) struct Plan {
    batching: Batching,
    epochs: u64,
    /// Where the stream of batches begins.
    start: Cursor,
    pub(super) steps: u64,
    pub(super) evaluate_at: Vec<u64>,
    /// Tokens of the largest batch.
    pub(super) most_tokens: usize,
}

impl Plan {
    /// From `cursor` on, where `done` steps are done.
    pub(super) fn new(
        config: &FinetuneConfig,
        examples: &[Example],
        cursor: Cursor,
        done: u64,
    ) -> Self {
        let training = &config.training;
        let batching = Batching {
            batch_tokens: training.batch_tokens,
            batch_size: training.batch_size,
            seed: config.seed,
        };
        let lengths: Vec<usize> = examples.iter().map(Example::length).collect();
        let tokens = |batch: &Vec<usize>| batch.iter().map(|&example| lengths[example]).sum();
        let accumulation = training.accumulation;
        let most_steps = training.max_steps.unwrap_or(usize::MAX);
        let most_left = most_steps.saturating_sub(done as usize);
        let most_left = most_left.saturating_mul(accumulation);
        let (mut start, mut most_tokens) = (cursor, 0);
        // Batches done at the end of each epoch; those of epochs that are over count nothing.
        let mut ends = vec![0; 1 + cursor.epoch.min(training.epochs) as usize];
        for epoch in cursor.epoch..training.epochs {
            let batches = batching.epoch(&lengths, epoch);
            most_tokens = most_tokens.max(batches.iter().map(tokens).max().unwrap_or(0));
            if epoch == cursor.epoch {
                start = cursor.in_epoch_of(batches.len());
            }
            ends.push(ends[ends.len() - 1] + batches.len());
            if ends[ends.len() - 1] - start.batch >= most_left {
                break; // the other epochs are beyond the last step
            }
        }
        // A tenth of an epoch, three times, is a little more than three tenths to a computer.
        let step_after = |batches: f64| {
            let left = (batches - start.batch as f64).max(0.0);
            done + (left / accumulation as f64 - 1e-6).ceil() as u64
        };
        let planned = ends.len() - 1;
        let last = step_after(ends[planned] as f64);
        let every = training.evaluate_every_epochs;
        let at = |evaluation: u64| {
            let epochs = evaluation as f64 * every;
            let whole = (epochs.floor() as usize).min(planned);
            let next = (whole + 1).min(planned);
            let part = (epochs - whole as f64) * (ends[next] - ends[whole]) as f64;
            step_after(ends[whole] as f64 + part)
        };
        let evaluations = (planned as f64 / every + 1e-6).floor() as u64;
        // Not more than once a step.
        let mut evaluate_at: Vec<u64> = match evaluations < last {
            true => (1..=evaluations).map(at).collect(),
            false => (1..=last).collect(),
        };
        evaluate_at.retain(|step| *step > done);
        evaluate_at.dedup();
        Self {
            batching,
            epochs: training.epochs,
            start,
            steps: last.min(most_steps as u64),
            evaluate_at,
            most_tokens,
        }
    }

    /// The stream of training batches from the start on, to the end of the last epoch.
    pub(super) fn loader(&self, examples: Arc<Vec<Example>>) -> BatchLoader<FinetuneBatch> {
        let (batching, start, epochs) = (self.batching, self.start, self.epochs);
        let lengths: Arc<Vec<usize>> = Arc::new(examples.iter().map(Example::length).collect());
        BatchLoader::new(self.steps as usize, move || {
            let (examples, lengths) = (examples.clone(), lengths.clone());
            let batches = (start.epoch..epochs).flat_map(move |epoch| {
                let skip = if epoch == start.epoch { start.batch } else { 0 };
                let batches = batching.epoch(&lengths, epoch);
                let last = batches.len();
                let numbered = batches.into_iter().enumerate().skip(skip);
                numbered.map(move |(index, batch)| {
                    let after = match index + 1 {
                        done if done == last => Cursor {
                            epoch: epoch + 1,
                            batch: 0,
                            batches: 0,
                        },
                        done => Cursor {
                            epoch,
                            batch: done,
                            batches: last,
                        },
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
    use bert_core::train::TaskBatch;
    use burn::data::dataloader::DataLoader;
    use burn_ndarray::NdArray;
    use serde_json::json;

    use super::*;
    use crate::examples::Sequence;

    fn config(training: serde_json::Value) -> FinetuneConfig {
        let mut all = json!({"batch_tokens": 100, "max_seq_length": 10});
        if let (Some(all), Some(more)) = (all.as_object_mut(), training.as_object()) {
            all.extend(more.clone());
        }
        let config =
            json!({"model": {"path": "m"}, "data": {"sample": "sentiment"}, "training": all});
        from_value("test", config).unwrap()
    }

    /// So many examples of ten tokens each.
    fn examples(count: usize) -> Vec<Example> {
        let example = Example {
            sequences: vec![Sequence {
                input_ids: vec![0; 10],
                token_type_ids: vec![0; 10],
            }],
            ..Example::default()
        };
        vec![example; count]
    }

    fn new_plan(training: serde_json::Value, count: usize) -> Plan {
        Plan::new(&config(training), &examples(count), Cursor::default(), 0)
    }

    /// The examples of each batch of a plan.
    fn batches(plan: &Plan, count: usize) -> Vec<FinetuneBatch> {
        let loader = plan.loader(Arc::new(examples(count)));
        DataLoader::<NdArray<f32>, _>::iter(&loader).collect()
    }

    #[test]
    fn a_tenth_of_an_epoch_is_a_tenth_of_its_steps_each_time() {
        let plan = new_plan(json!({"epochs": 3, "evaluate_every_epochs": 0.1}), 100);
        assert_eq!(plan.steps, 30);
        assert_eq!(plan.evaluate_at, (1..=30).collect::<Vec<_>>());
        assert_eq!(plan.most_tokens, 100);
    }

    #[test]
    fn accumulated_batches_end_with_the_last_epoch() {
        let plan = new_plan(json!({"epochs": 3, "accumulation": 4}), 30);
        // Nine batches: two steps of four, one of one.
        assert_eq!((plan.steps, batches(&plan, 30).len()), (3, 9));
        assert_eq!(plan.evaluate_at, [1, 2, 3]);
        let plan = new_plan(json!({"epochs": 1, "accumulation": 64}), 30);
        assert_eq!((plan.steps, batches(&plan, 30).len()), (1, 3));
    }

    #[test]
    fn a_plan_goes_on_from_any_batch_as_it_was_made() {
        for (accumulation, every) in [(1, 1.0), (1, 0.3), (2, 0.5), (3, 0.01)] {
            let training =
                json!({"epochs": 3, "accumulation": accumulation, "evaluate_every_epochs": every});
            let whole = new_plan(training.clone(), 70);
            let all = batches(&whole, 70);
            for done in 1..whole.steps {
                let consumed = done as usize * accumulation;
                let cursor: Cursor = serde_json::from_value(all[consumed - 1].resume()).unwrap();
                let rest = Plan::new(&config(training.clone()), &examples(70), cursor, done);
                assert_eq!(rest.steps, whole.steps);
                let later = whole.evaluate_at.iter().filter(|step| **step > done);
                assert!(rest.evaluate_at.iter().eq(later), "{done} {every}");
                let rest = batches(&rest, 70);
                let order = |batches: &[FinetuneBatch]| -> Vec<usize> {
                    let examples = batches.iter().flat_map(FinetuneBatch::examples);
                    examples.copied().collect()
                };
                assert_eq!(order(&rest), order(&all[consumed..]));
            }
        }
    }

    #[test]
    fn other_batches_go_on_at_the_same_share_of_the_data() {
        let cursor = Cursor {
            epoch: 1,
            batch: 5,
            batches: 10,
        };
        // Of 20 batches half an epoch is left of the second, and the third: 30.
        let training = json!({"epochs": 3, "batch_tokens": 50});
        let plan = Plan::new(&config(training), &examples(100), cursor, 15);
        assert_eq!((plan.steps, batches(&plan, 100).len()), (45, 30));
        assert_eq!(plan.evaluate_at, [25, 45]);
        let training = json!({"epochs": 3, "accumulation": 2});
        let plan = Plan::new(&config(training), &examples(100), cursor, 15);
        assert_eq!((plan.steps, batches(&plan, 100).len()), (23, 15));
    }

    #[test]
    fn epochs_beyond_the_last_step_are_not_planned() {
        let training = json!({"epochs": 100_000, "max_steps": 12, "evaluate_every_epochs": 0.5});
        let plan = new_plan(training, 100);
        assert_eq!(plan.steps, 12);
        assert_eq!(plan.evaluate_at[..2], [5, 10]);
    }
}
