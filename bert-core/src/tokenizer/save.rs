//! Writing a tokenizer the way transformers does, so that `AutoTokenizer.from_pretrained` reads it.

use std::path::Path;

use serde_json::{Value, json};

use super::BertTokenizer;
use super::definition::SPECIAL_TOKENS;
use crate::error::Result;
use crate::files::write_atomically;

impl BertTokenizer {
    /// Writes `tokenizer.json`, `vocab.txt`, `tokenizer_config.json` and `special_tokens_map.json` into a directory.
    ///
    /// # Errors
    /// [`Error::Io`](crate::error::Error::Io).
    pub fn save(&self, directory: &Path) -> Result<()> {
        let definition = &self.shared.definition;
        let mut vocab = definition.tokens.join("\n");
        vocab.push('\n');
        // tokenizer.json comes last: it is what a reader looks for first.
        for (name, content) in [
            ("vocab.txt", vocab),
            ("special_tokens_map.json", pretty(&special_tokens_map())),
            ("tokenizer_config.json", pretty(&self.config())),
            ("tokenizer.json", definition.to_json(true)),
        ] {
            write_atomically(&directory.join(name), content.as_bytes())?;
        }
        Ok(())
    }

    fn config(&self) -> Value {
        let normalizer = self.shared.definition.normalizer;
        let mut config = json!({
            "tokenizer_class": "BertTokenizer",
            "do_lower_case": normalizer.lowercase,
            "strip_accents": normalizer.strip_accents,
            "tokenize_chinese_chars": normalizer.handle_chinese_chars,
            "clean_up_tokenization_spaces": true,
        });
        if let Value::Object(entries) = &mut config {
            if let Some(tokens) = self.model_max_length {
                entries.insert("model_max_length".into(), json!(tokens));
            }
            if let Value::Object(special) = special_tokens_map() {
                entries.extend(special);
            }
        }
        config
    }
}

fn special_tokens_map() -> Value {
    let keys = [
        "pad_token",
        "unk_token",
        "cls_token",
        "sep_token",
        "mask_token",
    ];
    keys.into_iter()
        .zip(SPECIAL_TOKENS)
        .map(|(key, token)| (key.to_string(), json!(token)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn pretty(value: &Value) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("a JSON value has string keys only");
    text.push('\n');
    text
}
