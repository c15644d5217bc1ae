//! `predict` and `evaluate`: a stream of rows in, answers in order or metrics out.

use std::io::{IsTerminal, Write};
use std::path::Path;

use bert_core::backend::{Job, run_on};
use bert_core::command::{say, usage};
use bert_core::config::BackendConfig;
use bert_core::error::{Error, Result};
use bert_core::files::write_atomically_with;
use bert_core::ops::{BertAutodiffBackend, BertBackend};
use bert_core::tell;
use bert_core::weights::{ModelDirectory, Part};
use rayon::prelude::*;
use serde_json::{Value, json};

use super::bad_rows::BadRowCount;
use super::directory::FineTuned;
use super::report::readable;
use super::with_task;
use crate::cli::ModelArgs;
use crate::config::BadRows;
use crate::data::input::Records;
use crate::epochs::Batching;
use crate::examples::{Example, FinetuneBatch};
use crate::model::{Finetuning, LOSS, TaskModel};
use crate::tasks::encoder::Encoder;
use crate::tasks::{Answer, Report, Task};

/// Rows that are computed together, sorted by length: so many batches' worth.
const POOLED_BATCHES: usize = 16;
/// Rows of a pool at most, whatever their lengths.
const POOLED_ROWS: usize = 4096;

pub(super) fn predict(
    args: &ModelArgs,
    input: &Path,
    output: Option<&Path>,
    skip_bad_rows: bool,
) -> Result<()> {
    let opened = FineTuned::open_as(args)?;
    let backend = args.backend.config()?;
    let stream = input == Path::new("-");
    if stream && std::io::stdin().is_terminal() {
        tell!("a text a line, or a row of JSON; Ctrl-D ends");
    }
    let as_json = args.json || output.is_some() || !std::io::stdout().is_terminal();
    with_task!(&opened.settings.task, (T, config) => {
        let task = T::of_head(config, &opened.head)?;
        let records = T::read(config, input, false)?;
        let line = |answer: Result<Answer>| -> Result<String> {
            match answer {
                Ok(answer) if as_json => Ok(Value::Object(answer.json).to_string()),
                Ok(answer) => Ok(answer.readable),
                // Whoever types goes on; a file must be right, unless its user says otherwise.
                Err(error @ Error::Data { .. }) if stream || skip_bad_rows => Ok(match as_json {
                    true => json!({"error": error.to_string()}).to_string(),
                    false => format!("error: {error}"),
                }),
                Err(error) => Err(error),
            }
        };
        let job = |write: &mut (dyn FnMut(String) -> Result<()> + Send)| {
            let take = |answer| write(line(answer)?);
            let answers = Answers {
                opened: &opened,
                task,
                records,
                one_by_one: stream,
                batch_tokens: args.batch_tokens,
                take,
            };
            run_on(&backend, answers)
        };
        match output {
            Some(path) if path != Path::new("-") => write_atomically_with(path, |file| {
                job(&mut |line| writeln!(file, "{line}").map_err(Error::io("write", path)))
            }),
            _ => job(&mut say),
        }
    })
}

struct Answers<'a, T: Task, F> {
    opened: &'a FineTuned,
    task: T,
    records: Records<T::Record>,
    one_by_one: bool,
    batch_tokens: usize,
    take: F,
}

impl<T: Task, F: FnMut(Result<Answer>) -> Result<()> + Send> Job for Answers<'_, T, F> {
    type Output = ();

    fn run<B: BertAutodiffBackend>(mut self, device: B::Device) -> Result<()> {
        let model = load::<B, T>(self.opened, &self.task, &device)?;
        let encoder = self.opened.encoder();
        let mut pools = Pools::new(&self.task, &encoder, self.records, self.batch_tokens);
        if self.one_by_one {
            pools.rows = 1;
        }
        for pool in pools {
            let scores = pool.scores(&model, self.batch_tokens).scores;
            let mut rows = scores.chunk_by_counts(&pool.counts);
            for row in pool.rows {
                let answer = row.map(|(record, layout)| {
                    let scores = rows.next().unwrap_or_default();
                    self.task.answer(&record, &layout, &scores)
                });
                (self.take)(answer)?;
            }
        }
        if encoder.truncated() > 0 {
            let (cut, most) = (encoder.truncated(), encoder.max_tokens);
            tell!("{cut} texts were cut to {most} tokens");
        }
        Ok(())
    }
}

/// The model of a directory, for inference; its head must be there.
fn load<B: BertAutodiffBackend, T: Task>(
    opened: &FineTuned,
    task: &T,
    device: &B::Device,
) -> Result<Finetuning<B::InnerBackend>> {
    let kind = task.kind();
    let ModelDirectory { path, config, .. } = &opened.directory;
    let model = TaskModel::new(kind, task.outputs(), config, 0, device);
    let (model, loaded) = model.load(path, &Default::default(), device)?;
    loaded.require(kind.part(), path)?;
    if kind.has_pooler() {
        loaded.require(Part::Pooler, path)?;
    }
    Ok(Finetuning::new(model, task.loss()))
}

/// Rows, encoded, as many at a time as are computed together.
struct Pools<'a, T: Task> {
    task: &'a T,
    encoder: &'a Encoder,
    records: Records<T::Record>,
    tokens: usize,
    rows: usize,
}

impl<'a, T: Task> Pools<'a, T> {
    fn new(
        task: &'a T,
        encoder: &'a Encoder,
        records: Records<T::Record>,
        batch_tokens: usize,
    ) -> Self {
        Self {
            task,
            encoder,
            records,
            tokens: batch_tokens.saturating_mul(POOLED_BATCHES),
            rows: POOLED_ROWS,
        }
    }
}

struct Pool<T: Task> {
    /// In order; those that cannot be used with the reason.
    rows: Vec<Result<(T::Record, T::Layout)>>,
    /// How many examples each row that can be used has.
    counts: Vec<usize>,
    examples: Vec<Example>,
}

/// What a model gave for a pool.
struct Scores {
    loss: f64,
    weight: f64,
    scores: Vec<Vec<f32>>,
}

impl<T: Task> Iterator for Pools<'_, T> {
    type Item = Pool<T>;

    fn next(&mut self) -> Option<Pool<T>> {
        let mut pool = Pool {
            rows: Vec::new(),
            counts: Vec::new(),
            examples: Vec::new(),
        };
        let mut tokens = 0;
        while tokens < self.tokens && pool.rows.len() < self.rows {
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
                    pool.counts.push(examples.len());
                    tokens += examples.iter().map(Example::length).sum::<usize>();
                    pool.examples.extend(examples);
                    (record, layout)
                }));
            }
        }
        (!pool.rows.is_empty()).then_some(pool)
    }
}

impl<T: Task> Pool<T> {
    fn scores<B: BertBackend>(&self, model: &Finetuning<B>, batch_tokens: usize) -> Scores {
        let batching = Batching {
            batch_tokens,
            batch_size: None,
            seed: 0,
        };
        let lengths: Vec<usize> = self.examples.iter().map(Example::length).collect();
        let all: Vec<usize> = (0..lengths.len()).collect();
        let mut scores = Scores {
            loss: 0.0,
            weight: 0.0,
            scores: vec![Vec::new(); lengths.len()],
        };
        for batch in batching.sorted(&all, &lengths) {
            let batch = FinetuneBatch::new(&self.examples, &batch, Default::default());
            let outputs = model.outputs(&batch);
            scores.loss += outputs.loss;
            scores.weight += outputs.weight;
            for (&example, of_example) in batch.examples().iter().zip(outputs.scores) {
                scores.scores[example] = of_example;
            }
        }
        scores
    }
}

/// Cuts a list into runs of the given lengths.
trait ChunkByCounts<T> {
    fn chunk_by_counts(self, counts: &[usize]) -> impl Iterator<Item = Vec<T>>;
}

impl<T> ChunkByCounts<T> for Vec<T> {
    fn chunk_by_counts(self, counts: &[usize]) -> impl Iterator<Item = Vec<T>> {
        let mut items = self.into_iter();
        counts
            .iter()
            .map(move |count| items.by_ref().take(*count).collect())
    }
}

pub(super) fn evaluate(args: &ModelArgs, data: &Path, skip_bad_rows: bool) -> Result<()> {
    let policy = match skip_bad_rows {
        true => BadRows::Skip,
        false => BadRows::Refuse,
    };
    let opened = FineTuned::open_as(args)?;
    let backend = args.backend.config()?;
    let (report, skipped) = evaluate_file(&opened, data, &backend, args.batch_tokens, policy)?;
    let mut value = report.metrics();
    value.extend(report.details.clone());
    if skipped > 0 {
        value.insert("skipped_rows".into(), json!(skipped));
    }
    if args.json || !std::io::stdout().is_terminal() {
        say(Value::Object(value))
    } else {
        say(readable(&report))
    }
}

/// The metrics of a fine-tuned model on a file, and how many of its rows were left out.
pub(super) fn evaluate_file(
    opened: &FineTuned,
    data: &Path,
    backend: &BackendConfig,
    batch_tokens: usize,
    policy: BadRows,
) -> Result<(Report, usize)> {
    let (report, skipped) = with_task!(&opened.settings.task, (T, config) => {
        let job = Evaluation {
            opened,
            task: T::of_head(config, &opened.head)?,
            records: T::read(config, data, true)?,
            policy,
            batch_tokens,
        };
        run_on(backend, job)?
    });
    match report {
        Some(report) => Ok((report, skipped)),
        None => Err(usage(
            format!("{} has no rows to evaluate on", data.display()),
            "give labelled rows",
        )),
    }
}

struct Evaluation<'a, T: Task> {
    opened: &'a FineTuned,
    task: T,
    records: Records<T::Record>,
    policy: BadRows,
    batch_tokens: usize,
}

impl<T: Task> Job for Evaluation<'_, T> {
    type Output = (Option<Report>, usize);

    fn run<B: BertAutodiffBackend>(self, device: B::Device) -> Result<Self::Output> {
        let model = load::<B, T>(self.opened, &self.task, &device)?;
        let encoder = self.opened.encoder();
        let pools = Pools::new(&self.task, &encoder, self.records, self.batch_tokens);
        let mut scorer = self.task.scorer();
        let mut bad = BadRowCount::new(self.policy);
        let (mut loss, mut weight) = (0.0, 0.0);
        for pool in pools {
            let scores = pool.scores(&model, self.batch_tokens);
            loss += scores.loss;
            weight += scores.weight;
            let mut rows = scores.scores.chunk_by_counts(&pool.counts);
            for row in pool.rows {
                if let Some((record, layout)) = bad.take(row)? {
                    scorer.add(&record, &layout, &rows.next().unwrap_or_default());
                }
            }
        }
        let skipped = bad.finish()?;
        if let Some(remark) = scorer.remark() {
            tell!("{remark}");
        }
        let report = (weight > 0.0).then(|| {
            let mut report = scorer.report();
            report.values.insert(0, (LOSS.name, loss / weight));
            report
        });
        Ok((report, skipped))
    }
}
