//! Rows of any file that people bring: tables, JSON Lines, plain text, or lines typed as one goes.

use std::io::BufRead;
use std::path::Path;

use bert_core::error::{Error, Result};
use serde_json::{Map, Value};

use super::open::open;
use super::table::{Row, TableFormat, rows};

/// An iterator over the rows of a file. After an [`Error::Data`] it goes on with the next row.
pub type Records<T> = Box<dyn Iterator<Item = Result<T>> + Send>;

/// The rows of a file: `.jsonl`, `.csv`, `.tsv`, each also `.gz`; of any other name, and of `-`, the standard input, a
/// line is a row: an object of JSON, or else a text, which is put under the key `text`. Empty lines are no rows.
///
/// # Errors
/// [`Error::Io`] where the file cannot be opened, and what its header gives.
pub fn read(path: &Path, text: &str) -> Result<Records<Row>> {
    if let Some(format) = TableFormat::of(path) {
        return Ok(Box::new(rows(path, format)?));
    }
    Ok(Box::new(Lines {
        path: path.to_path_buf(),
        lines: open(path)?,
        number: 0,
        text: text.to_string(),
        failed: false,
    }))
}

struct Lines {
    path: std::path::PathBuf,
    lines: Box<dyn BufRead + Send>,
    number: u64,
    text: String,
    failed: bool,
}

impl Iterator for Lines {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Result<Row>> {
        let mut line = Vec::new();
        while !self.failed {
            line.clear();
            self.number += 1;
            match self.lines.read_until(b'\n', &mut line) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) => {
                    self.failed = true;
                    return Some(Err(Error::io("read", &self.path)(error)));
                }
            }
            let row = match std::str::from_utf8(&line) {
                Ok(line) if line.trim().is_empty() => continue,
                Ok(line) => self.row(line.trim()),
                Err(_) => Err("it is not UTF-8".to_string()),
            };
            return Some(row.map_err(|problem| Error::Data {
                path: self.path.clone(),
                line: Some(self.number),
                problem,
                help: "give a text or an object of JSON a line".into(),
            }));
        }
        None
    }
}

impl Lines {
    fn row(&self, line: &str) -> std::result::Result<Row, String> {
        let fields = if line.starts_with('{') {
            serde_json::from_str(line).map_err(|error| error.to_string())?
        } else {
            Map::from_iter([(self.text.clone(), Value::from(line))])
        };
        Ok(Row {
            line: self.number,
            fields,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_text_or_an_object_and_a_bad_one_does_not_end_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lines.txt");
        std::fs::write(&path, "one text\n\n{\"t\": \"two\"}\n{broken\nthree").unwrap();
        let rows: Vec<_> = read(&path, "t").unwrap().collect();
        let texts: Vec<_> = rows.iter().flatten().map(|row| row.text("t")).collect();
        assert_eq!(texts, [Some("one text"), Some("two"), Some("three")]);
        let error = rows[2].as_ref().unwrap_err().to_string();
        assert!(error.contains("lines.txt:4"), "{error}");
    }
}
