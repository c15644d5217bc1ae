//! `train`: a prepared corpus, then the training and what it came to.

mod job;

use std::path::Path;

use bert_core::backend::{check, run_on};
use bert_core::command::{LogArgs, ResumeArgs, print, remark_on, usage};
use bert_core::config::BertConfig;
use bert_core::error::Result;
use bert_core::tell;
use bert_core::tokenizer::BertTokenizer;
use bert_core::train::{Dashboard, Ending, Outcome, Recipe, RunDirectory, check_memory};
use bert_core::weights::{Checkpoint, read_config};
use serde_json::{Value, json};

use super::data;
use super::model::{given_sizes, sizes, tell_of_other_tokens};
use crate::config::{CorpusConfig, ModelSource, PretrainConfig, TokenizerConfig};
use crate::corpus::Settings;
use job::TrainJob;

/// Keys that may change from one start of a run to the next: they change neither its weights nor which are the best.
const FREE_KEYS: [&str; 6] = [
    "run_dir",
    "cache_dir",
    "backend.device",
    "training.log_every_steps",
    "training.checkpoint_every_steps",
    "training.keep_checkpoints",
];

/// More unknown tokens than this is said: of a vocabulary made for the text hardly any are.
const UNKNOWN_TOKENS: f64 = 0.05;

pub(super) fn train(
    config: &PretrainConfig,
    resume: ResumeArgs,
    dashboard: Dashboard,
    log: LogArgs,
    json: bool,
) -> Result<()> {
    // Refused before the corpus is prepared, not after.
    let dashboard = dashboard.resolve()?;
    check(&config.backend)?;
    let run = resume.open(&config.run_dir)?;
    run.check_config::<PretrainConfig>(&config.run_dir)?;
    let changes = run.changed_keys(config, &FREE_KEYS)?;
    resume.check(&run, &changes)?;
    // Found wanting before the corpus is prepared, not after.
    let known = known_sizes(config, &run)?;
    let backend = &config.backend;
    check_memory(backend, &known, config.training.batch_tokens, 0)?;
    if let (ModelSource::Directory(path), None) = (&config.model, run.checkpoint()) {
        Checkpoint::open(path)?;
    }
    log.to_run(&config.run_dir)?;

    let mut settings = Settings::from(config);
    let own_tokenizer;
    if let Some(checkpoint) = run.checkpoint() {
        own_tokenizer = tokenizer_of(checkpoint, config, &changes)?;
        settings.tokenizer = &own_tokenizer;
    }
    if let TokenizerConfig::Load { path } = settings.tokenizer {
        sizes(known.clone(), config, &BertTokenizer::load(path)?)?;
    }
    let prepared = crate::corpus::prepare(settings)?;
    tell!("{}", data::summary(&prepared));
    let statistics = &prepared.statistics;
    if statistics.unknown as f64 > UNKNOWN_TOKENS * statistics.tokens as f64 {
        let problem = "the tokenizer does not know many of the words: was it made for this language, and does \
                       do_lower_case of its tokenizer_config.json fit its vocabulary?";
        log::warn!("{problem}");
        tell!("           {problem}");
    }
    let model_config = sizes(known, config, &prepared.tokenizer)?;
    tell_of_other_tokens(config, &prepared.tokenizer);
    let recipe = Recipe::new(config, prepared.fingerprint.clone());
    resume.check(&run, &run.changed_data(&recipe.data)?)?;
    let job = TrainJob {
        config,
        run: &run,
        recipe,
        prepared,
        model_config,
        dashboard,
    };
    remark_on(&config.backend);
    let (outcome, architecture) = run_on(&config.backend, job)?;
    print(json, &value(config, &outcome), || {
        report(config, &outcome, architecture)
    })
}

/// The sizes of the model as far as they are known before its vocabulary is: on the way they are the checkpoint's, since the
/// directory that training began with may be gone, or hold another model now.
fn known_sizes(config: &PretrainConfig, run: &RunDirectory) -> Result<BertConfig> {
    match (run.checkpoint(), &config.model) {
        (Some(checkpoint), ModelSource::Directory(_)) => read_config(checkpoint),
        _ => given_sizes(config),
    }
}

/// The vocabulary that a checkpoint's weights are for. A corpus that has changed since would give another one, of the same
/// size and with other words.
fn tokenizer_of(
    checkpoint: &Path,
    config: &PretrainConfig,
    changes: &[String],
) -> Result<TokenizerConfig> {
    let own = TokenizerConfig::Load {
        path: checkpoint.to_path_buf(),
    };
    let other = match &config.tokenizer {
        TokenizerConfig::Train { .. } => changes
            .iter()
            .find(|change| change.starts_with("tokenizer."))
            .cloned(),
        // Its directory may be gone by now.
        TokenizerConfig::Load { path } if !path.exists() => None,
        TokenizerConfig::Load { path } => {
            let [own, named] = [checkpoint, path].map(BertTokenizer::load);
            (own?.fingerprint() != named?.fingerprint())
                .then(|| format!("{} has another vocabulary", path.display()))
        }
    };
    match other {
        None => Ok(own),
        Some(other) => Err(usage(
            format!(
                "{other}; the weights of {} are for its own",
                checkpoint.display()
            ),
            "undo that, or begin another run (--set run_dir=...)",
        )),
    }
}

/// What a run came to and where its model is, as JSON.
fn value(config: &PretrainConfig, outcome: &Outcome) -> Value {
    let mut value = outcome.to_json();
    if outcome.ending != Ending::Interrupted {
        value.insert("model".into(), json!(config.run_dir.join("model")));
        if let Some(valid) = &outcome.valid {
            value.insert("valid".into(), valid.to_json().into());
        }
        if outcome.best.is_some() {
            value.insert("best".into(), json!(config.run_dir.join("best")));
        }
    }
    value.into()
}

/// What a run came to, where its model is, and what to do next.
fn report(config: &PretrainConfig, outcome: &Outcome, architecture: &str) -> String {
    let run_dir = config.run_dir.display();
    if outcome.ending == Ending::Interrupted {
        let steps = config.training.steps;
        let mut text = format!("\nStopped after step {} of {steps}.\n", outcome.step);
        if let Some(checkpoint) = &outcome.checkpoint {
            text += &format!("checkpoint  {}\n", checkpoint.display());
        }
        return text + "go on       the same command with --resume";
    }
    let mut text = format!("\nTrained {} steps.\n", outcome.step);
    if let Some(valid) = &outcome.valid {
        text += "\nheld-out documents\n";
        for (name, value) in &valid.values {
            text += &format!("  {name:<18} {value:>9.4}\n");
        }
    }
    let command = "cargo run --release -p bert-pretrain --";
    let mask = match config.corpus {
        CorpusConfig::Sample { .. } => {
            "The striker headed the [MASK] into the net in the final minute."
        }
        _ => "This is a [MASK].",
    };
    text += &format!(
        "\nmodel       {run_dir}/model   (transformers: {architecture}.from_pretrained)\n"
    );
    if outcome.best.is_some() {
        text += &format!("best        {run_dir}/best    (by held-out loss)\n");
    }
    text + &format!(
        "numbers     {run_dir}/metrics.jsonl\n\
         \n\
         Try it:\n  {command} fill-mask --model {run_dir}/model \"{mask}\""
    )
}
