//! What rows of data have in common: where they stand, and a text, a pair or ids in them.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use bert_core::error::{Error, Result};
use serde_json::Value;

use crate::data::cells;
use crate::data::table::Row;
use crate::examples::Sequence;

/// Where a row stands.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The file.
    pub path: Arc<Path>,
    /// Its line, where one can be named.
    pub line: Option<u64>,
    /// What the row calls itself.
    pub id: Option<Value>,
}

impl Origin {
    /// Of a row.
    pub fn of(path: &Arc<Path>, row: &Row) -> Self {
        Self {
            path: path.clone(),
            line: Some(row.line),
            id: row.fields.get("id").cloned(),
        }
    }

    /// An error in this row, which it names by its line and what it calls itself.
    pub fn error(&self, problem: impl Into<String>, help: impl Into<String>) -> Error {
        let mut problem = problem.into();
        if let Some(id) = &self.id {
            problem += &format!(" (id {id})");
        }
        Error::Data {
            path: self.path.to_path_buf(),
            line: self.line,
            problem,
            help: help.into(),
        }
    }
}

/// What is asked about.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A text, and the second of a pair.
    Text(String, Option<String>),
    /// Ids, special tokens included.
    Ids(Sequence),
}

/// The text, the pair or the ids of a row.
///
/// # Errors
/// [`Error::Data`] where there is none, or it is empty.
pub fn input(row: &Row, path: &Arc<Path>, text: &str, pair: Option<&str>) -> Result<Input> {
    if row.fields.has("input_ids") {
        return Ok(Input::Ids(ids(row, path)?));
    }
    Ok(Input::Text(
        not_empty(row, path, text)?.to_string(),
        match pair {
            Some(pair) => Some(not_empty(row, path, pair)?.to_string()),
            None => None,
        },
    ))
}

/// A text that is there and not empty.
///
/// # Errors
/// [`Error::Data`].
pub fn not_empty<'a>(row: &'a Row, path: &Arc<Path>, key: &str) -> Result<&'a str> {
    let text = row.text(key).ok_or_else(|| row.missing(path, key))?;
    if text.trim().is_empty() {
        let help = "give it a text, remove the row, or have such rows skipped (data.bad_rows, --skip-bad-rows)";
        return Err(Origin::of(path, row).error(format!("\"{key}\" is empty"), help));
    }
    Ok(text)
}

/// `input_ids`, and `token_type_ids` where they are there; without those that `attention_mask` hides, where it is there.
fn ids(row: &Row, path: &Arc<Path>) -> Result<Sequence> {
    let wrong = |problem: String| {
        let help = "give {\"input_ids\": [101, …, 102], \"token_type_ids\": [0, …]}; the second may be left out";
        Origin::of(path, row).error(problem, help)
    };
    let given = row.fields.get("input_ids");
    let input_ids: Vec<u32> = given
        .and_then(whole_numbers)
        .filter(|ids| !ids.is_empty())
        .ok_or_else(|| wrong("input_ids is not an array of whole numbers".into()))?;
    let beside = |key: &str, otherwise: u8| -> Result<Vec<u8>> {
        let values = match row.fields.get(key) {
            None | Some(Value::Null) => vec![otherwise; input_ids.len()],
            Some(value) => whole_numbers(value)
                .ok_or_else(|| wrong(format!("{key} is not an array of small whole numbers")))?,
        };
        if values.len() != input_ids.len() {
            return Err(wrong(format!("input_ids and {key} differ in length")));
        }
        Ok(values)
    };
    let token_type_ids = beside("token_type_ids", 0)?;
    // Rows that another program padded say so in a mask.
    let is_seen = beside("attention_mask", 1)?;
    let seen = |index: &usize| is_seen[*index] != 0;
    let seen: Vec<usize> = (0..input_ids.len()).filter(seen).collect();
    if seen.is_empty() {
        return Err(wrong("attention_mask hides all tokens".into()));
    }
    Ok(Sequence {
        input_ids: seen.iter().map(|&index| input_ids[index]).collect(),
        token_type_ids: seen.iter().map(|&index| token_type_ids[index]).collect(),
    })
}

fn whole_numbers<T: TryFrom<u64>>(value: &Value) -> Option<Vec<T>> {
    let number = |value: &Value| T::try_from(value.as_u64()?).ok();
    array(value)?.iter().map(number).collect()
}

/// The elements of an array, which in the cell of a table is written out.
pub fn array(value: &Value) -> Option<Cow<'_, [Value]>> {
    match value {
        Value::Array(values) => Some(values.into()),
        Value::String(cell) => cells::array(cell).map(Cow::from),
        _ => None,
    }
}

/// A label as text: numbers and truth values are names too.
pub fn label(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Some(text.trim().to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

/// The value of a key that must be there where the right answer is wanted; nothing is looked at where it is not.
///
/// # Errors
/// [`Error::Data`].
pub fn gold<'a>(
    row: &'a Row,
    path: &Arc<Path>,
    key: &str,
    wanted: bool,
) -> Result<Option<&'a Value>> {
    if !wanted {
        return Ok(None);
    }
    match row.fields.get(key) {
        None | Some(Value::Null) => Err(row.missing(path, key)),
        Some(value) => Ok(Some(value)),
    }
}
