//! The loop. A step is an optimizer step, whatever the number of micro-batches.

use std::panic::AssertUnwindSafe;
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
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::background::Background;
use super::checkpoint::{Checkpoints, Position};
use super::directory::Recipe;
use super::metrics::{MetricInfo, MetricsFile, StepMetrics};
use super::non_finite;
use super::task::{StepOutput, Task, TaskBatch};
use crate::config::NonFinite;
use crate::data::random::derive;
use crate::error::{Error, Result, panic_message};
use crate::ops::BertAutodiffBackend;
use crate::optim::{BertOptimizer, Schedule};

/// Burn's components with our optimizer and schedule.
pub(super) type Components<B, M> = LearningComponentsMarker<B, Schedule, M, BertOptimizer<B>>;

/// How long, and how often what.
#[derive(Debug, Clone, PartialEq)]
pub struct LoopConfig {
    /// Optimizer steps in all.
    pub steps: u64,
    /// Micro-batches a step; where the stream ends, the last step has what is left.
    pub accumulation: usize,
    /// Steps from one logged step to the next.
    pub log_every_steps: u64,
    /// After which steps to evaluate; the last step is always evaluated.
    pub evaluate: Cadence,
    /// After which steps to write a checkpoint; the last step always has one.
    pub checkpoint: Cadence,
    /// What makes a model the best so far, among what an evaluation gives.
    pub best: MetricInfo,
    /// A fingerprint of what it is measured on.
    pub held_out: String,
    /// Stops after so many evaluations without a new best; `None` to go on to the last step.
    pub early_stopping_evaluations: Option<u64>,
    /// What becomes of a step whose loss or gradient is not finite.
    pub non_finite: NonFinite,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
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
    /// The evaluation of the best model.
    pub best: Option<StepMetrics>,
    /// The last checkpoint.
    pub checkpoint: Option<PathBuf>,
}

impl Outcome {
    /// As an object: `ending`, `step`, and `checkpoint` where one was written.
    pub fn to_json(&self) -> Map<String, Value> {
        let mut object = Map::new();
        object.insert("ending".into(), json!(self.ending));
        object.insert("step".into(), json!(self.step));
        if let Some(checkpoint) = &self.checkpoint {
            object.insert("checkpoint".into(), json!(checkpoint));
        }
        object
    }
}

/// Writes a model directory.
pub type SaveModel<M> = Arc<dyn Fn(&M, &Path) -> Result<()> + Send + Sync>;
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
    pub(super) start_checkpoint: Option<PathBuf>,
    pub(super) recipe: Recipe,
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
            position: (self.start.clone()).judged_by(self.config.best.name, &self.config.held_out),
            last_valid: None,
            last_checkpoint: self.start_checkpoint.clone(),
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

impl<B: BertAutodiffBackend, M: Task<B>> Loop<'_, B, M> {
    fn steps(&mut self, train: &TrainLoader<Components<B, M>>) -> Result<Outcome> {
        let path = self.strategy.run_dir.join("metrics.jsonl");
        let mut log = MetricsFile::open(&path, self.position.step)?;
        let mut batches = train.iter();
        // A run that was killed when it had just stopped early has stopped.
        let mut ending = match self.has_stopped_improving() {
            true => Ending::EarlyStopped,
            false => Ending::Done,
        };
        let config = &self.strategy.config;
        while ending == Ending::Done && self.position.step < config.steps {
            if self.interrupter.should_stop() {
                ending = Ending::Interrupted;
                break;
            }
            // What could not be written ends the run at once, not when the next checkpoint is due.
            let written = self.writing.done()?;
            self.remember(written);
            let gradient_norm = self.step(&mut batches)?;
            let step = self.position.step;
            let last = step == config.steps;
            if step.is_multiple_of(config.log_every_steps) || last {
                self.log_window(gradient_norm, &mut log)?;
            }
            let is_best = (config.evaluate.is_due(step) || last) && self.evaluate(&mut log)?;
            if self.has_stopped_improving() {
                ending = Ending::EarlyStopped;
            }
            let ends = last || ending == Ending::EarlyStopped;
            self.write(is_best, config.checkpoint.is_due(step) || ends, &log)?;
        }
        if ending == Ending::Interrupted && self.position.step > self.strategy.start.step {
            self.write(false, true, &log)?;
        }
        let written = self.writing.finish()?;
        self.remember(written);
        if ending != Ending::Interrupted && self.last_valid.is_none() {
            // All was done but what follows the training.
            self.last_valid = Some(self.measure()).filter(|valid| !valid.values.is_empty());
        }
        Ok(Outcome {
            ending,
            step: self.position.step,
            valid: self.last_valid.clone(),
            best: self.best(),
            checkpoint: self.last_checkpoint.clone(),
        })
    }

    /// The next step, from the stream of batches to the updated weights; gives the norm of its gradient.
    fn step(&mut self, batches: &mut dyn Iterator<Item = M::Batch>) -> Result<f64> {
        let config = &self.strategy.config;
        let started = Instant::now();
        let step = self.position.step + 1;
        let mut micro_batches: Vec<M::Batch> = batches.take(config.accumulation).collect();
        self.position.window.waited += started.elapsed().as_secs_f64();
        // The last step may have fewer micro-batches than the others.
        if micro_batches.is_empty() {
            let problem = "the stream of batches ended".into();
            return Err(self.failure(step, &micro_batches, problem));
        }
        if let Some(last) = micro_batches.last() {
            self.position.resume = last.resume();
        }
        M::Batch::join(&mut micro_batches, derive(config.seed, "step", &[step]));

        let (statistics, gradient_norm) = self.update(step, &micro_batches)?;
        self.position.step = step;
        let window = &mut self.position.window;
        add(&mut window.statistics, &statistics);
        window.tokens += tokens(&micro_batches);
        window.seconds += started.elapsed().as_secs_f64();
        Ok(gradient_norm)
    }

    /// Logs and shows what the steps since the last logged one came to.
    fn log_window(&mut self, gradient_norm: f64, log: &mut MetricsFile) -> Result<()> {
        let window = std::mem::take(&mut self.position.window);
        let mut metrics = M::metrics(&window.statistics);
        metrics.values.extend([
            ("learning_rate", self.learner.lr_current()),
            ("gradient_norm", gradient_norm),
            ("wait_fraction", window.waited / window.seconds),
            ("tokens_per_second", window.tokens as f64 / window.seconds),
        ]);
        if self.strategy.config.non_finite != NonFinite::Stop {
            let skipped = self.position.skipped as f64;
            metrics.values.push(("skipped_steps", skipped));
        }
        log.append(self.position.step, "train", &metrics)?;
        let event = self.event(StepOutput::Metrics(metrics));
        self.processor.process_train(event);
        Ok(())
    }

    /// The metrics of the best model, named and ordered as the last evaluation's.
    fn best(&self) -> Option<StepMetrics> {
        self.position.best?;
        let of_best = |name: &'static str| {
            let value = self.position.best_metrics.get(name)?;
            Some((name, value.as_f64().unwrap_or(f64::NAN)))
        };
        let names = self.last_valid.iter().flat_map(|last| &last.values);
        let values: Vec<_> = names.filter_map(|(name, _)| of_best(name)).collect();
        (!values.is_empty()).then_some(StepMetrics { values })
    }

    /// What ends the run at a step; what is being written is written to its end.
    fn failure(&mut self, step: u64, micro_batches: &[M::Batch], problem: String) -> Error {
        let _ = self.writing.finish();
        Error::Step {
            step,
            tokens: tokens(micro_batches),
            micro_batches: micro_batches.len(),
            problem,
            last_checkpoint: self.strategy.checkpoints.newest().ok().flatten(),
        }
    }

    fn has_stopped_improving(&self) -> bool {
        let patience = self.strategy.config.early_stopping_evaluations;
        patience.is_some_and(|patience| self.position.evaluations_since_best >= patience)
    }

    /// One update of the weights: the summed statistics of its micro-batches, and the norm of its gradient. Of a step that
    /// was passed over there are no statistics.
    fn update(&mut self, step: u64, micro_batches: &[M::Batch]) -> Result<(Vec<f64>, f64)> {
        // What panics here is the runtime of the device, as it does where memory ends or the device is lost.
        let computed = std::panic::catch_unwind(AssertUnwindSafe(|| self.compute(micro_batches)));
        let (statistics, gradient_norm) = match computed {
            Ok(computed) => computed,
            Err(panic) => return Err(self.failure(step, micro_batches, panic_message(&*panic))),
        };
        let loss = M::metrics(&statistics).get("loss").unwrap_or(f64::NAN);
        let found = [("loss", loss), ("gradient norm", gradient_norm)];
        let Some((what, _)) = found.into_iter().find(|(_, value)| !value.is_finite()) else {
            self.position.skipped_in_a_row = 0;
            return Ok((statistics, gradient_norm));
        };
        let saved = non_finite::save(&self.strategy.run_dir, step, what, micro_batches);
        if let Err(error) = &saved {
            log::error!("{error}"); // the lesser evil
        }
        let saved = saved.ok();
        self.position.skipped_in_a_row += 1;
        if let NonFinite::Skip { most_in_a_row } = self.strategy.config.non_finite
            && self.position.skipped_in_a_row <= most_in_a_row
        {
            self.position.skipped += 1;
            log::warn!("step {step} is passed over: its {what} is not finite");
            return Ok((Vec::new(), f64::NAN));
        }
        if let Err(error) = self.writing.finish() {
            log::error!("{error}"); // the lesser evil
        }
        let describe: Vec<String> = micro_batches.iter().map(TaskBatch::describe).collect();
        Err(Error::NonFinite {
            what,
            step,
            batch: describe.join("; "),
            saved,
            last_checkpoint: self.strategy.checkpoints.newest()?,
        })
    }

    /// Computes a step and updates the weights; where steps may be passed over, only if loss and gradient are finite.
    fn compute(&mut self, micro_batches: &[M::Batch]) -> (Vec<f64>, f64) {
        let mut accumulator = GradientsAccumulator::<M>::new();
        let mut outputs = Vec::with_capacity(micro_batches.len());
        for batch in micro_batches {
            let output = self.learner.train_step(batch.clone());
            accumulator.accumulate(&self.learner.model(), output.grads);
            outputs.push(output.item);
        }
        let read = |outputs: Vec<StepOutput<B>>| {
            let mut statistics = Vec::new();
            for output in outputs {
                add(&mut statistics, &output.into_statistics());
            }
            statistics
        };
        self.learner.lr_step();
        let statistics = if self.strategy.config.non_finite == NonFinite::Stop {
            self.learner.optimizer_step(accumulator.grads());
            // Everything of the step is on its way: only now is the host made to wait for numbers.
            read(outputs)
        } else {
            let statistics = read(outputs);
            let loss = M::metrics(&statistics).get("loss");
            if loss.is_some_and(f64::is_finite) {
                // The optimizer itself leaves the weights alone where the gradient is not finite.
                self.learner.optimizer_step(accumulator.grads());
            }
            statistics
        };
        let norm = self.strategy.optimizer.gradient_norm();
        let gradient_norm = norm.map_or(0.0, |norm| {
            norm.into_data().iter::<f64>().next().unwrap_or(f64::NAN)
        });
        (statistics, gradient_norm)
    }

    /// The metrics of the held-out batches.
    fn measure(&self) -> StepMetrics {
        let model = self.learner.model().valid();
        let mut evaluated = self.valid.iter().map(|mut batch| {
            M::Batch::join(std::slice::from_mut(&mut batch), 0);
            let values = model.step(batch.clone()).into_statistics();
            (batch, values)
        });
        (self.strategy.evaluation)(&mut evaluated)
    }

    /// Whether the model is the best so far.
    fn evaluate(&mut self, log: &mut MetricsFile) -> Result<bool> {
        let metrics = self.measure();
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
        let value = metrics.get(name).filter(|value| value.is_finite());
        if value.is_none() {
            let step = self.position.step;
            log::warn!(
                "held-out {name} is not a number after step {step}: the model is not chosen"
            );
        }
        let best = self.position.best;
        let is_best = value.is_some_and(|value| best.is_none_or(|best| is_better(value, best)));
        if is_best {
            self.position.best = value;
            self.position.best_metrics = metrics.to_json();
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
    fn write(&mut self, best: bool, checkpoint: bool, log: &MetricsFile) -> Result<()> {
        if !(best || checkpoint) {
            return Ok(());
        }
        let model = self.learner.model();
        let strategy = self.strategy;
        let (save_model, position) = (strategy.save_model.clone(), self.position.clone());
        let best = best.then(|| strategy.run_dir.join("best"));
        let checkpoint =
            checkpoint.then(|| (strategy.checkpoints.clone(), strategy.optimizer.moments()));
        let (recipe, log) = (strategy.recipe.clone(), log.handle()?);
        let written = self.writing.start(move || {
            let save = |directory: &Path| save_model(&model, directory);
            if let Some(best) = best {
                crate::files::write_directory_atomically(&best, save)?;
            }
            let Some((checkpoints, moments)) = checkpoint else {
                return Ok(None);
            };
            // A checkpoint vouches for the rows up to its step.
            log.sync()?;
            let path = checkpoints.save(&position, &recipe, moments, save)?;
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

fn tokens<T: TaskBatch>(micro_batches: &[T]) -> usize {
    micro_batches.iter().map(TaskBatch::tokens).sum()
}

fn add(sums: &mut Vec<f64>, values: &[f64]) {
    sums.resize(sums.len().max(values.len()), 0.0);
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += value;
    }
}
