//! `evaluate`: labelled rows in, metrics out.

use std::io::IsTerminal;
use std::path::Path;

use bert_core::backend::{Job, run_on};
use bert_core::command::{say, usage};
use bert_core::config::{BackendConfig, BadRows};
use bert_core::error::Result;
use bert_core::ops::BertAutodiffBackend;
use bert_core::tell;
use serde_json::{Value, json};

use super::bad_rows::BadRowCount;
use super::directory::FineTuned;
use super::predictor::Loaded;
use super::report::readable;
use super::scores::Measured;
use super::with_task;
use crate::cli::ModelArgs;
use crate::data::input::Records;
use crate::data::message::named;
use crate::tasks::{Report, Task};

pub(super) fn evaluate(args: &ModelArgs, data: &Path, skip_bad_rows: bool) -> Result<()> {
    let policy = match skip_bad_rows {
        true => BadRows::Skip,
        false => BadRows::Refuse,
    };
    let opened = FineTuned::open_as(args)?;
    let backend = args.backend.config()?;
    let labels = opened.head.labels.iter().enumerate();
    let numbered: Vec<String> = labels
        .map(|(number, name)| format!("{number} {name}"))
        .collect();
    if !numbered.is_empty() {
        // Data may name them by their numbers, which another program may have given otherwise.
        tell!("labels     {}", named(&numbered));
    }
    let report = evaluate_file(&opened, data, &backend, args.batch_tokens, policy)?;
    let mut value = report.metrics();
    value.extend(report.details.clone());
    if args.json || !std::io::stdout().is_terminal() {
        say(Value::Object(value))
    } else {
        say(readable(&report))
    }
}

/// The metrics of a fine-tuned model on a file; among the details how many of its rows were left out, and texts cut.
pub(super) fn evaluate_file(
    opened: &FineTuned,
    data: &Path,
    backend: &BackendConfig,
    batch_tokens: usize,
    policy: BadRows,
) -> Result<Report> {
    let report = with_task!(&opened.settings.task, (T, config) => {
        let job = Evaluation {
            opened,
            task: T::of_head(config, &opened.head)?,
            records: T::read(config, data, true)?,
            policy,
            batch_tokens,
        };
        run_on(backend, job)?
    });
    report.ok_or_else(|| {
        let problem = format!("{} has no rows to evaluate on", data.display());
        usage(problem, "give labelled rows")
    })
}

struct Evaluation<'a, T: Task> {
    opened: &'a FineTuned,
    task: T,
    records: Records<T::Record>,
    policy: BadRows,
    batch_tokens: usize,
}

impl<T: Task> Job for Evaluation<'_, T> {
    type Output = Option<Report>;

    fn run<B: BertAutodiffBackend>(self, device: B::Device) -> Result<Self::Output> {
        let loaded = Loaded::<B::InnerBackend, T>::new::<B>(self.opened, self.task, &device)?;
        let pools = loaded.pools(self.records, self.batch_tokens);
        let pools = pools.with_progress();
        let progress = pools.progress();
        let mut measured = Measured::new(&loaded.task);
        let mut bad = BadRowCount::new(self.policy);
        for pool in pools {
            let scores = pool.scores(&loaded.model);
            let rows = pool.rows.into_iter();
            let usable = rows.filter_map(|row| match row {
                Ok(row) => Some(Ok(row)),
                unusable => progress.suspend(|| bad.take(unusable)).transpose(),
            });
            measured.add(&usable.collect::<Result<Vec<_>>>()?, &scores);
        }
        let skipped = bad.finish()?;
        if let Some(remark) = measured.remark() {
            tell!("{remark}");
        }
        Ok(measured.report().map(|mut report| {
            let counts = [
                ("skipped_rows", skipped),
                ("truncated_texts", loaded.encoder.truncated()),
            ];
            for (name, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
                report.details.insert(name.into(), json!(count));
            }
            report
        }))
    }
}
