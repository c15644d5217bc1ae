//! The training on its backend: model, optimizer, batches and schedule, handed to the loop.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use bert_core::backend::Job;
use bert_core::config::BertConfig;
use bert_core::error::Result;
use bert_core::ops::BertAutodiffBackend;
use bert_core::optim::{BertOptimizer, Schedule};
use bert_core::tell;
use bert_core::train::checkpoint::{self, publish};
use bert_core::train::{
    BatchLoader, Cadence, Dashboard, Ending, LoopConfig, Outcome, Recipe, RunDirectory,
    RunSettings, check_memory,
};
use bert_core::weights::{Head, Part, load_weights, save_model};
use serde_json::json;

use crate::config::{ModelSource, Pairs, PretrainConfig};
use crate::corpus::{Documents, Prepared};
use crate::examples::{BatchStream, Cursor, Vocabulary};
use crate::run::held_out::held_out;
use crate::run::model::architecture;
use crate::task::{LOSS, Pretraining, PretrainingBatch, evaluation, metric_infos};

/// More random pairs than this is said: half are meant to be.
const RANDOM_PAIRS: f64 = 0.9;

/// More of the text being cut away is said: with sentences of ordinary lengths it is a tenth.
const CUT_SHARE: f64 = 0.3;

/// A training, ready but for the backend.
pub(super) struct TrainJob<'a> {
    pub(super) config: &'a PretrainConfig,
    pub(super) run: &'a RunDirectory,
    pub(super) recipe: Recipe,
    pub(super) prepared: Prepared,
    pub(super) model_config: BertConfig,
    pub(super) dashboard: Dashboard,
}

impl Job for TrainJob<'_> {
    /// And the class of transformers that the model is.
    type Output = (Outcome, &'static str);

    fn run<B: BertAutodiffBackend>(self, device: B::Device) -> Result<Self::Output> {
        let config = self.config;
        let training = &config.training;
        check_memory(
            &config.backend,
            &self.model_config,
            training.batch_tokens,
            0,
        )?;
        let (model, untrained) = self.model::<B>(&device)?;
        let optimizer =
            BertOptimizer::<B>::new(config.optimizer.clone(), training.max_gradient_norm);
        let checkpoint = self.run.checkpoint();
        let (start, cursor) = checkpoint::start(checkpoint, &optimizer, &device)?;
        let vocabulary = Arc::new(Vocabulary::of(&self.prepared.tokenizer)?);
        let (valid, unigram_loss) = held_out(config, &self.prepared, &vocabulary)?;
        let train = train_loader(config, &self.prepared, vocabulary, cursor)?;
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
                held_out: held_out_examples(config, &self.recipe.data),
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

impl TrainJob<'_> {
    /// The model to train: that of the checkpoint, of the directory to go on from, or a new one; and which of its parts will
    /// have seen no training.
    fn model<B: BertAutodiffBackend>(
        &self,
        device: &B::Device,
    ) -> Result<(Pretraining<B>, BTreeSet<Part>)> {
        let config = self.config;
        let mut model = Pretraining::<B>::new(&self.model_config, config.seed, device);
        let mut untrained = untrained_parts(config.examples.pairs);
        let loaded;
        match (self.run.checkpoint(), &config.model) {
            (Some(checkpoint), _) => {
                (model.model, loaded) = load_weights(checkpoint, model.model, device)?;
                for part in Part::OF_PRETRAINING {
                    if !untrained.contains(&part) {
                        loaded.require(part, checkpoint)?;
                    }
                }
            }
            (None, ModelSource::Directory(path)) => {
                (model.model, loaded) = load_weights(path, model.model, device)?;
                tell!("weights    {}", path.display());
                for remark in loaded.remarks() {
                    log::warn!("{}: {remark}", path.display());
                    tell!("           {remark}");
                }
            }
            (None, ModelSource::Sizes(_)) => return Ok((model, untrained)),
        }
        untrained.retain(|part| loaded.absent.contains(part));
        Ok((model, untrained))
    }
}

/// What decides the held-out examples: losses on others do not compare.
fn held_out_examples(config: &PretrainConfig, data: &str) -> String {
    let examples = &config.examples;
    json!({
        "data": data,
        "max_seq_length": examples.max_seq_length,
        "pairs": examples.pairs,
        "evaluate_tokens": config.training.evaluate_tokens,
    })
    .to_string()
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
    cursor: Cursor,
) -> Result<BatchLoader<PretrainingBatch>> {
    let mut stream = BatchStream::new(
        Arc::new(prepared.corpus.train.clone()),
        &config.examples,
        vocabulary,
        config.seed,
        config.training.batch_tokens,
    )?;
    let (training, batches) = (&config.training, stream.batches_an_epoch());
    let items = training.steps as usize * training.accumulation;
    tell!(
        "training   {} steps, some {:.1} passes over the corpus",
        training.steps,
        items as f64 / batches as f64
    );
    for problem in remarks(&stream) {
        log::warn!("{problem}");
        tell!("examples   {problem}");
    }
    if !stream.go_to(cursor) {
        // Only where changes were accepted.
        tell!("           its place in the corpus is not there any more: the next epoch begins");
    }
    Ok(BatchLoader::new(items, move || {
        let mut stream = stream.clone();
        Box::new(std::iter::repeat_with(move || {
            let (examples, _) = stream.next_batch();
            PretrainingBatch::new(&examples, stream.cursor())
        }))
    }))
}

/// What a user should know of the examples, a sentence each.
fn remarks(stream: &BatchStream<Documents>) -> Vec<String> {
    let mut remarks = Vec::new();
    if let Some(share) = stream.random_pairs().filter(|share| *share > RANDOM_PAIRS) {
        remarks.push(format!(
            "{:.0} % of pairs have a random second sentence, so that there is little to tell apart: a text that fills \
             examples.max_seq_length by itself has no next one (corpus.sentences \"split\" cuts lines into sentences)",
            100.0 * share
        ));
    }
    let share = stream.cut_share();
    if share > CUT_SHARE {
        remarks.push(format!(
            "{:.0} % of the text is cut away: a pair of such long sentences has no room in examples.max_seq_length \
             (corpus.sentences \"split\" cuts lines into sentences, examples.pairs \"none\" uses all of a text)",
            100.0 * share
        ));
    }
    remarks
}
