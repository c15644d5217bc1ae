//! Texts and ids as sequences of the model.

use std::sync::atomic::{AtomicUsize, Ordering};

use bert_core::config::BertConfig;
use bert_core::error::Result;
use bert_core::tokenizer::{BertTokenizer, Encoding};

use super::row::{Input, Origin};
use crate::examples::Sequence;

/// Makes sequences that a model can take.
pub struct Encoder {
    /// The model's.
    pub tokenizer: BertTokenizer,
    /// The longest sequence.
    pub max_tokens: usize,
    config: BertConfig,
    truncated: AtomicUsize,
}

impl Encoder {
    /// For a model; `max_tokens` is at most its number of positions.
    pub fn new(tokenizer: BertTokenizer, config: &BertConfig, max_tokens: usize) -> Self {
        Self {
            tokenizer,
            max_tokens: max_tokens.min(config.max_position_embeddings),
            config: config.clone(),
            truncated: AtomicUsize::new(0),
        }
    }

    /// How many texts were cut so far.
    pub fn truncated(&self) -> usize {
        self.truncated.load(Ordering::Relaxed)
    }

    /// Counts a text that was cut elsewhere.
    pub fn count_truncated(&self) {
        self.truncated.fetch_add(1, Ordering::Relaxed);
    }

    /// The sequence of a text, a pair or ids. A text that is too long is cut, and counted; ids that are too many are refused.
    ///
    /// # Errors
    /// What is wrong with the row.
    pub fn sequence(&self, input: &Input, origin: &Origin) -> Result<Sequence> {
        match input {
            Input::Ids(sequence) => {
                let Sequence {
                    input_ids,
                    token_type_ids,
                } = sequence;
                let checked = self.config.check_sequence(input_ids, token_type_ids);
                let help = "ids are taken as they are, special tokens included";
                checked.map_err(|problem| origin.error(problem, help))?;
                Ok(sequence.clone())
            }
            Input::Text(text, pair) => self.text(text, pair.as_deref(), origin),
        }
    }

    /// Refuses the second text of a pair where the model has no token type for it.
    ///
    /// # Errors
    /// [`bert_core::error::Error::Data`] at the row.
    pub fn check_pairs(&self, origin: &Origin) -> Result<()> {
        if self.config.type_vocab_size >= 2 {
            return Ok(());
        }
        let problem = "the model has one token type only (type_vocab_size), a pair takes two";
        Err(origin.error(problem, "start from a model that was trained on pairs"))
    }

    /// The sequence of a text or a pair, cut and counted where it is too long.
    ///
    /// # Errors
    /// What is wrong with the row.
    pub fn text(&self, text: &str, pair: Option<&str>, origin: &Origin) -> Result<Sequence> {
        if pair.is_some() {
            self.check_pairs(origin)?;
        }
        let tokenizer = &self.tokenizer;
        let encoding = tokenizer.encode_truncated(text, pair, self.max_tokens)?;
        if encoding.truncated {
            self.count_truncated();
        }
        Ok(sequence_of(&encoding))
    }
}

/// The part of an encoding that the model takes.
pub fn sequence_of(encoding: &Encoding) -> Sequence {
    Sequence {
        input_ids: encoding.input_ids.clone(),
        token_type_ids: encoding.token_type_ids.clone(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::Path;

    use bert_core::config::from_value;
    use serde_json::json;

    use super::*;

    /// An encoder for a model of so many positions and token types.
    pub(in crate::tasks) fn encoder(positions: usize, token_types: usize) -> Encoder {
        let fixture = "../bert-core/tests/golden/tokenizers/uncased";
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join(fixture);
        let tokenizer = BertTokenizer::load(&fixture).unwrap();
        let sizes = json!({
            "vocab_size": tokenizer.vocab_size(), "hidden_size": 6, "num_hidden_layers": 1, "num_attention_heads": 1,
            "max_position_embeddings": positions, "type_vocab_size": token_types,
        });
        let config = from_value("test", sizes).unwrap();
        Encoder::new(tokenizer, &config, positions)
    }

    pub(in crate::tasks) fn origin() -> Origin {
        Origin {
            path: Path::new("f.jsonl").into(),
            line: Some(3),
            id: None,
        }
    }

    #[test]
    fn a_text_that_is_too_long_is_cut_and_counted_once() {
        let encoder = encoder(7, 2);
        for (text, tokens, truncated) in [("a b c d e", 7, 0), ("a b c d e f", 7, 1), ("a", 3, 1)] {
            let sequence = encoder.text(text, None, &origin()).unwrap();
            assert_eq!(sequence.input_ids.len(), tokens, "{text}");
            assert_eq!(encoder.truncated(), truncated, "{text}");
        }
    }

    #[test]
    fn a_pair_needs_two_token_types() {
        let encoder = encoder(9, 1);
        assert!(encoder.text("a", None, &origin()).is_ok());
        let error = encoder.text("a", Some("b"), &origin()).unwrap_err();
        assert!(error.to_string().contains("f.jsonl:3: "), "{error}");
        assert!(error.to_string().contains("type_vocab_size"), "{error}");
    }
}
