//! `evaluate`: the losses and accuracies of a model on the held-out documents of a configuration.

use std::path::Path;

use bert_core::backend::{Job, run_on};
use bert_core::command::{print, usage};
use bert_core::config::BertConfig;
use bert_core::error::Result;
use bert_core::ops::BertAutodiffBackend;
use bert_core::tell;
use bert_core::tokenizer::BertTokenizer;
use bert_core::train::{StepMetrics, TaskBatch};
use bert_core::weights::Part;
use burn_train::InferenceStep;
use serde_json::{Map, Value, json};

use super::held_out::held_out;
use super::model::{given_sizes, load, sizes};
use crate::config::{ModelSource, Pairs, PretrainConfig, TokenizerConfig};
use crate::corpus::{DocumentStore, Prepared, Settings};
use crate::examples::Vocabulary;
use crate::task::{Pretraining, PretrainingBatch, evaluation};

pub(super) fn evaluate(model: &Path, config: &PretrainConfig, json: bool) -> Result<()> {
    let mut config = config.clone();
    config.model = ModelSource::Directory(model.to_path_buf());
    config.tokenizer = TokenizerConfig::Load {
        path: model.to_path_buf(),
    };
    // Found not to fit before the corpus is prepared, not after.
    let sizes = sizes(given_sizes(&config)?, &config, &BertTokenizer::load(model)?)?;
    let prepared = crate::corpus::prepare(Settings::from(&config))?;
    let vocabulary = Vocabulary::of(&prepared.tokenizer)?;
    let (batches, unigram_loss) = held_out(&config, &prepared, &vocabulary)?;
    if batches.is_empty() {
        return Err(usage(
            "nothing is held out to evaluate on",
            "set examples.valid_fraction above 0",
        ));
    }
    tell!("{}", of_what(&batches, &prepared, &config));
    let job = EvaluateJob {
        model,
        sizes,
        needed: match config.examples.pairs {
            Pairs::None => &[Part::MaskedLmHead],
            Pairs::Nsp | Pairs::Sop => &Part::OF_PRETRAINING,
        },
        batches,
    };
    let mut metrics = run_on(&config.backend, job)?;
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

/// How much is evaluated, and whether that is all there is.
fn of_what(batches: &[PretrainingBatch], prepared: &Prepared, config: &PretrainConfig) -> String {
    let tokens: usize = batches.iter().map(PretrainingBatch::tokens).sum();
    let unknown = batches
        .iter()
        .flat_map(|batch| &batch.sequences().input_ids);
    let unknown = unknown.filter(|id| **id == prepared.tokenizer.special().unk);
    format!(
        "held out   {} documents; {tokens} tokens of them ({:.2} % unknown), training.evaluate_tokens {} at most",
        prepared.corpus.valid.documents(),
        100.0 * unknown.count() as f64 / tokens.max(1) as f64,
        config.training.evaluate_tokens
    )
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
