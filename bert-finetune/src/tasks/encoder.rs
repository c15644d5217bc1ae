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
    vocabulary: usize,
    token_types: usize,
    positions: usize,
    truncated: AtomicUsize,
}

impl Encoder {
    /// For a model; `max_tokens` is at most its number of positions.
    pub fn new(tokenizer: BertTokenizer, config: &BertConfig, max_tokens: usize) -> Self {
        Self {
            tokenizer,
            max_tokens: max_tokens.min(config.max_position_embeddings),
            vocabulary: config.vocab_size,
            token_types: config.type_vocab_size,
            positions: config.max_position_embeddings,
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
                self.check(sequence, origin)?;
                Ok(sequence.clone())
            }
            Input::Text(text, pair) => self.text(text, pair.as_deref(), origin),
        }
    }

    fn text(&self, text: &str, pair: Option<&str>, origin: &Origin) -> Result<Sequence> {
        if pair.is_some() && self.token_types < 2 {
            let help = "start from a model that was trained on pairs";
            return Err(origin.error("the model has one token type only, a pair takes two", help));
        }
        let mut encoding = self.tokenizer.encode(text, pair)?;
        if encoding.input_ids.len() > self.max_tokens {
            self.count_truncated();
            encoding = self
                .tokenizer
                .encode_truncated(text, pair, self.max_tokens)?;
        }
        Ok(sequence_of(&encoding))
    }

    fn check(&self, sequence: &Sequence, origin: &Origin) -> Result<()> {
        let help = "ids are taken as they are, special tokens included";
        let (tokens, most) = (sequence.input_ids.len(), self.positions);
        if tokens > most {
            let problem = format!("{tokens} input_ids are more than the model's {most} positions");
            return Err(origin.error(problem, help));
        }
        let beyond = |id: &&u32| **id as usize >= self.vocabulary;
        if let Some(id) = sequence.input_ids.iter().find(beyond) {
            let vocabulary = self.vocabulary;
            let problem = format!("id {id} is beyond the vocabulary of {vocabulary}");
            return Err(origin.error(problem, help));
        }
        let beyond = |id: &&u8| usize::from(**id) >= self.token_types;
        if let Some(id) = sequence.token_type_ids.iter().find(beyond) {
            let problem = format!(
                "token type {id} is not below the model's {}",
                self.token_types
            );
            return Err(origin.error(problem, help));
        }
        Ok(())
    }
}

/// The part of an encoding that the model takes.
pub fn sequence_of(encoding: &Encoding) -> Sequence {
    Sequence {
        input_ids: encoding.input_ids.clone(),
        token_type_ids: encoding.token_type_ids.clone(),
    }
}
