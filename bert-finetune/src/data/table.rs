//! Rows of JSON Lines, CSV and TSV files.

use std::collections::HashSet;
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::array;
use super::cells::{CsvRecord, tsv};
use super::message::{listed, nearest, quoted, syntax};
use bert_core::error::{Error, Result};
use bert_core::files::{Lines, content};
use bert_core::files::{extension, open};

/// One row: its named fields, and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The line where it begins, counted from 1.
    pub line: u64,
    /// Its fields in the order of the file. The cells of CSV and TSV are strings.
    pub fields: Fields,
}

/// Named fields, in order. Rows of one table share the names.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fields(Vec<(Arc<str>, Value)>);

impl Fields {
    /// The field of this name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let mut fields = self.0.iter();
        fields
            .find(|(own, _)| **own == *name)
            .map(|(_, value)| value)
    }

    /// Whether there is a value of this name: one that is null is none.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| !value.is_null())
    }

    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| &**name)
    }
}

impl From<Map<String, Value>> for Fields {
    fn from(object: Map<String, Value>) -> Self {
        let fields = object.into_iter();
        Self(fields.map(|(name, value)| (name.into(), value)).collect())
    }
}

impl Row {
    /// A row that is nothing but a text, under this name.
    pub fn of_text(line: u64, key: &str, text: impl Into<Value>) -> Self {
        Self {
            line,
            fields: Fields(vec![(key.into(), text.into())]),
        }
    }

    /// A row that an object of JSON is.
    pub fn of_object(line: u64, object: Map<String, Value>) -> Self {
        Self {
            line,
            fields: object.into(),
        }
    }

    /// The field of this name, if it is there and is text.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.fields.get(key)?.as_str()
    }

    /// The error for a field that should be there as text and is not.
    pub fn missing(&self, path: &Path, key: &str) -> Error {
        let names = || self.fields.names();
        let key_shown = quoted(key);
        let (problem, help) = if let Some(value) = self.fields.get(key) {
            (
                match value {
                    Value::Null => format!("{key_shown} is null"),
                    value => format!("{key_shown} is {}, not text", kind(value)),
                },
                "give it a value, text as a string, or name another field".into(),
            )
        } else if let Some(near) = nearest(key, names()) {
            (
                format!("there is no {key_shown} among {}", listed(names())),
                format!("did you mean {}?", quoted(near)),
            )
        } else if names().next().is_none() {
            (
                format!("there is no {key_shown}, the row is empty"),
                "remove the row or give it its fields".into(),
            )
        } else {
            (
                format!("there is no {key_shown} among {}", listed(names())),
                "name one of those that are there by its key of task in the configuration, or with predict and evaluate by \
                 --set KEY=NAME (only .csv, .tsv and .jsonl have names)"
                    .into(),
            )
        };
        Error::Data {
            path: path.to_path_buf(),
            line: Some(self.line),
            problem,
            help,
        }
    }
}

/// How the rows of a file are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableFormat {
    /// One JSON object on each line, blank lines being skipped; or one array of objects.
    JsonLines,
    /// Comma-separated cells after RFC 4180 under a header row; empty lines are skipped.
    Csv,
    /// Tab-separated cells under a header row, a row a line; empty lines are skipped.
    Tsv,
}

impl TableFormat {
    /// The format that the name of a file tells: `.jsonl`, `.ndjson` or `.json`, `.csv` or `.tsv`, each also
    /// with `.gz` or `.zst` after it.
    pub fn of(path: &Path) -> Option<Self> {
        match extension(path).as_str() {
            "jsonl" | "ndjson" | "json" => Some(Self::JsonLines),
            "csv" => Some(Self::Csv),
            "tsv" => Some(Self::Tsv),
            _ => None,
        }
    }
}

/// The rows of a file, read as they are asked for. `-` is standard input.
///
/// # Errors
///
/// [`Error::Io`] where the file cannot be opened or read, [`Error::Data`] where a CSV or TSV file
/// has no usable header row, and of an array that is not whole.
pub fn rows(path: &Path, format: TableFormat) -> Result<Rows> {
    Rows::from_reader(path, format, open(path)?)
}

/// The rows of one input, in order. After an [`Error::Data`] the next row follows.
pub struct Rows {
    path: PathBuf,
    format: TableFormat,
    lines: Lines,
    /// The names of the columns; `None` for one without a name. Empty for JSON Lines.
    header: Vec<Option<Arc<str>>>,
    /// The rows, where they are the elements of an array.
    array: Option<std::vec::IntoIter<Result<Row>>>,
}

impl Rows {
    /// The rows of an input that messages call by this path.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] where the header row cannot be read, [`Error::Data`] where it is missing or its
    /// names are not all there and different, and of an array that is not whole.
    pub fn from_reader(
        path: &Path,
        format: TableFormat,
        mut input: Box<dyn BufRead + Send>,
    ) -> Result<Self> {
        let mut array = None;
        if format == TableFormat::JsonLines {
            let (is_array, whole) = array::begins_array(path, input)?;
            input = whole;
            if is_array {
                array = Some(array::rows(path, &mut input)?.into_iter());
            }
        }
        let mut rows = Self {
            path: path.to_path_buf(),
            format,
            lines: Lines::new(path, input),
            header: Vec::new(),
            array,
        };
        let first = match format {
            TableFormat::JsonLines => return Ok(rows),
            TableFormat::Csv => rows.csv_cells(),
            TableFormat::Tsv => rows.tsv_cells(usize::MAX),
        };
        let (line, header) = match first {
            Some(first) => first?,
            None => {
                return Err(Error::Data {
                    path: rows.path,
                    line: None,
                    problem: "the file has no header row".into(),
                    help: "write the names of the columns as its first line".into(),
                });
            }
        };
        if let Some((problem, help)) = header_problem(&header) {
            return Err(rows.lines.error(line, problem, help));
        }
        let named = |name: String| (!name.trim().is_empty()).then(|| name.into());
        rows.header = header.into_iter().map(named).collect();
        Ok(rows)
    }

    /// The next line that has content.
    fn line(&mut self) -> Option<Result<Vec<u8>>> {
        loop {
            match self.lines.read()? {
                Ok(line) if content(&line).is_empty() => {}
                other => return Some(other),
            }
        }
    }

    fn json_row(&mut self) -> Option<Result<Row>> {
        loop {
            let bytes = match self.line()? {
                Ok(bytes) => bytes,
                Err(error) => return Some(Err(error)),
            };
            if !bytes.trim_ascii().is_empty() {
                return Some(self.json_object(bytes));
            }
        }
    }

    fn json_object(&self, bytes: Vec<u8>) -> Result<Row> {
        const HELP: &str = "write one JSON object on each line, and nothing around them";
        let line = self.lines.number();
        let text = self.lines.text(line, bytes)?;
        match serde_json::from_str(&text) {
            Ok(Value::Object(object)) => Ok(Row::of_object(line, object)),
            Ok(other) => {
                let problem = format!("the line is {}, not a JSON object", kind(&other));
                Err(self.lines.error(line, problem, HELP))
            }
            Err(error) => {
                let what = syntax(&error);
                let problem = format!("invalid JSON: {what} at column {}", error.column());
                Err(self.lines.error(line, problem, HELP))
            }
        }
    }

    fn csv_cells(&mut self) -> Option<Result<(u64, Vec<String>)>> {
        let first = self.line()?;
        let start = self.lines.number();
        Some(first.and_then(|first| Ok((start, self.csv_record(start, first)?))))
    }

    fn csv_record(&mut self, start: u64, first: Vec<u8>) -> Result<Vec<String>> {
        const HELP: &str = "write a quote inside a quoted cell as two, and close every quoted cell";
        let mut record = CsvRecord::new();
        let mut length = first.len();
        let mut line = first;
        loop {
            match record.add(&line) {
                Ok(true) => break,
                Ok(false) => {}
                Err(problem) => {
                    let here = self.lines.number();
                    let problem = match here == start {
                        true => problem.into(),
                        false => format!("{problem}, in the row that begins at line {start}"),
                    };
                    return Err(self.lines.error(here, problem, HELP));
                }
            }
            line = match self.lines.read() {
                Some(line) => line?,
                None => {
                    let last = self.lines.number();
                    let problem = format!(
                        "a quoted cell of this row is never closed: it runs on to line {last}, the end of the file"
                    );
                    return Err(self.lines.error(start, problem, HELP));
                }
            };
            length += line.len();
            if length > self.lines.limit {
                return Err(self.lines.too_long(start));
            }
        }
        let cells = record.into_cells().into_iter();
        cells.map(|cell| self.lines.text(start, cell)).collect()
    }

    fn tsv_cells(&mut self, wanted: usize) -> Option<Result<(u64, Vec<String>)>> {
        let line = self.line()?;
        let number = self.lines.number();
        Some(line.and_then(|line| {
            let text = self.lines.text(number, content(&line).to_vec())?;
            Ok((number, tsv(&text, wanted)))
        }))
    }

    fn named(&self, line: u64, cells: Vec<String>) -> Result<Row> {
        if cells.len() != self.header.len() {
            let problem = format!(
                "the row has {} cells and the header {}",
                cells.len(),
                self.header.len()
            );
            let help = match self.format {
                TableFormat::Tsv => {
                    "separate cells by one tab each, and replace tabs and line ends inside a cell by spaces (a .csv may have \
                     line ends in quoted cells)"
                }
                _ => "put cells that have commas or line ends in double quotes",
            };
            return Err(self.lines.error(line, problem, help));
        }
        let cells = cells.into_iter().map(Value::String);
        let named = self.header.iter().zip(cells);
        let named = named.filter_map(|(name, cell)| Some((name.clone()?, cell)));
        Ok(Row {
            line,
            fields: Fields(named.collect()),
        })
    }
}

impl Iterator for Rows {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(array) = &mut self.array {
            return array.next();
        }
        let cells = match self.format {
            TableFormat::JsonLines => return self.json_row(),
            TableFormat::Csv => self.csv_cells()?,
            TableFormat::Tsv => self.tsv_cells(self.header.len())?,
        };
        Some(cells.and_then(|(line, cells)| self.named(line, cells)))
    }
}

fn header_problem(names: &[String]) -> Option<(String, &'static str)> {
    let mut seen = HashSet::new();
    // A column without a name, such as the index that pandas writes, is none that could be asked for.
    for name in names.iter().filter(|name| !name.trim().is_empty()) {
        if name.contains('\r') {
            return Some((
                format!("the column name {} has a line end", quoted(name)),
                "end lines with a line feed, not with a carriage return alone",
            ));
        }
        if !seen.insert(name) {
            return Some((
                format!("two columns have the name {}", quoted(name)),
                "give every column another name",
            ));
        }
    }
    None
}

pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests;
