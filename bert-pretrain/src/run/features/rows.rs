//! The input of `features`: rows of texts or ids.

use bert_core::config::BertConfig;
use bert_core::data::packed::PackedSequences;
use bert_core::error::{Error, Result};
use bert_core::files::{Lines, open};
use bert_core::tokenizer::BertTokenizer;
use serde::Deserialize;

use crate::cli::FeaturesArgs;

/// The input, tokenized and checked.
pub(super) struct Rows {
    pub(super) all: PackedSequences,
    /// Texts that were cut.
    pub(super) truncated: usize,
}

#[derive(Deserialize)]
#[serde(expecting = "an object with `text` or `input_ids`")]
struct Row {
    text: Option<String>,
    text_pair: Option<String>,
    input_ids: Option<Vec<u32>>,
    token_type_ids: Option<Vec<u32>>,
}

impl Rows {
    /// Tokenizes and checks every row. Empty lines are no rows.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::Data`] with the line of the first row that cannot be.
    pub(super) fn read(args: &FeaturesArgs, config: &BertConfig) -> Result<Self> {
        let mut lines = Lines::new(&args.input, open(&args.input)?);
        let mut reader = Reader {
            args,
            config,
            tokenizer: None,
            rows: Self {
                all: PackedSequences::default(),
                truncated: 0,
            },
        };
        while let Some(line) = lines.read() {
            let number = lines.number();
            let line = lines.text(number, line?)?;
            if line.trim().is_empty() {
                continue;
            }
            reader.add(&line).map_err(|failure| match failure {
                Failure::Row(problem, help) => lines.error(number, problem, help),
                Failure::Other(error) => error,
            })?;
        }
        Ok(reader.rows)
    }
}

struct Reader<'a> {
    args: &'a FeaturesArgs,
    config: &'a BertConfig,
    /// Opened for the first text: rows of ids need none.
    tokenizer: Option<BertTokenizer>,
    rows: Rows,
}

/// What is wrong with a row, and what to do; or something else that failed.
enum Failure {
    Row(String, &'static str),
    Other(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl Reader<'_> {
    fn add(&mut self, line: &str) -> std::result::Result<(), Failure> {
        let row: Row = serde_json::from_str(line).map_err(|error| {
            let help = "give one object a line, {\"text\": …} or {\"input_ids\": […]}";
            Failure::Row(error.to_string(), help)
        })?;
        match row {
            Row {
                text: Some(text),
                text_pair,
                input_ids: None,
                token_type_ids: None,
            } => self.add_text(&text, text_pair.as_deref()),
            Row {
                text: None,
                text_pair: None,
                input_ids: Some(input_ids),
                token_type_ids,
            } => self.add_ids(&input_ids, token_type_ids),
            _ => Err(Failure::Row(
                "a row is either a text or ids".into(),
                "give {\"text\", \"text_pair\"?} or {\"input_ids\", \"token_type_ids\"?}",
            )),
        }
    }

    fn add_text(&mut self, text: &str, pair: Option<&str>) -> std::result::Result<(), Failure> {
        if self.tokenizer.is_none() {
            let tokenizer = BertTokenizer::load(&self.args.model)?;
            tokenizer.check_fits(self.config.vocab_size)?;
            self.tokenizer = Some(tokenizer);
        }
        let Some(tokenizer) = &self.tokenizer else {
            unreachable!("it was just opened");
        };
        let most = self.config.max_position_embeddings;
        let encoding = tokenizer.encode_truncated(text, pair, most)?;
        if encoding.truncated {
            if !self.args.truncate {
                return Err(Failure::Row(
                    format!("the text has more tokens than the model's {most} positions"),
                    "shorten the text, or add --truncate",
                ));
            }
            self.rows.truncated += 1;
        }
        let checked = (self.config).check_sequence(&encoding.input_ids, &encoding.token_type_ids);
        let help = "give the segments the model was trained with, from 0";
        checked.map_err(|problem| Failure::Row(problem, help))?;
        self.rows
            .all
            .push(&encoding.input_ids, &encoding.token_type_ids);
        Ok(())
    }

    fn add_ids(
        &mut self,
        input_ids: &[u32],
        token_type_ids: Option<Vec<u32>>,
    ) -> std::result::Result<(), Failure> {
        let types = token_type_ids.unwrap_or_else(|| vec![0; input_ids.len()]);
        // A batch keeps them in a byte each.
        let types: std::result::Result<Vec<u8>, _> =
            (types.iter().map(|&id| u8::try_from(id))).collect();
        let types = types.map_err(|_| "a token type is not below 256".to_string());
        let types = types.and_then(|types| {
            self.config.check_sequence(input_ids, &types)?;
            Ok(types)
        });
        let help = "ids are taken as they are, special tokens included; token types count from 0";
        let types = types.map_err(|problem| Failure::Row(problem, help))?;
        self.rows.all.push(input_ids, &types);
        Ok(())
    }
}
