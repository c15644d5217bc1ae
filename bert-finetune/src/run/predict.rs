//! `predict`: a stream of rows in, answers in order out.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use bert_core::backend::{Job, run_on};
use bert_core::command::{check_differ, say, usage};
use bert_core::error::{Error, Result};
use bert_core::files::{is_packed, write_atomically_with};
use bert_core::ops::BertAutodiffBackend;
use bert_core::tell;
use serde_json::{Value, json};

use super::directory::FineTuned;
use super::predictor::Loaded;
use super::with_task;
use crate::cli::ModelArgs;
use crate::data::input::Records;
use crate::tasks::{Answer, Task};

pub(super) fn predict(
    args: &ModelArgs,
    input: &Path,
    output: Option<&Path>,
    skip_bad_rows: bool,
) -> Result<()> {
    let opened = FineTuned::open_as(args)?;
    let backend = args.backend.config()?;
    let stream = input == Path::new("-");
    if let Some(output) = output {
        check_differ(input, output)?;
        if is_packed(output) {
            let problem = format!("--output {} would not be packed", output.display());
            return Err(usage(problem, "end its name in .jsonl"));
        }
    }
    if stream && std::io::stdin().is_terminal() {
        tell!("a text a line, or a row of JSON; Ctrl-D ends");
    }
    let as_json = args.json || output.is_some() || !std::io::stdout().is_terminal();
    let output = output.filter(|path| *path != Path::new("-"));
    with_task!(&opened.settings.task, (T, config) => {
        let task = T::of_head(config, &opened.head)?;
        let records = T::read(config, input, false)?;
        let bad_rows = AtomicUsize::new(0);
        let line = |answer: Result<Answer>| -> Result<String> {
            match answer {
                Ok(answer) if as_json => Ok(Value::Object(answer.json).to_string()),
                Ok(answer) => Ok(answer.readable),
                // Whoever types goes on; a file must be right, unless its user says otherwise.
                Err(error @ Error::Data { .. }) if stream || skip_bad_rows => {
                    bad_rows.fetch_add(1, Ordering::Relaxed);
                    Ok(match as_json {
                        true => json!({"error": error.to_string()}).to_string(),
                        false => format!("error: {error}"),
                    })
                }
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
                // Among answers on the same terminal there is no place for it.
                shows_progress: output.is_some(),
                batch_tokens: args.batch_tokens,
                take,
            };
            run_on(&backend, answers)
        };
        match output {
            Some(path) => write_atomically_with(path, |file| {
                job(&mut |line| writeln!(file, "{line}").map_err(Error::io("write", path)))
            })?,
            None => job(&mut say)?,
        }
        let bad_rows = bad_rows.into_inner();
        if bad_rows > 0 && !std::io::stdin().is_terminal() {
            tell!("rows that could not be answered, and say why: {bad_rows}");
        }
        Ok(())
    })
}

struct Answers<'a, T: Task, F> {
    opened: &'a FineTuned,
    task: T,
    records: Records<T::Record>,
    one_by_one: bool,
    shows_progress: bool,
    batch_tokens: usize,
    take: F,
}

impl<T: Task, F: FnMut(Result<Answer>) -> Result<()> + Send> Job for Answers<'_, T, F> {
    type Output = ();

    fn run<B: BertAutodiffBackend>(mut self, device: B::Device) -> Result<()> {
        let loaded = Loaded::<B::InnerBackend, T>::new::<B>(self.opened, self.task, &device)?;
        let mut pools = loaded.pools(self.records, self.batch_tokens);
        if self.one_by_one {
            pools = pools.one_by_one();
        }
        if self.shows_progress {
            pools = pools.with_progress();
        }
        loaded.answer(pools, &mut self.take)?;
        let cut = loaded.encoder.truncated();
        if cut > 0 {
            tell!("{cut} texts were too long, and cut");
        }
        Ok(())
    }
}
