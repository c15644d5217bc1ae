//! `tokenizer.json`, as far as it describes a BERT tokenizer. The tokenizers library would read many kinds, and panics on
//! some damaged files; this reads one kind, and says why a file is not of it.

use std::collections::HashMap;

use ahash::AHashMap;
use serde::Deserialize;
use serde_json::Value;
use tokenizers::AddedToken;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;

use super::{LONGEST_CUT_WORD, failed};
use crate::error::Result;

/// Beyond this a word is `[UNK]` in any model there is, and finding its pieces takes time that grows with the square.
const LONGEST_WORD: usize = 1000;

/// The file.
#[derive(Debug, Deserialize)]
pub(super) struct TokenizerJson {
    #[serde(default)]
    truncation: Value,
    #[serde(default)]
    added_tokens: Vec<Listed>,
    normalizer: Typed<Normalizer>,
    pre_tokenizer: Typed<Value>,
    post_processor: Option<Typed<Value>>,
    model: Typed<Model>,
}

/// An object that says of what type it is.
#[derive(Debug, Deserialize)]
struct Typed<T> {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(flatten)]
    content: T,
}

#[derive(Debug, Deserialize)]
struct Listed {
    id: u32,
    #[serde(flatten)]
    token: Added,
}

/// A token that was added to a vocabulary.
#[derive(Debug, Deserialize)]
pub(super) struct Added {
    pub(super) content: String,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    normalized: Option<bool>,
    #[serde(default)]
    special: bool,
}

impl Added {
    /// One that is found as it stands in a text, like a word.
    pub(super) fn plain(content: String) -> Self {
        Self {
            content,
            single_word: false,
            lstrip: false,
            rstrip: false,
            normalized: None,
            special: false,
        }
    }

    /// As the library has it.
    pub(super) fn token(&self) -> AddedToken {
        let token = AddedToken::from(self.content.as_str(), self.special)
            .single_word(self.single_word)
            .lstrip(self.lstrip)
            .rstrip(self.rstrip);
        match self.normalized {
            Some(normalized) => token.normalized(normalized),
            None => token,
        }
    }
}

#[derive(Debug, Deserialize)]
struct Normalizer {
    #[serde(default = "yes")]
    clean_text: bool,
    #[serde(default = "yes")]
    handle_chinese_chars: bool,
    strip_accents: Option<bool>,
    #[serde(default = "yes")]
    lowercase: bool,
}

#[derive(Debug, Deserialize)]
struct Model {
    #[serde(default)]
    unk_token: Option<String>,
    #[serde(default)]
    continuing_subword_prefix: Option<String>,
    #[serde(default)]
    max_input_chars_per_word: Option<usize>,
    vocab: HashMap<String, u32>,
}

fn yes() -> bool {
    true
}

/// What a tokenizer is made of.
type Parts = (WordPiece, HashMap<String, u32>, Vec<AddedToken>);

impl TokenizerJson {
    /// # Errors
    /// A message where it is not JSON, or another kind of tokenizer.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let file: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let is = |what: &str, kind: &Option<String>, allowed: &[&str]| {
            let kind = kind.as_deref().unwrap_or(allowed[0]);
            match allowed.contains(&kind) {
                true => Ok(()),
                false => Err(format!("its {what} is {kind}, not {}", allowed[0])),
            }
        };
        is("model", &file.model.kind, &["WordPiece"])?;
        is("normaliser", &file.normalizer.kind, &["BertNormalizer"])?;
        is(
            "pre-tokenizer",
            &file.pre_tokenizer.kind,
            &["BertPreTokenizer"],
        )?;
        if let Some(processor) = &file.post_processor {
            is(
                "post-processor",
                &processor.kind,
                &["BertProcessing", "TemplateProcessing"],
            )?;
            let template = &processor.content;
            if processor.kind.as_deref() == Some("TemplateProcessing") {
                let pair = "[CLS]/0 A/0 [SEP]/0 B/1 [SEP]/1";
                let as_bert = pieces(&template["single"]) == "[CLS]/0 A/0 [SEP]/0"
                    && pieces(&template["pair"]) == pair;
                if !as_bert {
                    return Err(format!("its template is not {pair}"));
                }
            }
        }
        let model = &file.model.content;
        is("unknown token", &model.unk_token, &["[UNK]"])?;
        is(
            "prefix of pieces",
            &model.continuing_subword_prefix,
            &["##"],
        )?;
        match model.max_input_chars_per_word {
            Some(longest) if longest > LONGEST_WORD => Err(format!(
                "its max_input_chars_per_word {longest} is above {LONGEST_WORD}"
            )),
            _ => Ok(file),
        }
    }

    /// Whether the truncation that it has built in cuts the beginning.
    pub(super) fn truncates_left(&self) -> bool {
        self.truncation["direction"] == "Left"
    }

    pub(super) fn normalizer(&self) -> BertNormalizer {
        let settings = &self.normalizer.content;
        BertNormalizer::new(
            settings.clean_text,
            settings.handle_chinese_chars,
            settings.strip_accents,
            settings.lowercase,
        )
    }

    /// The added tokens with the ids that the file gives them.
    pub(super) fn added_ids(&self) -> Vec<(String, u32)> {
        let added = self.added_tokens.iter();
        added
            .map(|listed| (listed.token.content.clone(), listed.id))
            .collect()
    }

    /// The model, its vocabulary and the added tokens, in the order of their ids.
    ///
    /// # Errors
    /// What the library says of the model.
    pub(super) fn into_parts(mut self) -> Result<Parts> {
        let model = self.model.content;
        let vocabulary = model.vocab;
        let longest = model.max_input_chars_per_word.unwrap_or(LONGEST_CUT_WORD);
        let wordpiece = WordPiece::builder()
            .vocab(vocabulary.clone().into_iter().collect::<AHashMap<_, _>>())
            .unk_token("[UNK]".to_string())
            .max_input_chars_per_word(longest)
            .build()
            .map_err(failed("build the WordPiece model"))?;
        self.added_tokens.sort_by_key(|listed| listed.id);
        let added = self.added_tokens.iter().map(|listed| listed.token.token());
        Ok((wordpiece, vocabulary, added.collect()))
    }
}

/// A template in short: each piece and its token type.
fn pieces(template: &Value) -> String {
    let pieces = template.as_array().into_iter().flatten();
    let pieces = pieces.map(|piece| {
        let inner = piece.get("SpecialToken").or(piece.get("Sequence"));
        let part = |key: &str| inner.and_then(|inner| inner.get(key));
        let id = part("id").and_then(Value::as_str).unwrap_or("?");
        let kind = part("type_id").and_then(Value::as_u64);
        kind.map_or(format!("{id}/?"), |kind| format!("{id}/{kind}"))
    });
    pieces.collect::<Vec<_>>().join(" ")
}
