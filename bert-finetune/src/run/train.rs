//! `train`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bert_core::backend::{Job, run_on};
use bert_core::command::{ResumeArgs, log_to_run, remark_on, usage};
use bert_core::config::BertConfig;
use bert_core::error::{ConfigProblem, Error, Result};
use bert_core::ops::BertAutodiffBackend;
use bert_core::optim::{BertOptimizer, Schedule, layer_decay};
use bert_core::sample_data;
use bert_core::tell;
use bert_core::tokenizer::BertTokenizer;
use bert_core::train::checkpoint;
use bert_core::train::{
    BatchLoader, Cadence, Dashboard, Ending, LoopConfig, MetricInfo, Outcome, Recipe, RunDirectory,
    RunSettings, StepMetrics, check_memory,
};
use bert_core::weights::{Checkpoint, Head, ModelDirectory, Part, read_head};
use serde_json::{Value, json};

use super::directory::Settings;
use super::plan::Plan;
use super::results::{RESULTS, finish, report_seeds};
use super::set::{Rows, SharedSet, sorted_batches};
use super::with_task;
use crate::config::{DataSource, FinetuneConfig};
use crate::data::split::hold_out;
use crate::examples::{Cursor, Example, FinetuneBatch, fingerprint};
use crate::model::{Finetuning, LOSS, Outputs, TaskModel};
use crate::tasks::Task;
use crate::tasks::encoder::Encoder;
use crate::tasks::sequence::listed;
use crate::tasks::targets::Classes;

/// Keys that may change from one start of a run to the next: they change neither its weights nor which are the best.
const FREE_KEYS: [&str; 4] = [
    "run_dir",
    "backend.device",
    "training.log_every_steps",
    "training.keep_checkpoints",
];

pub(super) fn train(
    config: &FinetuneConfig,
    resume: ResumeArgs,
    seeds: &[u64],
    dashboard: Dashboard,
    log_level: log::LevelFilter,
) -> Result<()> {
    // Refused before the data are read, not after.
    let dashboard = dashboard.resolve()?;
    let mut different = seeds.to_vec();
    different.sort_unstable();
    different.dedup();
    if different.len() < seeds.len() {
        return Err(usage("--seeds has a seed twice", "give each once"));
    }
    if seeds.is_empty() {
        let run = Run {
            config,
            resume,
            dashboard,
            log_level,
        };
        return run.train().map(|_| ());
    }
    // The directory of all seeds is taken as a run's is, so that no results are written over.
    let _directory = RunDirectory::open(&config.run_dir, resume.resume)?;
    let mut results = Vec::new();
    for &seed in seeds {
        let mut of_seed = config.clone();
        of_seed.seed = seed;
        of_seed.run_dir = config.run_dir.join(format!("seed-{seed}"));
        tell!("seed {seed}    {}", of_seed.run_dir.display());
        let run = Run {
            config: &of_seed,
            resume,
            dashboard,
            log_level,
        };
        if run.train()? == Ending::Interrupted {
            return Ok(());
        }
        let done = of_seed.run_dir.join(RESULTS);
        let text = std::fs::read_to_string(&done).map_err(Error::io("read", &done))?;
        let value: Value = serde_json::from_str(&text).map_err(|error| Error::Data {
            path: done,
            line: Some(error.line() as u64),
            problem: error.to_string(),
            help: "remove it, and run again with --resume".into(),
        })?;
        results.push((seed, value));
    }
    report_seeds(config, &results)
}

struct Run<'a> {
    config: &'a FinetuneConfig,
    resume: ResumeArgs,
    dashboard: Dashboard,
    log_level: log::LevelFilter,
}

impl Run<'_> {
    fn train(&self) -> Result<Ending> {
        let config = self.config;
        let run_dir = &config.run_dir;
        let directory = self.resume.open(run_dir)?;
        self.resume
            .check(&directory, &directory.changed_keys(config, &FREE_KEYS)?)?;
        // A run goes on with the sizes and the vocabulary that its weights are for.
        let path = directory.checkpoint().unwrap_or(&config.model.path);
        let ModelDirectory {
            config: sizes,
            tokenizer,
            ..
        } = ModelDirectory::open(path)?;
        // Found wanting before the data are read, not after.
        Checkpoint::open(path)?;
        let (tokens, positions) = (
            config.training.max_seq_length,
            sizes.max_position_embeddings,
        );
        if tokens > positions {
            return Err(usage(
                format!(
                    "training.max_seq_length {tokens} is beyond the model's {positions} positions"
                ),
                format!("--set training.max_seq_length={positions}"),
            ));
        }
        let files = self.files()?;
        log_to_run(run_dir, self.log_level)?;
        let start = Start {
            run: self,
            directory,
            files,
            sizes,
            tokenizer,
        };
        with_task!(&config.task, (T, task) => start.train::<T>(task))
    }

    /// The files of the data; a built-in set is written first.
    fn files(&self) -> Result<Files> {
        let data = &self.config.data;
        Ok(match &data.train {
            DataSource::File(train) => Files {
                train: train.clone(),
                valid: data.valid.clone(),
                test: data.test.clone(),
            },
            DataSource::Sample(name) => {
                let directory = self.config.run_dir.join("data");
                let written = sample_data::write_labelled(&directory, 1, name)?;
                let mut files = written.into_iter().map(|file| file.path);
                Files {
                    train: files.next().unwrap_or_default(),
                    valid: files.next(),
                    test: files.next(),
                }
            }
        })
    }
}

struct Files {
    train: PathBuf,
    valid: Option<PathBuf>,
    test: Option<PathBuf>,
}

/// All that is known before the data are read.
struct Start<'a> {
    run: &'a Run<'a>,
    directory: RunDirectory,
    files: Files,
    sizes: BertConfig,
    tokenizer: BertTokenizer,
}

impl Start<'_> {
    fn train<T: Task>(self, of_task: &T::Config) -> Result<Ending> {
        let config = self.run.config;
        let (training, data) = (&config.training, &config.data);
        let rows = Rows::<T>::read(of_task, &self.files.train, data.bad_rows)?;
        let classes = Classes {
            label_smoothing: training.label_smoothing,
            weights: training.class_weights.clone(),
        };
        // Before rows are held out: the only row of a label may be among them.
        let from = self.directory.checkpoint().unwrap_or(&config.model.path);
        let known = read_head(from)?.labels;
        let task = T::learn(of_task, &rows.records, classes, &known)?;
        // Held-out rows are measured as later with `evaluate`: class weights and smoothing are for training.
        let plain = T::learn(of_task, &rows.records, Classes::PLAIN, &known)?;
        let (train, valid) = match &self.files.valid {
            Some(path) => (rows, Some(Rows::read(of_task, path, data.bad_rows)?)),
            None if data.valid_fraction > 0.0 && rows.records.len() > 1 => {
                let shared = rows.records.iter().map(T::shared);
                let held_out = hold_out(shared, data.valid_fraction, config.seed);
                let (train, valid) = rows.split(&held_out);
                (train, Some(valid))
            }
            None => (rows, None),
        };
        let chooses =
            training.best_metric.is_some() || training.early_stopping_evaluations.is_some();
        if valid.is_none() && chooses {
            return Err(usage(
                "training.best_metric and early stopping choose by held-out rows, and there are none",
                "give data.valid or data.valid_fraction, or set both to null",
            ));
        }
        let best = best_metric(&task, training.best_metric.as_deref())?;
        let encoder = Encoder::new(self.tokenizer.clone(), &self.sizes, training.max_seq_length);
        let train = train.encode(&task, &encoder)?;
        tell!("train      {}", train.summary());
        let valid = valid.map(|rows| rows.encode(&plain, &encoder));
        let valid = valid.transpose()?;
        if let Some(valid) = &valid {
            tell!("valid      {}", valid.summary());
        }
        if let Some(path) = &self.files.test {
            // Its faults are found now and not after the training.
            let test = Rows::read(of_task, path, data.bad_rows)?.encode(&task, &encoder)?;
            tell!("test       {}", test.summary());
        }
        let head = task.head();
        if !head.labels.is_empty() {
            tell!("labels     {}", listed(&head.labels));
        }
        let held_out = valid.as_ref().map_or(&[][..], |set| &set.examples);
        let recipe = Recipe::new(config, fingerprint([&train.examples, held_out]));
        self.run
            .resume
            .check(&self.directory, &self.directory.changed_data(&recipe.data)?)?;
        let backend = &config.backend;
        let job = TrainJob {
            config,
            run: &self.directory,
            recipe,
            sizes: self.sizes,
            tokenizer: self.tokenizer,
            settings: Settings {
                task: task.resolve(of_task).into(),
                max_seq_length: training.max_seq_length,
            },
            task,
            best,
            train: Arc::new(train.examples),
            valid: valid.map(Arc::new),
            dashboard: self.run.dashboard,
        };
        remark_on(backend);
        let outcome = run_on(backend, job)?;
        finish(config, &outcome, best, self.files.test.as_deref())?;
        Ok(outcome.ending)
    }
}

/// The metric that models are chosen by.
fn best_metric<T: Task>(task: &T, named: Option<&str>) -> Result<MetricInfo> {
    let mut known = task.metrics();
    let Some(name) = named else {
        return Ok(known[0]);
    };
    known.push(LOSS);
    let found = known.iter().find(|info| info.name == name);
    found.copied().ok_or_else(|| {
        let names: Vec<&str> = known.iter().map(|info| info.name).collect();
        Error::Config {
            origin: "configuration".into(),
            problems: vec![ConfigProblem {
                key: "training.best_metric".into(),
                problem: format!("\"{name}\" is not one of {}", names.join(", ")),
            }],
        }
    })
}

struct TrainJob<'a, T: Task> {
    config: &'a FinetuneConfig,
    run: &'a RunDirectory,
    recipe: Recipe,
    sizes: BertConfig,
    tokenizer: BertTokenizer,
    settings: Settings,
    task: T,
    best: MetricInfo,
    train: Arc<Vec<Example>>,
    valid: Option<SharedSet<T>>,
    dashboard: Dashboard,
}

impl<T: Task> Job for TrainJob<'_, T> {
    type Output = Outcome;

    fn run<B: BertAutodiffBackend>(self, device: B::Device) -> Result<Outcome> {
        let config = self.config;
        let training = &config.training;
        // A batch of few rows is smaller than its bound in tokens.
        let of_rows = training.batch_size.map_or(usize::MAX, |rows| {
            rows.saturating_mul(training.max_seq_length)
        });
        check_memory(
            &config.backend,
            &self.sizes,
            training.batch_tokens.min(of_rows),
        )?;
        let model = self.model::<B>(&device)?;
        let layers = self.sizes.num_hidden_layers;
        let decay = training.layer_decay;
        let optimizer =
            BertOptimizer::<B>::new(config.optimizer.clone(), training.max_gradient_norm)
                .with_learning_rate_scale(move |path| layer_decay(path, decay, layers));
        let checkpoint = self.run.checkpoint();
        let first = json!(Cursor::default());
        let start = checkpoint::start(checkpoint, first, &optimizer, &device)?;
        let plan = Plan::new(config, &self.train);
        let train = plan.loader(self.train.clone(), &start, &config.run_dir)?;
        let batches = match &self.valid {
            Some(valid) => sorted_batches(valid, training.batch_tokens),
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
            let (was, is) = (read_head(checkpoint)?.labels, self.task.head().labels);
            if was != is {
                return Err(usage(
                    format!(
                        "{} was trained on the labels {}, the data have {}",
                        checkpoint.display(),
                        listed(&was),
                        listed(&is)
                    ),
                    "give it data with its own labels, or begin another run (--set run_dir=...)",
                ));
            }
            model
        } else {
            let path = &config.model.path;
            let keeps_head = read_head(path)?.gives(&self.task.head());
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
