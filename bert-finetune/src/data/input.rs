//! Rows of any file that people bring: tables, JSON Lines, plain text, or lines typed as one goes.

use std::io::BufRead;
use std::path::Path;

use bert_core::error::{Error, Result};
use serde_json::{Map, Value};

use super::open::open;
use super::table::{Row, TableFormat, rows};

/// An iterator over the rows of a file. After an [`Error::Data`] it goes on with the next row.
pub type Records<T> = Box<dyn Iterator<Item = Result<T>> + Send>;

/// The rows of a file: `.jsonl`, `.csv`, `.tsv`, each also `.gz`; of any other name a line is a text, which is put under
/// the key `text`, and of `-`, the standard input, a text or an object of JSON. Empty lines are no rows.
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
        objects: path == Path::new("-"),
        failed: false,
    }))
}

struct Lines {
    path: std::path::PathBuf,
    lines: Box<dyn BufRead + Send>,
    number: u64,
    text: String,
    /// Whether a line may be an object of JSON.
    objects: bool,
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
        let fields = if self.objects && line.starts_with('{') {
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

    fn lines(path: &Path, objects: bool) -> Vec<Result<Row>> {
        let lines = Lines {
            path: path.to_path_buf(),
            lines: open(path).unwrap(),
            number: 0,
            text: "t".into(),
            objects,
            failed: false,
        };
        lines.collect()
    }

    #[test]
    fn a_line_is_a_text_or_an_object_and_a_bad_one_does_not_end_the_input() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lines.txt");
        std::fs::write(&path, "one text\n\n{\"t\": \"two\"}\n{broken\nthree").unwrap();
        let texts = |rows: &[Result<Row>]| -> Vec<String> {
            let rows = rows.iter().flatten();
            rows.map(|row| row.text("t").unwrap().to_string()).collect()
        };
        let typed = lines(&path, true);
        assert_eq!(texts(&typed), ["one text", "two", "three"]);
        let error = typed[2].as_ref().unwrap_err().to_string();
        assert!(error.contains("lines.txt:4"), "{error}");
        // In a file of texts, braces are text.
        let plain = lines(&path, false);
        let expected = ["one text", "{\"t\": \"two\"}", "{broken", "three"];
        assert_eq!(texts(&plain), expected);
    }
}
