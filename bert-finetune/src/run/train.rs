//! `train`: labelled files to examples, then the training and what it came to.

mod job;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bert_core::backend::{check, run_on};
use bert_core::command::{LogArgs, ResumeArgs, remark_on, usage};
use bert_core::config::BertConfig;
use bert_core::error::{ConfigProblem, Error, Result};
use bert_core::sample_data;
use bert_core::tell;
use bert_core::tokenizer::BertTokenizer;
use bert_core::train::{Dashboard, Ending, MetricInfo, Recipe, RunDirectory};
use bert_core::weights::{Checkpoint, Head, ModelDirectory, named_head, read_head};
use serde_json::Value;

use super::directory::Settings;
use super::results::{RESULTS, finish, report_seeds};
use super::set::Rows;
use super::with_task;
use crate::config::{DataSource, FinetuneConfig};
use crate::data::message::named;
use crate::data::split::{choose, hold_out};
use crate::examples::{Classes, fingerprint};
use crate::model::LOSS;
use crate::tasks::Task;
use crate::tasks::encoder::Encoder;
use job::TrainJob;

/// Keys that may change from one start of a run to the next: they change neither its weights nor which are the best.
const FREE_KEYS: [&str; 5] = [
    "run_dir",
    "backend.device",
    "data.test",
    "training.log_every_steps",
    "training.keep_checkpoints",
];

/// What is shown of a training.
#[derive(Clone, Copy)]
pub(super) struct Shown {
    pub(super) dashboard: Dashboard,
    pub(super) log: LogArgs,
    /// Whether what it came to is shown as JSON.
    pub(super) json: bool,
}

pub(super) fn train(
    config: &FinetuneConfig,
    resume: ResumeArgs,
    seeds: &[u64],
    mut shown: Shown,
) -> Result<()> {
    // Refused before the data are read, not after.
    shown.dashboard = shown.dashboard.resolve()?;
    check(&config.backend)?;
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
            shown,
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
            shown,
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
    report_seeds(config, &results, shown.json)
}

struct Run<'a> {
    config: &'a FinetuneConfig,
    resume: ResumeArgs,
    shown: Shown,
}

impl Run<'_> {
    fn train(&self) -> Result<Ending> {
        let config = self.config;
        let run_dir = &config.run_dir;
        let directory = self.resume.open(run_dir)?;
        directory.check_config::<FinetuneConfig>(run_dir)?;
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
        self.shown.log.to_run(run_dir)?;
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
            DataSource::File(train) => {
                let files = Files {
                    train: train.clone(),
                    valid: data.valid.clone(),
                    test: data.test.clone(),
                };
                files.check()?;
                files
            }
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

/// The head of a model to start from. One that is not what its `config.json` says is not taken over, and so no error.
fn head_of(directory: &Path, sizes: &BertConfig) -> Result<Head> {
    let head = read_head(directory)?;
    if !head.labels.is_empty() {
        return Ok(head);
    }
    Ok(named_head(directory, sizes.hidden_size).unwrap_or(head))
}

struct Files {
    train: PathBuf,
    valid: Option<PathBuf>,
    test: Option<PathBuf>,
}

impl Files {
    /// Finds a wrong name before any of them is read.
    fn check(&self) -> Result<()> {
        let others = [("data.valid", &self.valid), ("data.test", &self.test)];
        let others = others
            .iter()
            .filter_map(|(key, file)| Some((*key, file.as_ref()?)));
        for (key, file) in [("data.train", &self.train)].into_iter().chain(others) {
            if !file.exists() && *file != Path::new("-") {
                let problem = format!("{key}: there is no {}", file.display());
                return Err(usage(problem, "check the path"));
            }
        }
        Ok(())
    }
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
        // Before rows are held out: the only row of a label may be among them.
        let from = self.directory.checkpoint().unwrap_or(&config.model.path);
        let started_from = head_of(from, &self.sizes)?;
        let plain = match T::learn(of_task, &rows.records, &started_from.labels) {
            Ok(plain) => plain,
            Err(error) => {
                // What is missing may be in the rows that cannot be used.
                rows.refuse_bad()?;
                return Err(error);
            }
        };
        let (mut train, valid) = match &self.files.valid {
            Some(path) => (rows, Some(Rows::read(of_task, path, data.bad_rows)?)),
            None if data.valid_fraction > 0.0 && rows.records.len() > 1 => {
                let shared = rows.records.iter().map(T::shared);
                let held_out = hold_out(shared, data.valid_fraction, config.seed);
                let (train, valid) = rows.split(&held_out);
                (train, Some(valid))
            }
            None => (rows, None),
        };
        if let Some(count) = data.max_train_rows {
            train.keep(&choose(train.records.len(), count, config.seed));
        }
        let classes = Classes {
            label_smoothing: training.label_smoothing,
            weights: training.class_weights.clone(),
        };
        // Held-out rows are measured as later with `evaluate`: class weights and smoothing are for training.
        let task = plain.weighed(&classes, &train.records)?;
        let chooses =
            training.best_metric.is_some() || training.early_stopping_evaluations.is_some();
        if valid.is_none() && chooses {
            return Err(usage(
                "training.best_metric and early stopping choose by held-out rows, and there are none",
                "give data.valid or data.valid_fraction, or set training.best_metric and training.early_stopping_evaluations \
                 to null",
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
            let test = Rows::read(of_task, path, data.bad_rows)?.encode(&plain, &encoder)?;
            tell!("test       {}", test.summary());
        }
        let head = task.head();
        if !head.labels.is_empty() {
            tell!("labels     {}", named(&head.labels));
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
            started_from,
            settings: Settings {
                task: task.resolve(of_task).into(),
                max_seq_length: training.max_seq_length,
            },
            task,
            best,
            held_out: fingerprint([held_out]),
            train: Arc::new(train.examples),
            valid: valid.map(Arc::new),
            dashboard: self.run.shown.dashboard,
        };
        remark_on(backend);
        let outcome = run_on(backend, job)?;
        let (test, json) = (self.files.test.as_deref(), self.run.shown.json);
        finish(config, &outcome, best, test, json)?;
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
