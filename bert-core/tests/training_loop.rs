//! The training loop on a model of one parameter, whose steps can be made to go wrong.
#![cfg(feature = "ndarray")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bert_core::config::{AdamConfig, NonFinite, OptimizerConfig, ScheduleConfig, from_value};
use bert_core::error::{Error, Result};
use bert_core::ops::{BertAutodiffBackend, BertBackend};
use bert_core::optim::{BertOptimizer, Schedule};
use bert_core::train::checkpoint::{Checkpoints, start};
use bert_core::train::{
    BatchLoader, Cadence, Dashboard, LoopConfig, MetricInfo, Outcome, Recipe, RunSettings,
    StepMetrics, StepOutput, Task, TaskBatch, train,
};
use burn::module::{Module, Param};
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use burn_autodiff::Autodiff;
use burn_ndarray::NdArray;
use burn_train::{InferenceStep, TrainOutput, TrainStep};
use serde_json::{Value, json};

type B = Autodiff<NdArray<f32>>;

/// What a batch does to its step.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mishap {
    None,
    /// The loss is not a number.
    Loss,
    /// The loss is finite, its gradient is not.
    Gradient,
    /// The backend gives up.
    Panic,
}

#[derive(Debug, Clone)]
struct ToyBatch {
    number: u64,
    mishap: Mishap,
}

impl TaskBatch for ToyBatch {
    fn tokens(&self) -> usize {
        7
    }

    fn resume(&self) -> Value {
        json!(self.number)
    }

    fn describe(&self) -> String {
        format!("batch {}", self.number)
    }

    fn record(&self) -> Value {
        json!({"number": self.number})
    }

    fn join(_batches: &mut [Self], _seed: u64) {}
}

/// Learns to be the number of every batch.
#[derive(Module, Debug)]
struct Toy<B: Backend> {
    weight: Param<Tensor<B, 1>>,
}

impl<B: BertBackend> Toy<B> {
    fn loss(&self, batch: &ToyBatch) -> Tensor<B, 1> {
        let weight = self.weight.val();
        let target = batch.number as f32;
        match batch.mishap {
            Mishap::None => (weight - target).powi_scalar(2),
            Mishap::Loss => weight * f32::NAN,
            // The slope of a root at 0 is infinite.
            Mishap::Gradient => (weight.clone() - weight.detach()).sqrt(),
            Mishap::Panic => panic!("out of memory"),
        }
    }
}

impl<B: BertAutodiffBackend> TrainStep for Toy<B> {
    type Input = ToyBatch;
    type Output = StepOutput<B>;

    fn step(&self, batch: ToyBatch) -> TrainOutput<StepOutput<B>> {
        let loss = self.loss(&batch);
        TrainOutput::new(self, loss.backward(), StepOutput::Statistics(loss.detach()))
    }
}

impl<B: BertBackend> InferenceStep for Toy<B> {
    type Input = ToyBatch;
    type Output = StepOutput<B>;

    fn step(&self, batch: ToyBatch) -> StepOutput<B> {
        StepOutput::Statistics(self.loss(&batch))
    }
}

impl<B: BertAutodiffBackend> Task<B> for Toy<B> {
    type Batch = ToyBatch;

    fn metrics(statistics: &[f64]) -> StepMetrics {
        let values = statistics.iter().map(|loss| ("loss", *loss));
        StepMetrics {
            values: values.collect(),
        }
    }
}

const STEPS: u64 = 8;

/// Trains from the newest checkpoint on; the weight after the last step.
fn run(root: &Path, non_finite: NonFinite, mishaps: &[(u64, Mishap)]) -> Result<(Outcome, f32)> {
    run_evaluated(root, non_finite, mishaps, &[])
}

/// The same with an evaluation every second step, which gives these losses one after another.
fn run_evaluated(
    root: &Path,
    non_finite: NonFinite,
    mishaps: &[(u64, Mishap)],
    losses: &[f64],
) -> Result<(Outcome, f32)> {
    let device = Default::default();
    let config = OptimizerConfig::Adamw(AdamConfig::default());
    let optimizer = BertOptimizer::<B>::new(config, Some(1.0));
    let mut weight = 0.0;
    let checkpoint = Checkpoints::new(root, 9).newest()?;
    if let Some(checkpoint) = &checkpoint {
        let text = std::fs::read_to_string(checkpoint.join("weight")).unwrap();
        weight = text.parse().unwrap();
    }
    let (start, done) = start::<B, u64>(checkpoint.as_deref(), &optimizer, &device)?;
    let schedule: ScheduleConfig = from_value("schedule", json!({"type": "constant"})).unwrap();
    let first = done + 1;
    let mishaps: BTreeMap<u64, Mishap> = mishaps.iter().copied().collect();
    let batches = BatchLoader::new(STEPS as usize, move || {
        let mishaps = mishaps.clone();
        Box::new((first..).map(move |number| ToyBatch {
            number,
            mishap: mishaps.get(&number).copied().unwrap_or(Mishap::None),
        }))
    });
    let last = Arc::new(Mutex::new(weight));
    let saved = last.clone();
    let loss = MetricInfo {
        name: "loss",
        higher_is_better: false,
    };
    let losses_of_run: Vec<_> = losses.iter().map(|value| ("loss", *value)).collect();
    let given = Mutex::new(losses_of_run.into_iter());
    let settings = RunSettings {
        run_dir: root.to_path_buf(),
        config: LoopConfig {
            steps: STEPS,
            accumulation: 1,
            log_every_steps: 3,
            evaluate: Cadence::Every(if losses.is_empty() { 100 } else { 2 }),
            checkpoint: Cadence::Every(2),
            best: loss,
            held_out: "toy".into(),
            early_stopping_evaluations: None,
            non_finite,
            seed: 1,
        },
        schedule: Schedule::new(schedule, 0.1, STEPS, start.step),
        start,
        start_checkpoint: checkpoint,
        recipe: Recipe::new(&json!({}), "toy".into()),
        keep_checkpoints: 9,
        dashboard: Dashboard::None,
        save_model: Arc::new(move |model: &Toy<B>, directory| {
            let value: f32 = model.weight.val().into_scalar();
            *saved.lock().unwrap() = value;
            std::fs::write(directory.join("weight"), value.to_string())
                .map_err(Error::io("write", directory))
        }),
        metrics: vec![loss],
        evaluation: Arc::new(move |_| StepMetrics {
            values: given.lock().unwrap().next().into_iter().collect(),
        }),
    };
    let weight = Tensor::from_data(TensorData::new(vec![weight], [1]), &device);
    let model = Toy {
        weight: Param::from_tensor(weight),
    };
    let nothing = BatchLoader::new(0, || Box::new(std::iter::empty()));
    let outcome = train(model, optimizer, batches, nothing, settings)?;
    let weight = *last.lock().unwrap();
    Ok((outcome, weight))
}

const SKIP: NonFinite = NonFinite::Skip { most_in_a_row: 2 };

fn rows(root: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(root.join("metrics.jsonl")).unwrap();
    text.lines()
        .map(|row| serde_json::from_str(row).unwrap())
        .collect()
}

#[test]
fn a_step_that_is_not_finite_stops_the_run_and_its_batch_is_kept() {
    for (mishap, named) in [(Mishap::Loss, "loss"), (Mishap::Gradient, "gradient norm")] {
        let root = tempfile::tempdir().unwrap();
        let error = run(root.path(), NonFinite::Stop, &[(5, mishap)]).unwrap_err();
        let Error::NonFinite {
            what,
            step,
            batch,
            saved,
            last_checkpoint,
        } = &error
        else {
            panic!("{error}");
        };
        assert_eq!((*what, *step, batch.as_str()), (named, 5, "batch 5"));
        let newest = last_checkpoint.as_ref().unwrap();
        assert!(newest.ends_with("step-000004"), "{newest:?}");
        let record: Value =
            serde_json::from_slice(&std::fs::read(saved.as_ref().unwrap()).unwrap()).unwrap();
        assert_eq!(record["micro_batches"], json!([{"number": 5}]));

        // With that batch mended the run goes on as if nothing had been.
        let (_, mended) = run(root.path(), NonFinite::Stop, &[]).unwrap();
        let other = tempfile::tempdir().unwrap();
        let (_, straight) = run(other.path(), NonFinite::Stop, &[]).unwrap();
        assert_eq!(mended, straight);
    }
}

#[test]
fn steps_that_are_not_finite_are_passed_over_and_counted() {
    let root = tempfile::tempdir().unwrap();
    let mishaps = [(3, Mishap::Loss), (6, Mishap::Gradient)];
    let (outcome, weight) = run(root.path(), SKIP, &mishaps).unwrap();
    assert_eq!(outcome.step, STEPS);
    assert!(weight.is_finite() && weight > 0.0, "{weight}");
    let last = &rows(root.path())[2];
    assert_eq!(
        (&last["step"], &last["skipped_steps"]),
        (&json!(8), &json!(2.0))
    );
    assert!(last["loss"].is_f64(), "{last}");
    let saved = std::fs::read_dir(root.path().join("non_finite")).unwrap();
    assert_eq!(saved.count(), 2);

    // Resumed after the first of them, with the moments and the count of updates as they were.
    let other = tempfile::tempdir().unwrap();
    run(other.path(), SKIP, &mishaps).unwrap();
    for step in [6, 8] {
        let checkpoint = other.path().join(format!("checkpoints/step-00000{step}"));
        std::fs::remove_dir_all(checkpoint).unwrap();
    }
    assert_eq!(run(other.path(), SKIP, &mishaps).unwrap().1, weight);

    // Three in a row are too many here, two are not.
    let broken = tempfile::tempdir().unwrap();
    let mishaps = [3, 4, 5].map(|step| (step, Mishap::Loss));
    let error = run(broken.path(), SKIP, &mishaps).unwrap_err();
    assert!(matches!(error, Error::NonFinite { step: 5, .. }), "{error}");
}

#[test]
fn a_loss_that_is_not_a_number_is_never_the_best() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let losses = [f64::NAN, 3.0, f64::NAN, 4.0];
    let (outcome, _) = run_evaluated(root, NonFinite::Stop, &[], &losses).unwrap();
    assert_eq!(outcome.valid.unwrap().get("loss"), Some(4.0));
    assert_eq!(outcome.best.unwrap().get("loss"), Some(3.0));
    let weight = |of: &str| std::fs::read_to_string(root.join(of).join("weight")).unwrap();
    assert_eq!(weight("best"), weight("checkpoints/step-000004"));
}

#[test]
fn a_backend_that_gives_up_is_an_error_that_says_at_what_and_what_to_do() {
    let root = tempfile::tempdir().unwrap();
    let error = run(root.path(), NonFinite::Stop, &[(5, Mishap::Panic)]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "step 5 failed, with 7 tokens in 1 micro-batches: out of memory"
    );
    let help = error.help().unwrap();
    assert!(help.contains("training.batch_tokens"), "{help}");
    assert!(help.contains("step-000004"), "{help}");
}
