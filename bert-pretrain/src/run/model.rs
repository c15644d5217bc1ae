//! A model directory as the commands use one.

use std::collections::BTreeSet;
use std::path::Path;

use bert_core::command::usage;
use bert_core::config::BertConfig;
use bert_core::error::Result;
use bert_core::model::BertForPreTraining;
use bert_core::ops::BertAutodiffBackend;
use bert_core::tell;
use bert_core::tokenizer::{BertTokenizer, Encoding};
use bert_core::weights::{ModelDirectory, Part, load_weights, read_config};

use crate::config::{ModelSource, Pairs, PretrainConfig};

/// The sizes of a configuration's model, as far as it gives them: the vocabulary may be 0, which stands for the tokenizer's.
pub(super) fn given_sizes(config: &PretrainConfig) -> Result<BertConfig> {
    match &config.model {
        ModelSource::Sizes(sizes) => Ok(sizes.clone()),
        ModelSource::Directory(path) => read_config(path),
    }
}

/// The sizes of a configuration's model, which are these as far as it gives them, with the tokenizer's vocabulary.
pub(super) fn sizes(
    given: BertConfig,
    config: &PretrainConfig,
    tokenizer: &BertTokenizer,
) -> Result<BertConfig> {
    let vocabulary = tokenizer.vocab_size();
    let mut sizes = given;
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

/// Says so where a model to go on from was trained with other tokens: a few may be meant, as where unused ones were given
/// a meaning, many are not.
pub(super) fn tell_of_other_tokens(config: &PretrainConfig, tokenizer: &BertTokenizer) {
    let ModelSource::Directory(path) = &config.model else {
        return;
    };
    let Ok(own) = BertTokenizer::load(path) else {
        return; // a model needs none
    };
    let vocabulary = tokenizer.vocab_size();
    let ids = 0..vocabulary.min(own.vocab_size()) as u32;
    let others = ids.filter(|&id| tokenizer.token(id) != own.token(id));
    match others.count() {
        0 => {}
        others => tell!(
            "{others} of {vocabulary} tokens are others than those that the weights in {} were trained with",
            path.display()
        ),
    }
}

/// A text or a pair as a model takes it; one that is too long is refused.
pub(super) fn encode(
    ModelDirectory {
        config, tokenizer, ..
    }: &ModelDirectory,
    text: &str,
    pair: Option<&str>,
) -> Result<Encoding> {
    if pair.is_some() && config.type_vocab_size < 2 {
        return Err(usage(
            "the model has one token type only, a pair takes two",
            "give a model that was trained on pairs",
        ));
    }
    let encoding = tokenizer.encode(text, pair)?;
    let (tokens, most) = (encoding.input_ids.len(), config.max_position_embeddings);
    if tokens > most {
        return Err(usage(
            format!("a text of {tokens} tokens is longer than the model's {most} positions"),
            "shorten it",
        ));
    }
    Ok(encoding)
}

/// The model of a directory for inference. Parts that are not needed may be absent.
pub(super) fn load<B: BertAutodiffBackend>(
    path: &Path,
    config: &BertConfig,
    needed: &[Part],
    device: &B::Device,
) -> Result<BertForPreTraining<B::InnerBackend>> {
    let model = BertForPreTraining::<B::InnerBackend>::new(config, 0, device);
    let (model, loaded) = load_weights(path, model, device)?;
    for part in needed {
        loaded.require(*part, path)?;
    }
    Ok(model)
}

/// The class of transformers that has the parts of pre-training that are there, and none that is not.
pub(super) fn architecture(absent: &BTreeSet<Part>) -> &'static str {
    let has = |part| !absent.contains(&part);
    match (has(Part::MaskedLmHead), has(Part::NextSentenceHead)) {
        (true, true) => "BertForPreTraining",
        (true, false) => "BertForMaskedLM",
        (false, true) => "BertForNextSentencePrediction",
        (false, false) => "BertModel",
    }
}
