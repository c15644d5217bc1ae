//! A sentence as it stands in the data.

use std::path::Path;
use std::sync::Arc;

use bert_core::error::Result;
use serde_json::Value;

use super::TokenTask;
use crate::config::TokensConfig;
use crate::data::conll::{Columns, SNIFFED, Sentences, looks_like_columns};
use crate::data::input::{self, Records};
use crate::data::table::{Row, Rows, TableFormat};
use crate::examples::Sequence;
use crate::tasks::Task;
use crate::tasks::encoder::Encoder;
use crate::tasks::row::{self, Input, Origin};
use bert_core::files::{extension, open, peek};
use bert_core::tell;

/// A sentence, and its tags.
#[derive(Debug, Clone)]
pub struct Record {
    pub(super) origin: Origin,
    pub(super) input: Words,
    pub(super) gold: Option<Vec<String>>,
}

#[derive(Debug, Clone)]
pub(super) enum Words {
    /// As they stand in the data.
    Given(Vec<String>),
    /// What white space and punctuation leave of a text.
    Of(String),
    /// Every token counts as one.
    Ids(Sequence),
}

/// Where the words of a text stand in it, in characters; of given words and ids, nothing.
#[derive(Debug, Clone, Default)]
pub struct Places(pub(super) Vec<(usize, usize)>);

/// Names of files that have words in columns, whatever they look like.
const COLUMNS: [&str; 5] = ["conll", "conllu", "bio", "iob", "iob2"];

impl Record {
    pub(super) fn from_row(
        config: &TokensConfig,
        path: &Arc<Path>,
        row: &Row,
        gold: bool,
    ) -> Result<Self> {
        let TokensConfig {
            text, words, tags, ..
        } = config;
        let origin = Origin::of(path, row);
        let names = |key: &str, value: &Value| -> Result<Vec<String>> {
            let list = row::array(value).filter(|list| !list.is_empty());
            let names: Option<Vec<String>> =
                list.and_then(|list| list.iter().map(row::label).collect());
            names.ok_or_else(|| {
                origin.error(
                    format!("\"{key}\" is not an array of words, none of them empty"),
                    "give one string a word",
                )
            })
        };
        let input = match row.fields.get(words) {
            Some(value) => Words::Given(names(words, value)?),
            None if gold => return Err(row.missing(path, words)),
            None => match row::input(row, path, text, None)? {
                Input::Text(text, _) => Words::Of(text),
                Input::Ids(sequence) => Words::Ids(sequence),
            },
        };
        let gold = row::gold(row, path, tags, gold)?;
        let gold = gold.map(|value| names(tags, value)).transpose()?;
        if let (Words::Given(words), Some(tags)) = (&input, &gold)
            && words.len() != tags.len()
        {
            let problem = format!("{} words and {} tags", words.len(), tags.len());
            return Err(origin.error(problem, "give one tag a word"));
        }
        // Tags belong to given words only.
        let gold = gold.filter(|_| matches!(input, Words::Given(_)));
        Ok(Self {
            origin,
            input,
            gold,
        })
    }

    /// The first piece's id and the others', of every word, and where words of a text stand.
    pub(super) fn pieces(&self, encoder: &Encoder) -> Result<(Vec<Vec<u32>>, Places)> {
        let tokenizer = &encoder.tokenizer;
        match &self.input {
            Words::Given(words) => {
                let pieces = words.iter().map(|word| {
                    let mut ids = Vec::new();
                    tokenizer.append_ids(word, &mut ids)?;
                    if ids.is_empty() {
                        // A word of characters that are cleaned away is a word still.
                        ids.push(tokenizer.special().unk);
                    }
                    Ok(ids)
                });
                Ok((pieces.collect::<Result<_>>()?, Places::default()))
            }
            Words::Of(text) => {
                let encoding = tokenizer.encode(text, None)?;
                let (mut pieces, mut places) = (Vec::<Vec<u32>>::new(), Vec::new());
                let mut last = None;
                let ids = encoding.input_ids.iter().zip(&encoding.offsets);
                for ((&id, &(start, end)), word) in ids.zip(encoding.words) {
                    if word.is_none() {
                        continue;
                    }
                    if let (Some(pieces), true) = (pieces.last_mut(), word == last) {
                        pieces.push(id);
                        if let Some((_, word_end)) = places.last_mut() {
                            *word_end = end;
                        }
                    } else {
                        pieces.push(vec![id]);
                        places.push((start, end));
                    }
                    last = word;
                }
                Ok((pieces, Places(places)))
            }
            Words::Ids(_) => Ok((Vec::new(), Places::default())),
        }
    }
}

/// The sentences of a file: rows of JSON Lines, words in columns, or where they are to be answered only, plain text.
///
/// # Errors
/// What opening it gives.
pub(super) fn read(config: &TokensConfig, path: &Path, gold: bool) -> Result<Records<Record>> {
    let of_rows = |rows| TokenTask::records(config, path, rows, gold);
    let format = TableFormat::of(path);
    if matches!(format, Some(TableFormat::JsonLines | TableFormat::Csv)) || path == Path::new("-") {
        return Ok(of_rows(input::read(path, &config.text)?));
    }
    let (start, reader) = peek(path, open(path)?, SNIFFED)?;
    match format {
        // Words and tags are often in a file of the name of a table, whose cells are no arrays of them.
        Some(format)
            if has_header(&start, &[&config.words, &config.tags])
                || !gold
                    && (has_header(&start, &[&config.text]) || !looks_like_columns(&start)) =>
        {
            let rows = Rows::from_reader(path, format, reader)?;
            return Ok(of_rows(Box::new(rows)));
        }
        None if !gold && !COLUMNS.contains(&extension(path).as_str()) => {
            if !looks_like_columns(&start) {
                return Ok(of_rows(input::texts(path, &config.text, reader)));
            }
            tell!(
                "{}: words in columns, by its tags or its blank lines; texts are read as such from .jsonl or .csv",
                path.display()
            );
        }
        _ => {}
    }
    let columns = Columns {
        word: config.word_column,
        tag: config.tag_column,
        tags_wanted: gold,
    };
    let at: Arc<Path> = path.into();
    let sentences = Sentences::from_reader(path, columns, reader)?;
    Ok(Box::new(sentences.map(move |sentence| {
        let sentence = sentence?;
        Ok(Record {
            origin: Origin {
                path: at.clone(),
                line: Some(sentence.line),
                id: None,
            },
            input: Words::Given(sentence.words),
            gold: gold.then_some(sentence.tags),
        })
    })))
}

/// Whether a table has columns of all these names.
fn has_header(start: &[u8], columns: &[&str]) -> bool {
    let header = start
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let names = header.trim_ascii_end().split(|byte| *byte == b'\t');
    let has = |column: &&str| names.clone().any(|name| name == column.as_bytes());
    columns.iter().all(has)
}
