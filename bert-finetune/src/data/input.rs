//! Rows of any file that people bring: tables, JSON Lines, plain text, or lines typed as one goes.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use bert_core::error::{Error, Result};
use serde_json::{Map, Value};

use super::table::{Row, TableFormat, rows};
use bert_core::files::Lines;
use bert_core::files::open;

/// An iterator over the rows of a file. After an [`Error::Data`] it goes on with the next row.
pub type Records<T> = Box<dyn Iterator<Item = Result<T>> + Send>;

/// The rows of a file: `.jsonl` (or `.json`), `.csv`, `.tsv`, each also `.gz` or `.zst`; of any other name a line is a text,
/// which is put under the key `text`, and of `-`, the standard input, and of pipes a text or an object of JSON. Empty lines are
/// no rows.
///
/// # Errors
/// [`Error::Io`] where the file cannot be opened, and what its header gives.
pub fn read(path: &Path, text: &str) -> Result<Records<Row>> {
    if let Some(format) = TableFormat::of(path) {
        return Ok(Box::new(rows(path, format)?));
    }
    Ok(texts(path, text, open(path)?))
}

/// The lines of an input that messages call by this path, as [`read`] reads them.
pub fn texts(path: &Path, text: &str, input: Box<dyn BufRead + Send>) -> Records<Row> {
    Box::new(Texts {
        lines: Lines::new(path, input),
        text: text.to_string(),
        objects: !path.is_file(),
        path: path.to_path_buf(),
        is_first: true,
    })
}

/// Lines that are texts.
struct Texts {
    lines: Lines,
    text: String,
    /// Whether a line may be an object of JSON.
    objects: bool,
    path: PathBuf,
    /// Whether no line has been read.
    is_first: bool,
}

impl Iterator for Texts {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Result<Row>> {
        loop {
            let line = self.lines.read()?;
            let number = self.lines.number();
            let row = line.and_then(|line| {
                let line = self.lines.text(number, line)?;
                if std::mem::take(&mut self.is_first) {
                    self.check_format(line.trim())?;
                }
                self.row(number, line.trim_end())
            });
            if let Some(row) = row.transpose() {
                return Some(row);
            }
        }
    }
}

impl Texts {
    /// Refuses a table or an array, each line of which would be answered as a text.
    ///
    /// # Errors
    /// [`Error::Usage`].
    fn check_format(&self, first: &str) -> Result<()> {
        let cells: Vec<&str> = first
            .split([',', '\t'])
            .map(|cell| cell.trim_matches('"'))
            .collect();
        let is_header = cells.len() > 1
            && cells.contains(&self.text.as_str())
            && !cells.iter().any(|cell| cell.contains(char::is_whitespace));
        let is_array = self.objects && (first == "[" || first.starts_with("[{"));
        let (what, help) = match (is_header, is_array) {
            (true, _) => (
                "a table's header",
                "give it as a file whose name ends in .csv or .tsv",
            ),
            (_, true) => (
                "of an array of JSON",
                "give it as a file whose name ends in .json, or a row a line",
            ),
            _ => return Ok(()),
        };
        Err(Error::Usage {
            problem: format!(
                "the first line of {} is {what}, and here each line is a text",
                self.path.display()
            ),
            help: help.into(),
        })
    }

    /// `None` of an empty line.
    fn row(&self, number: u64, line: &str) -> Result<Option<Row>> {
        if line.trim_start().is_empty() {
            return Ok(None);
        }
        if !self.objects || !line.trim_start().starts_with('{') {
            return Ok(Some(Row::of_text(number, &self.text, line)));
        }
        let object: Map<String, Value> = serde_json::from_str(line).map_err(|error| {
            let help = "give a text or an object of JSON a line";
            self.lines.error(number, error.to_string(), help)
        })?;
        Ok(Some(Row::of_object(number, object)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(path: &Path, objects: bool, limit: usize) -> Vec<Result<Row>> {
        let mut lines = Lines::new(path, open(path).unwrap());
        lines.limit = limit;
        let text = "t".into();
        let texts = Texts {
            lines,
            text,
            objects,
            path: path.to_path_buf(),
            is_first: true,
        };
        texts.collect()
    }

    #[test]
    fn a_line_is_a_text_or_an_object_and_a_bad_one_does_not_end_the_input() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lines.txt");
        std::fs::write(&path, "one text\r\n\n{\"t\": \"two\"}\n{broken\n  three").unwrap();
        let content = |rows: &[Result<Row>]| -> Vec<String> {
            let rows = rows.iter().flatten();
            rows.map(|row| row.text("t").unwrap().to_string()).collect()
        };
        let typed = texts(&path, true, 99);
        // Places are counted from the beginning of the line.
        assert_eq!(content(&typed), ["one text", "two", "  three"]);
        let error = typed[2].as_ref().unwrap_err().to_string();
        assert!(error.contains("lines.txt:4"), "{error}");
        // In a file of texts, braces are text.
        let plain = texts(&path, false, 99);
        let expected = ["one text", "{\"t\": \"two\"}", "{broken", "  three"];
        assert_eq!(content(&plain), expected);
    }

    #[test]
    fn lines_of_another_format_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lines");
        for (first, objects, refused) in [
            ("t,label", false, true),
            ("\"label\"\tt", true, true),
            ("t", false, false),
            ("t, he said", false, false),
            ("text,label", false, false),
            ("[", true, true),
            ("[{\"t\": \"a\"},", true, true),
            ("[{\"t\": \"a\"},", false, false),
            ("[sic]", true, false),
        ] {
            std::fs::write(&path, format!("{first}\nmore\n")).unwrap();
            let rows = texts(&path, objects, 99);
            let found = matches!(rows[0], Err(Error::Usage { .. }));
            assert_eq!(found, refused, "{first}");
            assert!(rows[1].is_ok());
        }
    }

    #[test]
    fn a_line_without_end_is_refused_and_one_that_is_not_utf_8_too() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lines.txt");
        std::fs::write(&path, b"one\nfar too long a line\n\xff\ntwo\n").unwrap();
        let rows = texts(&path, false, 9);
        let message = |row: usize| rows[row].as_ref().unwrap_err().to_string();
        assert_eq!(rows.len(), 4);
        assert!(message(1).ends_with("lines.txt:2: the record here has more than 9 bytes"));
        assert!(message(2).contains("lines.txt:3: this is not UTF-8"));
        assert_eq!(rows[3].as_ref().unwrap().line, 4);
    }
}
