//! Tokenizers in files: `tokenizer.json`, `vocab.txt` and the two small JSON files beside them.

use std::fs;
use std::path::Path;

use ahash::AHashMap;
use serde_json::{Value, json};
use tokenizers::decoders::wordpiece::WordPiece as WordPieceDecoder;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::{AddedToken, ModelWrapper, NormalizerWrapper, Tokenizer};

use super::train::SPECIAL;
use super::{BertTokenizer, failed, unusable};
use crate::error::{Error, Result};
use crate::files::write_atomically;

/// BERT's normaliser: control characters out, spaces round ideographs; lower case without accents when uncased.
pub(super) fn normalizer(lowercase: bool) -> BertNormalizer {
    BertNormalizer::new(true, true, None, lowercase)
}

/// A whole tokenizer round a WordPiece model.
pub(super) fn assemble(
    model: WordPiece,
    vocabulary: &std::collections::HashMap<String, u32>,
    lowercase: bool,
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
        .with_normalizer(Some(normalizer(lowercase)))
        .map_err(failed("set the normaliser"))?;
    tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
    tokenizer.with_post_processor(Some(processor));
    tokenizer.with_decoder(Some(WordPieceDecoder::default()));
    let special = SPECIAL.map(|token| AddedToken::from(token, true));
    tokenizer
        .add_special_tokens(special)
        .map_err(failed("add the special tokens"))?;
    BertTokenizer::new(tokenizer, lowercase)
}

impl BertTokenizer {
    /// Reads a directory with `tokenizer.json` or `vocab.txt`, or one of those files. Padding and truncation that a
    /// `tokenizer.json` may have built in are taken out.
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
    pub fn save(&self, directory: &Path) -> Result<()> {
        let json = self
            .tokenizer
            .to_string(true)
            .map_err(failed("write tokenizer.json"))?;
        write_atomically(&directory.join("tokenizer.json"), json.as_bytes())?;
        let mut vocabulary = self.vocabulary.join("\n");
        vocabulary.push('\n');
        write_atomically(&directory.join("vocab.txt"), vocabulary.as_bytes())?;
        let special = json!({
            "unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]",
            "cls_token": "[CLS]", "mask_token": "[MASK]",
        });
        let mut config = special.clone();
        if let Value::Object(config) = &mut config {
            config.insert("tokenizer_class".into(), json!("BertTokenizer"));
            config.insert("do_lower_case".into(), json!(self.lowercase));
            config.insert("strip_accents".into(), Value::Null);
            config.insert("tokenize_chinese_chars".into(), json!(true));
        }
        for (name, value) in [
            ("special_tokens_map.json", special),
            ("tokenizer_config.json", config),
        ] {
            write_atomically(&directory.join(name), format!("{value:#}\n").as_bytes())?;
        }
        Ok(())
    }
}

fn read_json(path: &Path) -> Result<BertTokenizer> {
    let mut tokenizer = Tokenizer::from_file(path).map_err(failed("read tokenizer.json"))?;
    tokenizer
        .with_truncation(None)
        .map_err(failed("take out truncation"))?
        .with_padding(None);
    if !matches!(tokenizer.get_model(), ModelWrapper::WordPiece(_)) {
        return Err(unusable("its model is not WordPiece".into()));
    }
    let lowercase = match tokenizer.get_normalizer() {
        Some(NormalizerWrapper::BertNormalizer(normalizer)) => normalizer.lowercase,
        _ => return Err(unusable("its normaliser is not BertNormalizer".into())),
    };
    BertTokenizer::new(tokenizer, lowercase)
}

fn read_vocabulary(path: &Path) -> Result<BertTokenizer> {
    let text = fs::read_to_string(path).map_err(Error::io("read", path))?;
    let vocabulary: std::collections::HashMap<String, u32> = text
        .lines()
        .enumerate()
        .map(|(id, token)| (token.to_string(), id as u32))
        .collect();
    let config = path.with_file_name("tokenizer_config.json");
    let lowercase = if config.is_file() {
        let value = crate::config::read_value(&config)?;
        value.get("do_lower_case").and_then(Value::as_bool) != Some(false)
    } else {
        true // the default of Hugging Face's BertTokenizer
    };
    let model = WordPiece::builder()
        .vocab(vocabulary.clone().into_iter().collect::<AHashMap<_, _>>())
        .unk_token("[UNK]".to_string())
        .build()
        .map_err(failed("build the WordPiece model"))?;
    assemble(model, &vocabulary, lowercase)
}
