//! Tokenizers in files: `tokenizer.json`, `vocab.txt` and the two small JSON files beside them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use ahash::AHashMap;
use serde_json::{Value, json};
use tokenizers::decoders::wordpiece::WordPiece as WordPieceDecoder;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::{AddedToken, NormalizerWrapper, Tokenizer};

use super::json::{Added, TokenizerJson};
use super::train::SPECIAL;
use super::{BertTokenizer, failed, unusable};
use crate::error::{Error, Result};
use crate::files::{write_atomically, write_json};

/// BERT's normaliser: control characters out, spaces round ideographs; lower case without accents when uncased.
pub(super) fn normalizer(lowercase: bool) -> BertNormalizer {
    BertNormalizer::new(true, true, None, lowercase)
}

/// A whole tokenizer round a WordPiece model, with the special tokens and what else is `added`.
pub(super) fn assemble(
    model: WordPiece,
    vocabulary: &std::collections::HashMap<String, u32>,
    normalizer: BertNormalizer,
    added: Vec<AddedToken>,
) -> Result<BertTokenizer> {
    let id = |token: &str| {
        vocabulary
            .get(token)
            .copied()
            .ok_or_else(|| unusable(format!("the vocabulary lacks {token}")))
    };
    let processor = BertProcessing::new(
        ("[SEP]".to_string(), id("[SEP]")?),
        ("[CLS]".to_string(), id("[CLS]")?),
    );
    let mut tokenizer = Tokenizer::new(model);
    tokenizer
        .with_normalizer(Some(normalizer))
        .map_err(failed("set the normaliser"))?;
    tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
    tokenizer.with_post_processor(Some(processor));
    tokenizer.with_decoder(Some(WordPieceDecoder::default()));
    let is_added = |token: &str| added.iter().any(|added| added.content == token);
    let special = SPECIAL.iter().filter(|token| !is_added(token));
    let special = special.map(|token| AddedToken::from(*token, true));
    let mut all: Vec<AddedToken> = special.collect();
    all.extend(added);
    for run in all.chunk_by(|a, b| a.special == b.special) {
        let added = match run[0].special {
            true => tokenizer.add_special_tokens(run.to_vec()),
            false => tokenizer.add_tokens(run.to_vec()),
        };
        added.map_err(failed("add the special tokens"))?;
    }
    BertTokenizer::new(tokenizer)
}

impl BertTokenizer {
    /// Reads a directory with `tokenizer.json` or `vocab.txt`, or one of those files. Padding and truncation that a
    /// `tokenizer.json` may have built in are taken out, but for the side of the truncation. What a `tokenizer_config.json`
    /// beside it says about case, accents, ideographs and `truncation_side` counts, as in transformers; where it is silent
    /// the `tokenizer.json` does, or the defaults of uncased models.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Tokenizer`], or [`Error::Usage`] where it is not a BERT tokenizer.
    pub fn load(path: &Path) -> Result<Self> {
        let (json, plain) = (path.join("tokenizer.json"), path.join("vocab.txt"));
        if path.is_dir() && json.is_file() {
            return read_json(&json);
        }
        if path.is_dir() && plain.is_file() {
            return read_vocabulary(&plain);
        }
        if path.is_file() && path.extension().is_some_and(|extension| extension == "txt") {
            return read_vocabulary(path);
        }
        if path.is_file() {
            return read_json(path);
        }
        Err(Error::Usage {
            problem: format!("{} holds no tokenizer", path.display()),
            help: "name a tokenizer.json, a vocab.txt, or a directory with one of them".into(),
        })
    }

    /// Writes `tokenizer.json`, `vocab.txt`, `tokenizer_config.json` and `special_tokens_map.json`.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn save(&self, directory: &Path, max_tokens: Option<usize>) -> Result<()> {
        let json = self
            .tokenizer
            .to_string(true)
            .map_err(failed("write tokenizer.json"))?;
        write_atomically(&directory.join("tokenizer.json"), json.as_bytes())?;
        let mut vocabulary = self.vocabulary.join("\n");
        vocabulary.push('\n');
        write_atomically(&directory.join("vocab.txt"), vocabulary.as_bytes())?;
        let mut special = json!({
            "unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]",
            "cls_token": "[CLS]", "mask_token": "[MASK]",
        });
        let more = self.more_special_tokens();
        if !more.is_empty() {
            special["additional_special_tokens"] = json!(more);
        }
        let mut config = special.clone();
        if let Value::Object(config) = &mut config {
            config.insert("tokenizer_class".into(), json!("BertTokenizer"));
            let normalizer = self.normalizer;
            config.insert("do_lower_case".into(), json!(normalizer.lowercase));
            config.insert("strip_accents".into(), json!(normalizer.strip_accents));
            let ideographs = normalizer.handle_chinese_chars;
            config.insert("tokenize_chinese_chars".into(), json!(ideographs));
            if self.truncates_left {
                config.insert("truncation_side".into(), json!("left"));
            }
            if let Some(max_tokens) = max_tokens {
                config.insert("model_max_length".into(), json!(max_tokens));
            }
        }
        for (name, value) in [
            ("special_tokens_map.json", special),
            ("tokenizer_config.json", config),
        ] {
            write_json(&directory.join(name), &value)?;
        }
        Ok(())
    }

    /// The special tokens beyond the five, by id.
    fn more_special_tokens(&self) -> Vec<&str> {
        let added = self.tokenizer.get_added_tokens_decoder();
        let is_more =
            |token: &AddedToken| token.special && !SPECIAL.contains(&token.content.as_str());
        let ids: BTreeSet<u32> = added
            .iter()
            .filter(|(_, token)| is_more(token))
            .map(|(id, _)| *id)
            .collect();
        ids.into_iter().filter_map(|id| self.token(id)).collect()
    }
}

fn read_json(path: &Path) -> Result<BertTokenizer> {
    let text = fs::read_to_string(path).map_err(Error::io("read", path))?;
    let problem = |problem| unusable(format!("{}: {problem}", path.display()));
    let file = TokenizerJson::parse(&text).map_err(problem)?;
    let settings = settings_beside(path)?;
    let normalizer = with_settings(file.normalizer(), &settings);
    let truncates_left = truncates_left(&settings, path)?.unwrap_or(file.truncates_left());
    let ids = file.added_ids();
    let (model, vocabulary, added) = file.into_parts()?;
    let tokenizer = BertTokenizer {
        truncates_left,
        ..assemble(model, &vocabulary, normalizer, added)?
    };
    check_ids(
        &tokenizer,
        ids.iter().map(|(token, id)| (token.as_str(), *id)),
        path,
    )?;
    Ok(tokenizer)
}

/// The normaliser of a tokenizer, which must be BERT's.
pub(super) fn bert_normalizer(tokenizer: &Tokenizer) -> Result<BertNormalizer> {
    match tokenizer.get_normalizer() {
        Some(NormalizerWrapper::BertNormalizer(normalizer)) => Ok(*normalizer),
        _ => Err(unusable("its normaliser is not BertNormalizer".into())),
    }
}

/// The `tokenizer_config.json` beside a file; null where there is none.
fn settings_beside(path: &Path) -> Result<Value> {
    let config = path.with_file_name("tokenizer_config.json");
    match config.is_file() {
        true => crate::config::read_value(&config),
        false => Ok(Value::Null),
    }
}

/// The normaliser with what a `tokenizer_config.json` says.
fn with_settings(mut normalizer: BertNormalizer, settings: &Value) -> BertNormalizer {
    let setting = |key: &str| settings.get(key).and_then(Value::as_bool);
    if let Some(lowercase) = setting("do_lower_case") {
        normalizer.lowercase = lowercase;
    }
    if let Some(ideographs) = setting("tokenize_chinese_chars") {
        normalizer.handle_chinese_chars = ideographs;
    }
    if let Some(strip_accents) = setting("strip_accents") {
        normalizer.strip_accents = Some(strip_accents);
    }
    normalizer
}

/// Whether a `tokenizer_config.json` has texts cut at their beginning; `None` where it is silent.
fn truncates_left(settings: &Value, path: &Path) -> Result<Option<bool>> {
    match settings.get("truncation_side") {
        None | Some(Value::Null) => Ok(None),
        Some(side) if side == "left" => Ok(Some(true)),
        Some(side) if side == "right" => Ok(Some(false)),
        Some(side) => {
            let config = path.with_file_name("tokenizer_config.json");
            let problem = format!("truncation_side {side} is neither \"left\" nor \"right\"");
            Err(unusable(format!("{}: {problem}", config.display())))
        }
    }
}

fn read_vocabulary(path: &Path) -> Result<BertTokenizer> {
    let text = fs::read_to_string(path).map_err(Error::io("read", path))?;
    let vocabulary: std::collections::HashMap<String, u32> = text
        .lines()
        .enumerate()
        .map(|(id, token)| (token.to_string(), id as u32))
        .collect();
    // Lower case is the default of Hugging Face's BertTokenizer.
    let settings = settings_beside(path)?;
    let normalizer = with_settings(normalizer(true), &settings);
    let truncates_left = truncates_left(&settings, path)?.unwrap_or(false);
    let model = WordPiece::builder()
        .vocab(vocabulary.clone().into_iter().collect::<AHashMap<_, _>>())
        .unk_token("[UNK]".to_string())
        .build()
        .map_err(failed("build the WordPiece model"))?;
    let added = added_beside(path)?;
    let tokens = added.values().map(Added::token).collect();
    let tokenizer = BertTokenizer {
        truncates_left,
        ..assemble(model, &vocabulary, normalizer, tokens)?
    };
    check_ids(
        &tokenizer,
        added
            .iter()
            .map(|(id, token)| (token.content.as_str(), *id)),
        path,
    )?;
    Ok(tokenizer)
}

/// What `added_tokens.json` and `tokenizer_config.json` beside a `vocab.txt` add to it, by id, as older versions of
/// transformers write them.
fn added_beside(path: &Path) -> Result<BTreeMap<u32, Added>> {
    let mut all = BTreeMap::new();
    let unreadable =
        |file: &Path, problem: String| unusable(format!("{}: {problem}", file.display()));
    let file = path.with_file_name("added_tokens.json");
    if file.is_file() {
        let tokens: BTreeMap<String, u32> =
            serde_json::from_value(crate::config::read_value(&file)?)
                .map_err(|error| unreadable(&file, error.to_string()))?;
        let tokens = tokens.into_iter();
        all.extend(tokens.map(|(content, id)| (id, Added::plain(content))));
    }
    let file = path.with_file_name("tokenizer_config.json");
    if file.is_file()
        && let Some(tokens) = crate::config::read_value(&file)?.get("added_tokens_decoder")
    {
        let tokens: BTreeMap<u32, Added> = serde_json::from_value(tokens.clone())
            .map_err(|error| unreadable(&file, format!("added_tokens_decoder: {error}")))?;
        all.extend(tokens);
    }
    Ok(all)
}

/// Added tokens get the ids after the vocabulary's; where a file has others, its weights are for others.
fn check_ids<'a>(
    tokenizer: &BertTokenizer,
    added: impl IntoIterator<Item = (&'a str, u32)>,
    path: &Path,
) -> Result<()> {
    for (token, id) in added {
        if tokenizer.token(id) != Some(token) {
            let path = path.display();
            let problem = format!("{path}: its added token {token:?} cannot have id {id}");
            return Err(unusable(problem));
        }
    }
    Ok(())
}
