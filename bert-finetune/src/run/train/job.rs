//! The training on its backend: model, optimizer, batches and schedule, handed to the loop.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use bert_core::backend::Job;
use bert_core::command::usage;
use bert_core::config::BertConfig;
use bert_core::error::Result;
use bert_core::ops::BertAutodiffBackend;
use bert_core::optim::{BertOptimizer, Schedule, layer_decay};
use bert_core::tell;
use bert_core::tokenizer::BertTokenizer;
use bert_core::train::checkpoint;
use bert_core::train::{
    BatchLoader, Cadence, Dashboard, LoopConfig, MetricInfo, Outcome, Recipe, RunDirectory,
    RunSettings, StepMetrics, check_memory,
};
use bert_core::weights::{Head, Part};

use crate::config::FinetuneConfig;
use crate::data::message::named;
use crate::examples::{Example, FinetuneBatch};
use crate::model::{Finetuning, LOSS, Outputs, TaskModel};
use crate::run::directory::Settings;
use crate::run::plan::Plan;
use crate::run::scores::sorted_batches;
use crate::run::set::SharedSet;
use crate::tasks::Task;

/// A training, ready but for the backend.
pub(super) struct TrainJob<'a, T: Task> {
    pub(super) config: &'a FinetuneConfig,
    pub(super) run: &'a RunDirectory,
    pub(super) recipe: Recipe,
    pub(super) sizes: BertConfig,
    pub(super) tokenizer: BertTokenizer,
    /// The head of the model to start from, or of the checkpoint.
    pub(super) started_from: Head,
    pub(super) settings: Settings,
    pub(super) task: T,
    pub(super) best: MetricInfo,
    /// A fingerprint of the held-out rows.
    pub(super) held_out: String,
    pub(super) train: Arc<Vec<Example>>,
    pub(super) valid: Option<SharedSet<T>>,
    pub(super) dashboard: Dashboard,
}

impl<T: Task> Job for TrainJob<'_, T> {
    type Output = Outcome;

    fn run<B: BertAutodiffBackend>(self, device: B::Device) -> Result<Outcome> {
        let config = self.config;
        let training = &config.training;
        let layers = self.sizes.num_hidden_layers;
        let decay = training.layer_decay;
        let optimizer =
            BertOptimizer::<B>::new(config.optimizer.clone(), training.max_gradient_norm)
                .with_learning_rate_scale(move |path| layer_decay(path, decay, layers));
        let checkpoint = self.run.checkpoint();
        let (start, cursor) = checkpoint::start(checkpoint, &optimizer, &device)?;
        let plan = Plan::new(config, &self.train, cursor, start.step);
        let (backend, tokens) = (&config.backend, plan.most_tokens);
        check_memory(backend, &self.sizes, tokens, training.freeze_layers)?;
        let model = self.model::<B>(&device)?;
        let train = plan.loader(self.train.clone());
        let batches = match &self.valid {
            Some(valid) => sorted_batches(&valid.examples, training.batch_tokens).collect(),
            None => Vec::new(),
        };
        let count = batches.len();
        let valid = BatchLoader::new(count, move || Box::new(batches.clone().into_iter()));

        let peak = config.optimizer.adam().learning_rate;
        let schedule = config.schedule.over(plan.steps);
        let least = schedule.least_steps();
        if least > plan.steps {
            return Err(usage(
                format!(
                    "schedule.warmup_steps (with decay_steps, {least}) are more than the training's {} steps",
                    plan.steps
                ),
                "lower them, or give schedule.warmup_fraction",
            ));
        }
        let schedule = Schedule::new(schedule, peak, plan.steps, start.step);
        let metrics = std::iter::once(LOSS).chain(self.task.metrics()).collect();
        let (task, set) = (self.task.clone(), self.valid.clone());
        let evaluation = move |batches: &mut dyn Iterator<Item = (FinetuneBatch, Vec<f64>)>| {
            let outputs = batches.map(|(batch, values)| {
                let outputs = Outputs::new(&batch, &values);
                (batch, outputs)
            });
            let report = set.as_ref().and_then(|set| set.score(&task, outputs));
            StepMetrics {
                values: report.map(|report| report.values).unwrap_or_default(),
            }
        };
        let saved = Saved {
            sizes: self.sizes,
            head: self.task.head(),
            tokenizer: self.tokenizer,
            settings: self.settings,
        };
        let settings = RunSettings {
            run_dir: config.run_dir.clone(),
            config: LoopConfig {
                steps: plan.steps,
                accumulation: training.accumulation,
                log_every_steps: training.log_every_steps,
                evaluate: Cadence::At(plan.evaluate_at.clone()),
                checkpoint: Cadence::At(plan.evaluate_at),
                best: self.best,
                held_out: self.held_out,
                early_stopping_evaluations: training
                    .early_stopping_evaluations
                    .map(|evaluations| evaluations as u64),
                non_finite: training.non_finite,
                seed: config.seed,
            },
            schedule,
            start,
            start_checkpoint: checkpoint.map(Path::to_path_buf),
            recipe: self.recipe,
            keep_checkpoints: training.keep_checkpoints,
            dashboard: self.dashboard,
            save_model: Arc::new(move |model: &Finetuning<B>, directory| {
                saved.write(&model.model, directory)
            }),
            metrics,
            evaluation: Arc::new(evaluation),
        };
        bert_core::train::train(model, optimizer, train, valid, settings)
    }
}

impl<T: Task> TrainJob<'_, T> {
    /// The model to train: its body from the directory, its head new unless that directory's has the same outputs.
    fn model<B: BertAutodiffBackend>(&self, device: &B::Device) -> Result<Finetuning<B>> {
        let (config, kind) = (self.config, self.task.kind());
        let outputs = self.task.outputs();
        let new = TaskModel::<B>::new(kind, outputs, &self.sizes, config.seed, device);
        let model = if let Some(checkpoint) = self.run.checkpoint() {
            let (model, loaded) = new.load(checkpoint, &BTreeSet::new(), device)?;
            loaded.require(kind.part(), checkpoint)?;
            let (was, is) = (&self.started_from.labels, self.task.head().labels);
            if *was != is {
                return Err(usage(
                    format!(
                        "{} was trained on the labels {}, the data have {}",
                        checkpoint.display(),
                        named(was),
                        named(&is)
                    ),
                    "give it data with its own labels, or begin another run (--set run_dir=...)",
                ));
            }
            model
        } else {
            let path = &config.model.path;
            let keeps_head = self.started_from.gives(&self.task.head());
            let without = match keeps_head {
                true => BTreeSet::new(),
                false => BTreeSet::from([Part::Classifier, Part::AnswerHead]),
            };
            let (model, loaded) = new.load(path, &without, device)?;
            let head = match keeps_head {
                true => "its head is taken over",
                false => "its head is new",
            };
            tell!("weights    {} ({head})", path.display());
            if loaded.absent.contains(&Part::Pooler) && kind.has_pooler() {
                tell!(
                    "           the pooler is not in the checkpoint and starts from initial values"
                );
            }
            model
        };
        let layers = self.sizes.num_hidden_layers;
        if config.training.freeze_layers > layers {
            return Err(usage(
                format!(
                    "training.freeze_layers is {}, the model has {layers} layers",
                    config.training.freeze_layers
                ),
                "freeze fewer",
            ));
        }
        let model = model.freeze(config.training.freeze_layers);
        Ok(Finetuning::new(model, self.task.loss()))
    }
}

/// What a model directory holds beside the weights.
struct Saved {
    sizes: BertConfig,
    head: Head,
    tokenizer: BertTokenizer,
    settings: Settings,
}

impl Saved {
    fn write<B: BertAutodiffBackend>(&self, model: &TaskModel<B>, directory: &Path) -> Result<()> {
        model.save(directory, &self.sizes, &self.head)?;
        // transformers then cuts texts where this project does.
        let max_tokens = self.settings.max_seq_length;
        self.tokenizer.save(directory, Some(max_tokens))?;
        self.settings.save(directory)
    }
}
