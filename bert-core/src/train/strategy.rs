//! The loop. A step is an optimizer step, whatever the number of micro-batches.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use burn::data::dataloader::Progress;
use burn::optim::GradientsAccumulator;
use burn_train::{EventProcessorTraining, TrainingItem};
use burn_train::{
    InferenceStep, Interrupter, Learner, LearnerEvent, LearningComponentsMarker,
    SupervisedLearningStrategy, SupervisedTrainingEventProcessor, TrainLoader, TrainingComponents,
    ValidLoader,
};

use super::background::Background;
use super::checkpoint::{Checkpoints, Position};
use super::metrics::{MetricInfo, MetricsFile, StepMetrics};
use super::task::{StepOutput, Task, TaskBatch};
use crate::data::random::derive;
use crate::error::{Error, Result};
use crate::ops::BertAutodiffBackend;
use crate::optim::{BertOptimizer, Schedule};

/// Burn's components with our optimizer and schedule.
pub(super) type Components<B, M> = LearningComponentsMarker<B, Schedule, M, BertOptimizer<B>>;

/// How long, and how often what.
#[derive(Debug, Clone, PartialEq)]
pub struct LoopConfig {
    /// Optimizer steps in all.
    pub steps: u64,
    /// Micro-batches a step.
    pub accumulation: usize,
    /// Steps from one logged step to the next.
    pub log_every_steps: u64,
    /// After which steps to evaluate; the last step is always evaluated.
    pub evaluate: Cadence,
    /// After which steps to write a checkpoint; the last step always has one.
    pub checkpoint: Cadence,
    /// What makes a model the best so far, among what an evaluation gives.
    pub best: MetricInfo,
    /// Stops after so many evaluations without a new best; `None` to go on to the last step.
    pub early_stopping_evaluations: Option<u64>,
    /// The seed of dropout.
    pub seed: u64,
}

/// When something is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cadence {
    /// After every so many steps.
    Every(u64),
    /// After these steps, ascending.
    At(Vec<u64>),
}

impl Cadence {
    fn is_due(&self, step: u64) -> bool {
        match self {
            Self::Every(steps) => step.is_multiple_of(*steps),
            Self::At(steps) => steps.binary_search(&step).is_ok(),
        }
    }
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All steps are done.
    Done,
    /// Evaluations stopped getting better.
    EarlyStopped,
    /// It was asked to stop; a checkpoint was written.
    Interrupted,
}

/// What a run came to.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Why it ended.
    pub ending: Ending,
    /// Optimizer steps done.
    pub step: u64,
    /// The last evaluation.
    pub valid: Option<StepMetrics>,
    /// The last checkpoint.
    pub checkpoint: Option<PathBuf>,
}

/// Writes a model directory.
pub(super) type SaveModel<M> = Arc<dyn Fn(&M, &Path) -> Result<()> + Send + Sync>;
/// Makes metrics of the held-out batches and the values that the model gave for each, in order.
pub(super) type Evaluation<M, B> = Arc<
    dyn Fn(&mut dyn Iterator<Item = (<M as Task<B>>::Batch, Vec<f64>)>) -> StepMetrics
        + Send
        + Sync,
>;

/// The strategy that burn-train calls.
pub(super) struct StepStrategy<B: BertAutodiffBackend, M: Task<B>> {
    pub(super) config: LoopConfig,
    pub(super) start: Position,
    pub(super) optimizer: BertOptimizer<B>,
    pub(super) checkpoints: Checkpoints,
    pub(super) run_dir: PathBuf,
    pub(super) save_model: SaveModel<M>,
    pub(super) evaluation: Evaluation<M, B>,
    pub(super) outcome: Arc<Mutex<Option<Result<Outcome>>>>,
}

impl<B: BertAutodiffBackend, M: Task<B>> SupervisedLearningStrategy<Components<B, M>>
    for StepStrategy<B, M>
{
    fn fit(
        &self,
        components: TrainingComponents<Components<B, M>>,
        learner: Learner<Components<B, M>>,
        train: TrainLoader<Components<B, M>>,
        valid: ValidLoader<Components<B, M>>,
        _starting_epoch: usize,
    ) -> (M, SupervisedTrainingEventProcessor<Components<B, M>>) {
        let mut run = Loop {
            strategy: self,
            learner,
            valid,
            processor: components.event_processor,
            interrupter: components.interrupter,
            position: self.start.clone(),
            last_valid: None,
            last_checkpoint: None,
            writing: Background::new(),
        };
        let result = run.steps(&train);
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        (run.learner.model(), run.processor)
    }
}

struct Loop<'a, B: BertAutodiffBackend, M: Task<B>> {
    strategy: &'a StepStrategy<B, M>,
    learner: Learner<Components<B, M>>,
    valid: ValidLoader<Components<B, M>>,
    processor: SupervisedTrainingEventProcessor<Components<B, M>>,
    interrupter: Interrupter,
    position: Position,
    last_valid: Option<StepMetrics>,
    last_checkpoint: Option<PathBuf>,
    /// Of the best model and of checkpoints; gives the checkpoint, where it wrote one.
    writing: Background<Option<PathBuf>>,
}

/// Sums since the last logged step.
#[derive(Default)]
struct Window {
    statistics: Vec<f64>,
    tokens: usize,
    seconds: f64,
    /// Of these, how long the loop waited for batches.
    waited: f64,
}

impl<B: BertAutodiffBackend, M: Task<B>> Loop<'_, B, M> {
    fn steps(&mut self, train: &TrainLoader<Components<B, M>>) -> Result<Outcome> {
        let config = self.strategy.config.clone();
        let mut log = MetricsFile::open(
            &self.strategy.run_dir.join("metrics.jsonl"),
            self.position.step,
        )?;
        let mut batches = train.iter();
        let mut window = Window::default();
        let mut ending = Ending::Done;
        while self.position.step < config.steps {
            if self.interrupter.should_stop() {
                ending = Ending::Interrupted;
                break;
            }
            let started = Instant::now();
            let step = self.position.step + 1;
            let mut micro_batches: Vec<M::Batch> =
                batches.by_ref().take(config.accumulation).collect();
            window.waited += started.elapsed().as_secs_f64();
            let Some(last) = micro_batches.last() else {
                break; // a stream of training batches does not end
            };
            self.position.resume = last.resume();
            M::Batch::join(&mut micro_batches, derive(config.seed, "step", &[step]));
            window.tokens += micro_batches.iter().map(TaskBatch::tokens).sum::<usize>();

            let (statistics, gradient_norm) = self.step(step, micro_batches)?;
            self.position.step = step;
            add(&mut window.statistics, &statistics);
            window.seconds += started.elapsed().as_secs_f64();

            if step.is_multiple_of(config.log_every_steps) || step == config.steps {
                let mut metrics = M::metrics(&window.statistics);
                metrics.values.extend([
                    ("learning_rate", self.learner.lr_current()),
                    ("gradient_norm", gradient_norm),
                    ("wait_fraction", window.waited / window.seconds),
                    ("tokens_per_second", window.tokens as f64 / window.seconds),
                ]);
                log.append(step, "train", &metrics)?;
                let event = self.event(StepOutput::Metrics(metrics));
                self.processor.process_train(event);
                window = Window::default();
            }
            let due = |cadence: &Cadence| cadence.is_due(step) || step == config.steps;
            let is_best = due(&config.evaluate) && self.evaluate(&mut log)?;
            let stale = self.position.evaluations_since_best;
            let patience = config.early_stopping_evaluations;
            let stops = patience.is_some_and(|patience| stale >= patience);
            self.write(is_best, stops || due(&config.checkpoint))?;
            if stops {
                ending = Ending::EarlyStopped;
                break;
            }
        }
        if ending == Ending::Interrupted && self.position.step > self.strategy.start.step {
            self.write(false, true)?;
        }
        let written = self.writing.finish()?;
        self.remember(written);
        Ok(Outcome {
            ending,
            step: self.position.step,
            valid: self.last_valid.clone(),
            checkpoint: self.last_checkpoint.clone(),
        })
    }

    /// One optimizer step: the summed statistics of its micro-batches, and the norm of its gradient.
    fn step(&mut self, step: u64, micro_batches: Vec<M::Batch>) -> Result<(Vec<f64>, f64)> {
        let describe: Vec<String> = micro_batches.iter().map(TaskBatch::describe).collect();
        let mut accumulator = GradientsAccumulator::<M>::new();
        let mut outputs = Vec::with_capacity(micro_batches.len());
        for batch in micro_batches {
            let output = self.learner.train_step(batch);
            accumulator.accumulate(&self.learner.model(), output.grads);
            outputs.push(output.item);
        }
        self.learner.lr_step();
        self.learner.optimizer_step(accumulator.grads());
        // Everything of the step is on its way: only now is the host made to wait for numbers.
        let mut statistics = Vec::new();
        for output in outputs {
            add(&mut statistics, &output.into_statistics());
        }
        let norm = self.strategy.optimizer.gradient_norm();
        let gradient_norm = norm.map_or(0.0, |norm| {
            norm.into_data().iter::<f64>().next().unwrap_or(f64::NAN)
        });
        let loss = M::metrics(&statistics).get("loss").unwrap_or(f64::NAN);
        for (what, value) in [("loss", loss), ("gradient norm", gradient_norm)] {
            if !value.is_finite() {
                self.writing.finish()?;
                return Err(Error::NonFinite {
                    what,
                    step,
                    batch: describe.join("; "),
                    last_checkpoint: self.strategy.checkpoints.newest()?,
                });
            }
        }
        Ok((statistics, gradient_norm))
    }

    /// Whether the model is the best so far.
    fn evaluate(&mut self, log: &mut MetricsFile) -> Result<bool> {
        let model = self.learner.model().valid();
        let mut evaluated = self.valid.iter().map(|mut batch| {
            M::Batch::join(std::slice::from_mut(&mut batch), 0);
            let values = model.step(batch.clone()).into_statistics();
            (batch, values)
        });
        let metrics = (self.strategy.evaluation)(&mut evaluated);
        drop(evaluated);
        if metrics.values.is_empty() {
            return Ok(false); // nothing is held out
        }
        log.append(self.position.step, "valid", &metrics)?;
        let MetricInfo {
            name,
            higher_is_better,
        } = self.strategy.config.best;
        let is_better = |value: f64, best: f64| match higher_is_better {
            true => value > best,
            false => value < best,
        };
        let value = metrics.get(name);
        let best = self.position.best;
        let is_best = value.is_some_and(|value| best.is_none_or(|best| is_better(value, best)));
        if is_best {
            self.position.best = value;
            self.position.evaluations_since_best = 0;
        } else {
            self.position.evaluations_since_best += 1;
        }
        let event = self.event(StepOutput::Metrics(metrics.clone()));
        self.processor.process_valid(event);
        self.last_valid = Some(metrics);
        Ok(is_best)
    }

    /// Starts writing the model as the best one, as a checkpoint, or as both. Training goes on meanwhile: what is
    /// written are tensors of now, which the next step leaves alone.
    fn write(&mut self, best: bool, checkpoint: bool) -> Result<()> {
        if !(best || checkpoint) {
            return Ok(());
        }
        let model = self.learner.model();
        let strategy = self.strategy;
        let (save_model, position) = (strategy.save_model.clone(), self.position.clone());
        let best = best.then(|| strategy.run_dir.join("best"));
        let checkpoint =
            checkpoint.then(|| (strategy.checkpoints.clone(), strategy.optimizer.moments()));
        let written = self.writing.start(move || {
            let save = |directory: &Path| save_model(&model, directory);
            if let Some(best) = best {
                crate::files::write_directory_atomically(&best, save)?;
            }
            let Some((checkpoints, moments)) = checkpoint else {
                return Ok(None);
            };
            let path = checkpoints.save(&position, moments, save)?;
            log::info!("checkpoint {}", path.display());
            Ok(Some(path))
        })?;
        self.remember(written);
        Ok(())
    }

    /// Takes note of what the last job wrote, where it was a checkpoint.
    fn remember(&mut self, written: Option<Option<PathBuf>>) {
        if let Some(Some(checkpoint)) = written {
            self.last_checkpoint = Some(checkpoint);
        }
    }

    fn event<T>(&self, item: T) -> LearnerEvent<T> {
        let progress = Progress::new(
            self.position.step as usize,
            self.strategy.config.steps as usize,
        );
        LearnerEvent::ProcessedItem(TrainingItem::new(
            item,
            progress.clone(),
            progress,
            Some(self.position.step as usize),
            Some(self.learner.lr_current()),
        ))
    }
}

fn add(sums: &mut Vec<f64>, values: &[f64]) {
    sums.resize(sums.len().max(values.len()), 0.0);
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += value;
    }
}
