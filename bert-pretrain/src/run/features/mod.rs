//! `features`: hidden states, pooled vectors and scores of rows of texts or ids.

mod compute;
mod plan;
mod rows;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

use bert_core::backend::{Job, run_on};
use bert_core::command::{check_differ, print};
use bert_core::config::{BackendConfig, BertConfig};
use bert_core::error::{Error, Result};
use bert_core::files::write_atomically_with;
use bert_core::ops::BertAutodiffBackend;
use bert_core::weights::{read_config, write_safetensors};
use serde::Serialize;
use serde_json::json;

use super::model::load;
use crate::cli::{FeaturesArgs, Pooling};
use compute::{Compute, RowFeatures};
use plan::Plan;
use rows::Rows;

pub(super) fn features(args: &FeaturesArgs, backend: &BackendConfig) -> Result<()> {
    check_differ(&args.input, &args.output)?;
    let config = read_config(&args.model)?;
    let plan = Plan::new(args, &config)?;
    let rows = Rows::read(args, &config)?;
    let started = Instant::now();
    let job = Features {
        args,
        config: &config,
        plan: &plan,
        rows: &rows,
    };
    run_on(backend, job)?;
    let seconds = started.elapsed().as_secs_f64();
    let (count, tokens, truncated) = (rows.all.lengths.len(), rows.all.tokens(), rows.truncated);
    let value = json!({
        "output": args.output.to_string_lossy(), "rows": count, "tokens": tokens, "truncated": truncated,
        "layer": plan.layer, "seconds": seconds,
    });
    print(args.json, &value, || {
        let cut = if truncated > 0 {
            format!(", {truncated} texts cut")
        } else {
            String::new()
        };
        format!(
            "{}   {count} rows, {tokens} tokens{cut}, {seconds:.1} s",
            args.output.display()
        )
    })
}

struct Features<'a> {
    args: &'a FeaturesArgs,
    config: &'a BertConfig,
    plan: &'a Plan,
    rows: &'a Rows,
}

impl Job for Features<'_> {
    type Output = ();

    fn run<B: BertAutodiffBackend>(self, device: B::Device) -> Result<()> {
        let mut model = load::<B>(&self.args.model, self.config, &self.plan.needed(), &device)?;
        if !self.plan.mlm && !self.plan.nsp {
            // Nothing asks for what the layers above would give.
            model.bert.encoder.layer.truncate(self.plan.layer);
        }
        let compute = Compute {
            plan: self.plan,
            rows: &self.rows.all,
            model: &model,
            device: &device,
        };
        let output = &self.args.output;
        if self.plan.as_json {
            return write_atomically_with(output, |file| {
                compute.all(|row| write_line(file, output, self.plan, &row))
            });
        }
        let lengths = self.rows.all.lengths.iter().enumerate();
        let layout = lengths.flat_map(|(row, &tokens)| self.plan.tensors(row, tokens));
        write_safetensors(output, layout.collect(), |writer| {
            compute.all(|row| {
                writer.write(&row.states)?;
                writer.write(&row.mlm_logits)?;
                writer.write(&row.nsp_logits)
            })
        })
    }
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    hidden: Option<Vec<&'a [f32]>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pooled: Option<&'a [f32]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mlm_logits: Option<Vec<&'a [f32]>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nsp_logits: Option<&'a [f32]>,
}

fn write_line(
    file: &mut BufWriter<File>,
    path: &Path,
    plan: &Plan,
    row: &RowFeatures,
) -> Result<()> {
    let pooled = plan.pooling != Pooling::None;
    let line = Line {
        hidden: (!pooled).then(|| row.states.chunks(plan.hidden).collect()),
        pooled: pooled.then_some(&row.states),
        mlm_logits: plan
            .mlm
            .then(|| row.mlm_logits.chunks(plan.vocabulary).collect()),
        nsp_logits: plan.nsp.then_some(&row.nsp_logits),
    };
    let written = serde_json::to_writer(&mut *file, &line).map_err(std::io::Error::from);
    written
        .and_then(|()| file.write_all(b"\n"))
        .map_err(Error::io("write", path))
}
