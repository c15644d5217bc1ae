//! `train` and `evaluate`.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use bert_core::backend::Job;
use bert_core::command::{ResumeArgs, log_to_run, remark_on};
use bert_core::config::BertConfig;
use bert_core::error::{Error, Result};
use bert_core::ops::BertAutodiffBackend;
use bert_core::optim::{BertOptimizer, Schedule};
use bert_core::tell;
use bert_core::tokenizer::BertTokenizer;
use bert_core::train::checkpoint::{self, Position, publish};
use bert_core::train::{
    BatchLoader, Cadence, Dashboard, Ending, LoopConfig, Outcome, Recipe, RunDirectory,
    RunSettings, StepMetrics, TaskBatch, check_memory,
};
use bert_core::weights::{Checkpoint, Head, Part, load_weights, read_config, save_model};
use burn_train::InferenceStep;
use serde_json::{Map, Value, json};

use super::model::{architecture, load};
use super::{data, held_out, on, print, say, usage, vocabulary};
use crate::config::{CorpusConfig, ModelSource, Pairs, PretrainConfig, TokenizerConfig};
use crate::corpus::{Prepared, Settings};
use crate::examples::{BatchStream, Cursor, Vocabulary};
use crate::task::{LOSS, Pretraining, PretrainingBatch, evaluation, metric_infos};

/// Keys that may change from one start of a run to the next: they change none of its weights.
const FREE_KEYS: [&str; 7] = [
    "run_dir",
    "cache_dir",
    "backend.device",
    "training.log_every_steps",
    "training.evaluate_every_steps",
    "training.checkpoint_every_steps",
    "training.keep_checkpoints",
];

/// More random pairs than this is said: half are meant to be.
const RANDOM_PAIRS: f64 = 0.9;

/// More unknown tokens than this is said: of a vocabulary made for the text hardly any are.
const UNKNOWN_TOKENS: f64 = 0.05;

pub(super) fn train(
    config: &PretrainConfig,
    resume: ResumeArgs,
    dashboard: Dashboard,
    log_level: log::LevelFilter,
) -> Result<()> {
    // Refused before the corpus is prepared, not after.
    let dashboard = dashboard.resolve()?;
    let run = resume.open(&config.run_dir)?;
    let changes = run.changed_keys(config, &FREE_KEYS)?;
    resume.check(&run, &changes)?;
    if let (ModelSource::Directory(path), None) = (&config.model, run.checkpoint()) {
        // Found wanting before the corpus is prepared, not after.
        read_config(path)?;
        Checkpoint::open(path)?;
    }
    log_to_run(&config.run_dir, log_level)?;

    let mut settings = Settings::from(config);
    let own_tokenizer;
    if let Some(checkpoint) = run.checkpoint() {
        own_tokenizer = tokenizer_of(checkpoint, config, &changes)?;
        settings.tokenizer = &own_tokenizer;
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
    let model_config = model_config(config, &prepared.tokenizer)?;
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
    let (outcome, architecture) = on(&config.backend, job)?;
    say(report(config, &outcome, architecture))
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

/// The sizes of the model, with the tokenizer's vocabulary.
fn model_config(config: &PretrainConfig, tokenizer: &BertTokenizer) -> Result<BertConfig> {
    let vocabulary = tokenizer.vocab_size();
    let mut sizes = match &config.model {
        ModelSource::Sizes(sizes) => sizes.clone(),
        ModelSource::Directory(path) => read_config(path)?,
    };
    if sizes.vocab_size == 0 {
        sizes.vocab_size = vocabulary;
    }
    tokenizer.check_fits(sizes.vocab_size)?;
    if sizes.type_vocab_size < 2 && config.examples.pairs != Pairs::None {
        return Err(usage(
            "the model has one token type only, pairs of sentences take two",
            "set examples.pairs to \"none\"",
        ));
    }
    if sizes.max_position_embeddings < config.examples.max_seq_length {
        return Err(usage(
            format!(
                "examples.max_seq_length {} is beyond the model's {} positions",
                config.examples.max_seq_length, sizes.max_position_embeddings
            ),
            "lower examples.max_seq_length",
        ));
    }
    Ok(sizes)
}

struct TrainJob<'a> {
    config: &'a PretrainConfig,
    run: &'a RunDirectory,
    recipe: Recipe,
    prepared: Prepared,
    model_config: BertConfig,
    dashboard: Dashboard,
}

impl Job for TrainJob<'_> {
    /// And the class of transformers that the model is.
    type Output = (Outcome, &'static str);

    fn run<B: BertAutodiffBackend>(self, device: B::Device) -> Result<Self::Output> {
        let config = self.config;
        let training = &config.training;
        check_memory(&config.backend, &self.model_config, training.batch_tokens)?;
        let mut model = Pretraining::<B>::new(&self.model_config, config.seed, &device);
        let mut untrained = untrained_parts(config.examples.pairs);
        match (self.run.checkpoint(), &config.model) {
            (Some(checkpoint), _) => {
                let loaded;
                (model.model, loaded) = load_weights(checkpoint, model.model, &device)?;
                for part in Part::OF_PRETRAINING {
                    if !untrained.contains(&part) {
                        loaded.require(part, checkpoint)?;
                    }
                }
                untrained.retain(|part| loaded.absent.contains(part));
            }
            (None, ModelSource::Directory(path)) => {
                let loaded;
                (model.model, loaded) = load_weights(path, model.model, &device)?;
                tell!("weights    {}", path.display());
                for remark in loaded.remarks() {
                    log::warn!("{}: {remark}", path.display());
                    tell!("           {remark}");
                }
                untrained.retain(|part| loaded.absent.contains(part));
            }
            (None, ModelSource::Sizes(_)) => {}
        }
        let optimizer =
            BertOptimizer::<B>::new(config.optimizer.clone(), training.max_gradient_norm);
        let checkpoint = self.run.checkpoint();
        let first = json!(Cursor::default());
        let start = checkpoint::start(checkpoint, first, &optimizer, &device)?;
        let vocabulary = Arc::new(vocabulary(&self.prepared.tokenizer)?);
        let (valid, unigram_loss) = held_out(config, &self.prepared, &vocabulary)?;
        let train = train_loader(config, &self.prepared, vocabulary, &start)?;
        let valid_batches = valid.len();
        let valid = BatchLoader::new(valid_batches, move || Box::new(valid.clone().into_iter()));

        let peak = config.optimizer.adam().learning_rate;
        let schedule = Schedule::new(config.schedule.clone(), peak, training.steps, start.step);
        let (model_config, tokenizer) = (self.model_config, self.prepared.tokenizer);
        let architecture = architecture(&untrained);
        let settings = RunSettings {
            run_dir: config.run_dir.clone(),
            config: LoopConfig {
                steps: training.steps,
                accumulation: training.accumulation,
                log_every_steps: training.log_every_steps,
                evaluate: Cadence::Every(training.evaluate_every_steps),
                checkpoint: Cadence::Every(training.checkpoint_every_steps),
                best: LOSS,
                early_stopping_evaluations: None,
                non_finite: training.non_finite,
                seed: config.seed,
            },
            schedule,
            start,
            start_checkpoint: checkpoint.map(Path::to_path_buf),
            recipe: self.recipe,
            keep_checkpoints: training.keep_checkpoints,
            dashboard: self.dashboard,
            save_model: Arc::new(move |model: &Pretraining<B>, directory| {
                save_model(
                    directory,
                    &model.model,
                    &model_config,
                    &Head::new(architecture),
                    &untrained,
                )?;
                tokenizer.save(directory, Some(model_config.max_position_embeddings))
            }),
            metrics: metric_infos(),
            evaluation: Arc::new(move |batches| {
                let mut metrics = evaluation(batches);
                if !metrics.values.is_empty() {
                    let loss = unigram_loss.map(|loss| ("mlm_unigram_loss", loss));
                    metrics.values.extend(loss);
                }
                metrics
            }),
        };
        let outcome = bert_core::train::train(model, optimizer, train, valid, settings)?;
        if let (Ending::Done, Some(checkpoint)) = (outcome.ending, &outcome.checkpoint) {
            publish(checkpoint, &config.run_dir.join("model"))?;
        }
        Ok((outcome, architecture))
    }
}

/// What the objective does not train. Unless it came trained, a model directory does without it: nobody should take
/// initial values for answers.
fn untrained_parts(pairs: Pairs) -> BTreeSet<Part> {
    match pairs {
        Pairs::Nsp | Pairs::Sop => BTreeSet::new(),
        Pairs::None => BTreeSet::from([Part::Pooler, Part::NextSentenceHead]),
    }
}

fn train_loader(
    config: &PretrainConfig,
    prepared: &Prepared,
    vocabulary: Arc<Vocabulary>,
    start: &Position,
) -> Result<BatchLoader<PretrainingBatch>> {
    let cursor: Cursor =
        serde_json::from_value(start.resume.clone()).map_err(|error| Error::Weights {
            path: config.run_dir.clone(),
            problem: format!("the checkpoint's position cannot be read ({error})"),
            help: "start the run anew in another run_dir".into(),
        })?;
    let mut stream = BatchStream::new(
        Arc::new(prepared.corpus.train.clone()),
        &config.examples,
        vocabulary,
        config.seed,
        config.training.batch_tokens,
    )?;
    if !stream.go_to(cursor) {
        // Only where changes were accepted.
        tell!("           its place in the corpus is not there any more: the next epoch begins");
    }
    if let Some(share) = stream.random_pairs().filter(|share| *share > RANDOM_PAIRS) {
        let problem = format!(
            "{:.0} % of pairs have a random second sentence, so that there is little to tell apart: a text that fills \
             examples.max_seq_length by itself has no next one (corpus.sentences \"split\" cuts lines into sentences)",
            100.0 * share
        );
        log::warn!("{problem}");
        tell!("examples   {problem}");
    }
    let items = config.training.steps as usize * config.training.accumulation;
    Ok(BatchLoader::new(items, move || {
        let mut stream = stream.clone();
        Box::new(std::iter::repeat_with(move || {
            let (examples, _) = stream.next_batch();
            PretrainingBatch::new(&examples, stream.cursor())
        }))
    }))
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
    if outcome.valid.is_some() {
        text += &format!("best        {run_dir}/best    (by held-out loss)\n");
    }
    text + &format!(
        "numbers     {run_dir}/metrics.jsonl\n\
         \n\
         Try it:\n  {command} fill-mask --model {run_dir}/model \"{mask}\""
    )
}

pub(super) fn evaluate(model: &Path, config: &PretrainConfig, json: bool) -> Result<()> {
    let mut config = config.clone();
    config.model = ModelSource::Directory(model.to_path_buf());
    config.tokenizer = TokenizerConfig::Load {
        path: model.to_path_buf(),
    };
    let prepared = crate::corpus::prepare(Settings::from(&config))?;
    let sizes = model_config(&config, &prepared.tokenizer)?;
    let vocabulary = vocabulary(&prepared.tokenizer)?;
    let (batches, unigram_loss) = held_out(&config, &prepared, &vocabulary)?;
    if batches.is_empty() {
        return Err(usage(
            "nothing is held out to evaluate on",
            "set examples.valid_fraction above 0",
        ));
    }
    let job = EvaluateJob {
        model,
        sizes,
        needed: match config.examples.pairs {
            Pairs::None => &[Part::MaskedLmHead],
            Pairs::Nsp | Pairs::Sop => &Part::OF_PRETRAINING,
        },
        batches,
    };
    let mut metrics = on(&config.backend, job)?;
    metrics
        .values
        .extend(unigram_loss.map(|loss| ("mlm_unigram_loss", loss)));
    let values: Map<String, Value> = metrics
        .values
        .iter()
        .map(|(name, value)| (name.to_string(), json!(value)))
        .collect();
    print(json, &Value::Object(values), || {
        let lines = metrics.values.iter();
        let lines = lines.map(|(name, value)| format!("{name:<18} {value:>9.4}"));
        lines.collect::<Vec<_>>().join("\n")
    })
}

struct EvaluateJob<'a> {
    model: &'a Path,
    sizes: BertConfig,
    needed: &'a [Part],
    batches: Vec<PretrainingBatch>,
}

impl Job for EvaluateJob<'_> {
    type Output = StepMetrics;

    fn run<B: BertAutodiffBackend>(self, device: B::Device) -> Result<StepMetrics> {
        let model = Pretraining {
            model: load::<B>(self.model, &self.sizes, self.needed, &device)?,
        };
        let mut evaluated = self.batches.into_iter().map(|mut batch| {
            PretrainingBatch::join(std::slice::from_mut(&mut batch), 0);
            let statistics = model.step(batch.clone()).into_statistics();
            (batch, statistics)
        });
        Ok(evaluation(&mut evaluated))
    }
}
