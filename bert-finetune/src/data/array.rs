//! Rows that are the elements of one array of JSON, as pandas and web services write them.

use std::io::BufRead;
use std::path::Path;

use bert_core::error::{Error, Result};
use bert_core::files::{open, peek};
use serde_json::Value;

use super::message::syntax;
use super::table::{Row, kind};
use super::whole::{self, line_feeds};

/// White space that may come before an array.
const LONGEST_INDENT: usize = 1 << 10;
/// The longest first line that is looked at.
const LONGEST_ROW: usize = 1 << 20;

const HELP: &str = "write one array of objects, or one object on each line";

/// Whether a file of JSON holds rows, in an array or one a line, of which the first has this key; not one value of another
/// shape.
///
/// # Errors
/// [`Error::Io`] where it cannot be read.
pub fn holds_rows(path: &Path, key: &str) -> Result<bool> {
    let (start, _) = peek(path, open(path)?, LONGEST_ROW)?;
    let start = start.trim_ascii_start();
    let line = start.split(|byte| *byte == b'\n').next().unwrap_or(start);
    let has_key = |value: Value| value.get(key).is_some();
    Ok(start.starts_with(b"[") || serde_json::from_slice(line).is_ok_and(has_key))
}

/// Whether an input that messages call by this path begins as an array does, and all of it to be read from there.
pub(super) fn begins_array(
    path: &Path,
    input: Box<dyn BufRead + Send>,
) -> Result<(bool, Box<dyn BufRead + Send>)> {
    let (start, input) = peek(path, input, LONGEST_INDENT)?;
    Ok((start.trim_ascii_start().starts_with(b"["), input))
}

/// The rows of an array, all at once: where its syntax is wrong, what follows cannot be told.
///
/// # Errors
/// [`Error::Io`] where it cannot be read, [`Error::Data`] where it is not one array of JSON. In place of an element that is
/// no object there is an [`Error::Data`].
pub(super) fn rows(path: &Path, input: impl BufRead) -> Result<Vec<Result<Row>>> {
    let text = whole::text(path, input)?;
    let mut rest = Rest {
        path,
        text: &text,
        line: 1,
    };
    let mut rows = Vec::new();
    rest.sign("[")?;
    let mut ended = rest.takes("]");
    while !ended {
        let (line, value) = rest.value()?;
        rows.push(match value {
            Value::Object(object) => Ok(Row::of_object(line, object)),
            other => {
                let problem = format!("the element is {}, not an object", kind(&other));
                Err(rest.error(line, problem))
            }
        });
        ended = rest.takes("]");
        if !ended {
            rest.sign(",")?;
        }
    }
    rest.skip_space();
    if !rest.text.is_empty() {
        return Err(rest.error(rest.line, "something follows the array".into()));
    }
    Ok(rows)
}

/// What has not been read yet, and the line where it begins.
struct Rest<'a> {
    path: &'a Path,
    text: &'a str,
    line: u64,
}

impl Rest<'_> {
    fn skip(&mut self, bytes: usize) {
        let (skipped, rest) = self.text.split_at(bytes);
        self.line += line_feeds(skipped.as_bytes());
        self.text = rest;
    }

    fn skip_space(&mut self) {
        let content = self.text.trim_start_matches([' ', '\t', '\r', '\n']);
        self.skip(self.text.len() - content.len());
    }

    /// Passes over a sign, if it is there.
    fn takes(&mut self, sign: &str) -> bool {
        self.skip_space();
        let is_there = self.text.starts_with(sign);
        if is_there {
            self.skip(sign.len());
        }
        is_there
    }

    /// Passes over a sign, which must be there.
    fn sign(&mut self, sign: &str) -> Result<()> {
        if self.takes(sign) {
            return Ok(());
        }
        let problem = match self.text.chars().next() {
            Some(other) => format!("invalid JSON: {other:?} where a {sign:?} should be"),
            None => "invalid JSON: the file ends within the array".into(),
        };
        Err(self.error(self.line, problem))
    }

    /// The next value, and its line.
    fn value(&mut self) -> Result<(u64, Value)> {
        self.skip_space();
        let line = self.line;
        let mut values = serde_json::Deserializer::from_str(self.text).into_iter();
        match values.next() {
            Some(Ok(value)) => {
                let bytes = values.byte_offset();
                self.skip(bytes);
                Ok((line, value))
            }
            Some(Err(error)) if !error.is_eof() => {
                let line = line + error.line().saturating_sub(1) as u64;
                Err(self.error(line, format!("invalid JSON: {}", syntax(&error))))
            }
            _ => {
                let problem = "invalid JSON: the file ends within the array".into();
                Err(self.error(line, problem))
            }
        }
    }

    fn error(&self, line: u64, problem: String) -> Error {
        Error::Data {
            path: self.path.to_path_buf(),
            line: Some(line),
            problem,
            help: HELP.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn read(text: &str) -> Result<Vec<Result<Row>>> {
        rows(Path::new("f"), Box::new(Cursor::new(text.to_string())))
    }

    #[test]
    fn elements_are_rows_with_their_lines_however_they_are_laid_out() {
        let text = "\n [{\"a\": 1}, {\"a\":\n 2},\n{\"a\": [3, {}]}\r\n]\n";
        let rows: Vec<_> = read(text).unwrap().into_iter().flatten().collect();
        let lines: Vec<_> = rows.iter().map(|row| row.line).collect();
        assert_eq!(lines, [2, 2, 4]);
        let values = rows.iter().map(|row| row.fields.get("a").unwrap());
        let values: Vec<_> = values.map(Value::to_string).collect();
        assert_eq!(values, ["1", "2", "[3,{}]"]);
        assert!(read("[ ]").unwrap().is_empty());
    }

    #[test]
    fn an_element_that_is_no_object_does_not_end_the_rows() {
        let rows = read("[{\"a\": 1},\n 2, \"x\",\n {\"a\": 3}]").unwrap();
        let error = |row: usize| rows[row].as_ref().unwrap_err().to_string();
        assert_eq!(rows.len(), 4);
        assert!(error(1).contains("f:2: the element is a number, not an object"));
        assert!(error(2).contains("f:2: the element is a string"));
        assert_eq!(rows[3].as_ref().unwrap().line, 3);
    }

    #[test]
    fn what_is_not_one_array_is_refused_with_its_line() {
        for (text, problem) in [
            ("[{\"a\": 1}\n", "f:2: invalid JSON: the file ends within"),
            ("[{\"a\": 1},\n", "f:2: invalid JSON: the file ends within"),
            ("[\n{\"a\": ", "f:2: invalid JSON: the file ends within"),
            ("[{},\n]", "f:2: invalid JSON: expected value"),
            ("[{}\n{}]", "f:2: invalid JSON: '{' where a \",\""),
            ("[{\"a\":\n x}]", "f:2: invalid JSON: expected value"),
            ("[{}]\n\n[{}]", "f:3: something follows the array"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(problem), "{text:?}: {error}");
        }
    }
}
