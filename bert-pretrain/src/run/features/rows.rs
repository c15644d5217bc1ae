//! The input of `features`: rows of texts or ids.

use std::collections::{BTreeMap, BTreeSet};

use bert_core::config::BertConfig;
use bert_core::data::packed::PackedSequences;
use bert_core::error::{Error, Result};
use bert_core::files::{Lines, open};
use bert_core::tell;
use bert_core::tokenizer::BertTokenizer;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::cli::FeaturesArgs;

/// So many keys that are not read are named.
const MOST_UNREAD: usize = 10;

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
    attention_mask: Option<Vec<u8>>,
    #[serde(flatten)]
    others: BTreeMap<String, IgnoredAny>,
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
            unread: BTreeSet::new(),
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
        if !reader.unread.is_empty() {
            let keys: Vec<&str> = reader.unread.iter().map(String::as_str).collect();
            tell!("keys that are not read: {}", keys.join(", "));
        }
        Ok(reader.rows)
    }
}

struct Reader<'a> {
    args: &'a FeaturesArgs,
    config: &'a BertConfig,
    /// Opened for the first text: rows of ids need none.
    tokenizer: Option<BertTokenizer>,
    /// Keys of rows, the first few, that mean nothing here.
    unread: BTreeSet<String>,
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
        for key in row.others.into_keys() {
            if self.unread.len() < MOST_UNREAD {
                self.unread.insert(key);
            }
        }
        match (row.text, row.text_pair, row.input_ids) {
            (Some(text), text_pair, None)
                if row.token_type_ids.is_none() && row.attention_mask.is_none() =>
            {
                self.add_text(&text, text_pair.as_deref())
            }
            (None, None, Some(input_ids)) => {
                self.add_ids(input_ids, row.token_type_ids, row.attention_mask)
            }
            _ => Err(Failure::Row(
                "a row is either a text or ids".into(),
                "give {\"text\", \"text_pair\"?} or {\"input_ids\", \"token_type_ids\"?, \"attention_mask\"?}",
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
        mut input_ids: Vec<u32>,
        token_type_ids: Option<Vec<u32>>,
        attention_mask: Option<Vec<u8>>,
    ) -> std::result::Result<(), Failure> {
        let mut types = token_type_ids.unwrap_or_else(|| vec![0; input_ids.len()]);
        if let Some(mask) = attention_mask {
            // Rows that another program padded.
            if mask.len() != input_ids.len() || types.len() != input_ids.len() {
                return Err(Failure::Row(
                    "input_ids, token_type_ids and attention_mask differ in length".into(),
                    "give one of each for every token",
                ));
            }
            let is_seen = |place: &usize| mask[*place] != 0;
            let seen: Vec<usize> = (0..mask.len()).filter(is_seen).collect();
            input_ids = seen.iter().map(|&place| input_ids[place]).collect();
            types = seen.iter().map(|&place| types[place]).collect();
        }
        // A batch keeps them in a byte each.
        let types: std::result::Result<Vec<u8>, _> =
            (types.iter().map(|&id| u8::try_from(id))).collect();
        let types = types.map_err(|_| "a token type is not below 256".to_string());
        let types = types.and_then(|types| {
            self.config.check_sequence(&input_ids, &types)?;
            Ok(types)
        });
        let help = "ids are taken as they are, special tokens included; token types count from 0";
        let types = types.map_err(|problem| Failure::Row(problem, help))?;
        self.rows.all.push(&input_ids, &types);
        Ok(())
    }
}
