//! A BERT tokenizer as data: what its files say, brought to one form, and that form as `tokenizer.json`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::SpecialTokens;
use super::cache::is_cut;

/// The special tokens in the order a learnt vocabulary has them.
pub(super) const SPECIAL_TOKENS: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
/// What marks a piece that continues a word.
pub(super) const CONTINUATION: &str = "##";
/// A longer word is `[UNK]`, in characters (Hugging Face; google-research/bert has 200).
pub(super) const MAX_WORD_CHARACTERS: usize = 100;

/// Everything that decides the ids of a text.
#[derive(Debug, Clone)]
pub(super) struct Definition {
    /// Every token by id.
    pub(super) tokens: Vec<String>,
    /// How many of them, from the first on, WordPiece itself may use; the others are found as `added` tokens only.
    pub(super) model_tokens: usize,
    pub(super) normalizer: Normalizer,
    pub(super) max_input_chars_per_word: usize,
    /// Tokens found in the text before anything else, in the order of their ids.
    pub(super) added: Vec<AddedToken>,
}

/// What happens to characters before text is split: the keys of `BertNormalizer` in `tokenizer.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Normalizer {
    pub(super) clean_text: bool,
    pub(super) handle_chinese_chars: bool,
    /// Nothing: as `lowercase`.
    pub(super) strip_accents: Option<bool>,
    pub(super) lowercase: bool,
}

/// An entry of `added_tokens` in `tokenizer.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AddedToken {
    pub(super) id: u32,
    pub(super) content: String,
    #[serde(default)]
    pub(super) single_word: bool,
    #[serde(default)]
    pub(super) lstrip: bool,
    #[serde(default)]
    pub(super) rstrip: bool,
    #[serde(default)]
    pub(super) normalized: bool,
    #[serde(default)]
    pub(super) special: bool,
}

impl AddedToken {
    /// A special token as BERT has them: found as it is written, whatever stands around it.
    pub(super) fn special(id: u32, content: &str) -> Self {
        Self {
            id,
            content: content.into(),
            single_word: false,
            lstrip: false,
            rstrip: false,
            normalized: false,
            special: true,
        }
    }
}

impl Normalizer {
    /// BERT's own choice: cased models keep case and accents.
    pub(super) fn bert(lowercase: bool) -> Self {
        Self {
            clean_text: true,
            handle_chinese_chars: true,
            strip_accents: None,
            lowercase,
        }
    }
}

impl Definition {
    /// The special tokens, or the name of the first one that is missing.
    pub(super) fn special_tokens(&self) -> Result<SpecialTokens, &'static str> {
        let mut ids = [0; SPECIAL_TOKENS.len()];
        for (id, name) in ids.iter_mut().zip(SPECIAL_TOKENS) {
            let position = self.tokens.iter().rposition(|token| token == name);
            *id = position.ok_or(name)? as u32;
        }
        let [pad, unk, cls, sep, mask] = ids;
        Ok(SpecialTokens {
            pad,
            unk,
            cls,
            sep,
            mask,
        })
    }

    /// Whether a text gives the same ids when it is cut at white space: so unless an added token contains white
    /// space, or is sought in normalized text and not plain ASCII (an ideograph's normalized form has spaces in it).
    pub(super) fn may_cut_at_white_space(&self) -> bool {
        self.added.iter().all(|token| {
            !token.content.contains(is_cut) && (!token.normalized || token.content.is_ascii())
        })
    }

    /// The `tokenizer.json` that transformers writes for `BertTokenizerFast`.
    pub(super) fn to_json(&self, pretty: bool) -> String {
        // A token written twice in a vocabulary file has the later id, as in transformers.
        let vocab: Map<String, Value> = self.tokens[..self.model_tokens]
            .iter()
            .enumerate()
            .map(|(id, token)| (token.clone(), json!(id)))
            .collect();
        let special = |name: &str| json!({"SpecialToken": {"id": name, "type_id": 0}});
        let sequence = |id: &str, type_id: u32| json!({"Sequence": {"id": id, "type_id": type_id}});
        let ids = |name: &str| {
            let id = self.tokens.iter().rposition(|token| token == name);
            json!({"id": name, "ids": [id], "tokens": [name]})
        };
        let mut normalizer = json!({"type": "BertNormalizer"});
        merge(&mut normalizer, json!(self.normalizer));
        let value = json!({
            "version": "1.0",
            "truncation": null,
            "padding": null,
            "added_tokens": self.added,
            "normalizer": normalizer,
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": {
                "type": "TemplateProcessing",
                "single": [special("[CLS]"), sequence("A", 0), special("[SEP]")],
                "pair": [
                    special("[CLS]"),
                    sequence("A", 0),
                    special("[SEP]"),
                    sequence("B", 1),
                    {"SpecialToken": {"id": "[SEP]", "type_id": 1}},
                ],
                "special_tokens": {"[CLS]": ids("[CLS]"), "[SEP]": ids("[SEP]")},
            },
            "decoder": {"type": "WordPiece", "prefix": CONTINUATION, "cleanup": true},
            "model": {
                "type": "WordPiece",
                "unk_token": "[UNK]",
                "continuing_subword_prefix": CONTINUATION,
                "max_input_chars_per_word": self.max_input_chars_per_word,
                "vocab": vocab,
            },
        });
        let text = if pretty {
            serde_json::to_string_pretty(&value)
        } else {
            serde_json::to_string(&value)
        };
        text.expect("a JSON value has string keys only")
    }
}

/// Puts the entries of one JSON object into another.
fn merge(into: &mut Value, from: Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        into.extend(from);
    }
}
