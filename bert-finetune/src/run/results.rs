//! What a training came to: the finished model in its place, its scores, and what to do next.

use std::path::Path;

use bert_core::command::print;
use bert_core::error::Result;
use bert_core::files::write_json;
use bert_core::train::checkpoint::publish;
use bert_core::train::{Ending, MetricInfo, Outcome};
use serde_json::{Map, Value, json};

use super::directory::FineTuned;
use super::evaluate::evaluate_file;
use super::report::readable;
use crate::config::FinetuneConfig;
use crate::tasks::Report;

/// What a finished run came to, in its directory.
pub(super) const RESULTS: &str = "results.json";

/// Mean and standard deviation over seeds, of every metric.
pub(super) fn report_seeds(
    config: &FinetuneConfig,
    results: &[(u64, Value)],
    json: bool,
) -> Result<()> {
    let mut summary = Map::new();
    let mut lines = Vec::new();
    for split in ["valid", "test"] {
        let Some(Value::Object(first)) = results.first().and_then(|(_, r)| r.get(split)) else {
            continue;
        };
        let mut of_split = Map::new();
        lines.push(format!(
            "\n{split:<18} {:>9}   {:>9}   by seed",
            "mean", "deviation"
        ));
        for name in first.keys() {
            let values: Vec<f64> = (results.iter())
                .filter_map(|(_, result)| result[split][name].as_f64())
                .collect();
            if values.len() != results.len() {
                continue;
            }
            let count = values.len() as f64;
            let mean = values.iter().sum::<f64>() / count;
            let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
            let deviation = (squares / (count - 1.0).max(1.0)).sqrt();
            let each: Vec<String> = values.iter().map(|value| format!("{value:.4}")).collect();
            lines.push(format!(
                "{name:<18} {mean:>9.4}   {deviation:>9.4}   {}",
                each.join(" ")
            ));
            let entry = json!({"mean": mean, "deviation": deviation, "values": values});
            of_split.insert(name.clone(), entry);
        }
        summary.insert(split.into(), of_split.into());
    }
    let seeds: Vec<u64> = results.iter().map(|(seed, _)| *seed).collect();
    summary.insert("seeds".into(), json!(seeds));
    let path = config.run_dir.join("seeds.json");
    write_json(&path, &summary)?;
    print(json, &summary.into(), || {
        format!("{}\n\nnumbers     {}", lines.join("\n"), path.display())
    })
}

/// Puts the finished model into place, scores it on the test file, and says what it came to.
pub(super) fn finish(
    config: &FinetuneConfig,
    outcome: &Outcome,
    best: MetricInfo,
    test: Option<&Path>,
    json: bool,
) -> Result<()> {
    let run_dir = &config.run_dir;
    let shown = run_dir.display();
    let mut value = outcome.to_json();
    value.insert("run_dir".into(), json!(run_dir));
    value.insert("seed".into(), json!(config.seed));
    if outcome.ending == Ending::Interrupted {
        let mut text = format!("\nStopped after step {}.\n", outcome.step);
        if let Some(checkpoint) = &outcome.checkpoint {
            text += &format!("checkpoint  {}\n", checkpoint.display());
        }
        text += "go on       the same command with --resume";
        return print(json, &value.into(), || text);
    }
    // The best model where one was chosen by name or by stopping early; else the last.
    let chosen = config.training.best_metric.is_some()
        || config.training.early_stopping_evaluations.is_some();
    let model = run_dir.join("model");
    let from = match (&outcome.checkpoint, chosen && outcome.best.is_some()) {
        (_, true) => Some(run_dir.join("best")),
        (checkpoint, false) => checkpoint.clone(),
    };
    if let Some(from) = &from {
        publish(from, &model)?;
    }
    let mut results = Map::new();
    let mut text = match outcome.ending {
        Ending::EarlyStopped => format!("\nStopped early, after step {}.\n", outcome.step),
        _ => format!("\nTrained {} steps.\n", outcome.step),
    };
    // Those of the model that is put into place.
    let (valid, which) = match chosen {
        true => (&outcome.best, "best"),
        false => (&outcome.valid, "last"),
    };
    if let Some(valid) = valid {
        let report = Report {
            values: valid.values.clone(),
            details: Map::new(),
        };
        results.insert("valid".into(), report.metrics().into());
        text += &format!(
            "\nheld-out rows, {which} evaluation\n{}\n",
            readable(&report)
        );
    }
    let path = run_dir.join(RESULTS);
    write_json(&path, &results)?;
    if let Some(test) = test {
        let opened = FineTuned::open(&model)?;
        let batch_tokens = config.training.batch_tokens;
        let policy = config.data.bad_rows;
        let report = evaluate_file(&opened, test, &config.backend, batch_tokens, policy)?;
        text += &format!("\ntest rows\n{}\n", readable(&report));
        results.insert("test".into(), report.metrics().into());
        results.insert("test_details".into(), report.details.into());
    }
    write_json(&path, &results)?;
    text += &format!("\nmodel       {shown}/model   (transformers: from_pretrained)\n");
    value.insert("model".into(), json!(model));
    if outcome.best.is_some() {
        text += &format!("best        {shown}/best    (by {})\n", best.name);
        value.insert("best".into(), json!(run_dir.join("best")));
    }
    value.extend(results);
    text += &format!(
        "numbers     {shown}/metrics.jsonl, {shown}/{RESULTS}\n\n\
         Try it:\n  cargo run --release -p bert-finetune -- predict --model {shown}/model --input -"
    );
    print(json, &value.into(), || text)
}
