//! Lines with their numbers, of bounded length.

use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// No record of text is this long: a file that has one is of another kind, or has lost a quote. Read as JSON
/// it may take 40 times its size in memory.
const RECORD_LIMIT: usize = 8 << 20;

/// The lines of one file, as bytes with their line ends.
pub struct Lines {
    path: PathBuf,
    input: Box<dyn BufRead + Send>,
    number: u64,
    ended: bool,
    /// The most bytes of one record.
    pub limit: usize,
}

impl Lines {
    /// Lines of an input that messages call by this path.
    pub fn new(path: &Path, input: Box<dyn BufRead + Send>) -> Self {
        Self {
            path: path.to_path_buf(),
            input,
            number: 0,
            ended: false,
            limit: RECORD_LIMIT,
        }
    }

    /// The number of the line read last, counted from 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The next line. A line over the limit is an error and is passed over; after an [`Error::Io`]
    /// there are no more lines.
    pub fn read(&mut self) -> Option<Result<Vec<u8>>> {
        if self.ended {
            return None;
        }
        let mut line = Vec::new();
        let most = self.limit as u64 + 1;
        let read = self.input.by_ref().take(most).read_until(b'\n', &mut line);
        let passed_over = match read {
            Ok(0) => {
                self.ended = true;
                return None;
            }
            Ok(_) if line.len() > self.limit => {
                let whole = line.ends_with(b"\n");
                drop(line);
                if whole {
                    Ok(0)
                } else {
                    self.input.skip_until(b'\n')
                }
            }
            Ok(_) => {
                self.number += 1;
                return Some(Ok(line));
            }
            Err(error) => Err(error),
        };
        Some(Err(match passed_over {
            Ok(_) => {
                self.number += 1;
                self.too_long(self.number)
            }
            Err(error) => {
                self.ended = true;
                Error::io("read", &self.path)(error)
            }
        }))
    }

    /// The bytes as text.
    ///
    /// # Errors
    ///
    /// [`Error::Data`] at this line where they are not UTF-8.
    pub fn text(&self, line: u64, bytes: Vec<u8>) -> Result<String> {
        String::from_utf8(bytes).map_err(|error| {
            let valid = error.utf8_error().valid_up_to();
            let shown = &error.as_bytes()[valid.saturating_sub(20)..valid];
            let problem = format!(
                "this is not UTF-8 after {:?}",
                String::from_utf8_lossy(shown)
            );
            self.error(line, problem, "convert the file to UTF-8")
        })
    }

    /// The error for a record over the limit.
    pub fn too_long(&self, line: u64) -> Error {
        let problem = format!("the record here has more than {} bytes", self.limit);
        self.error(
            line,
            problem,
            "check that the file is what its name says, and that every quote is closed",
        )
    }

    /// Something wrong at this line.
    pub fn error(&self, line: u64, problem: String, help: &str) -> Error {
        Error::Data {
            path: self.path.clone(),
            line: Some(line),
            problem,
            help: help.to_owned(),
        }
    }
}

/// The line without its line end.
pub fn content(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use std::io::{self, Cursor};

    use super::*;

    #[test]
    fn a_line_over_the_limit_is_an_error_and_the_next_line_keeps_its_number() {
        let text = "short\nfar too long\nexactly 9\nok";
        let mut lines = Lines::new(Path::new("f"), Box::new(Cursor::new(text)));
        lines.limit = 9;
        assert_eq!(lines.read().unwrap().unwrap(), b"short\n");
        let error = lines.read().unwrap().unwrap_err();
        assert_eq!(
            error.to_string(),
            "f:2: the record here has more than 9 bytes"
        );
        assert!(lines.read().unwrap().is_err(), "its line end counts");
        assert_eq!(lines.read().unwrap().unwrap(), b"ok");
        assert_eq!(lines.number(), 4);
        assert!(lines.read().is_none());
    }

    #[test]
    fn a_read_error_ends_the_lines() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("the disk is on fire"))
            }
        }
        let input = Cursor::new("one\n").chain(io::BufReader::new(Broken));
        let mut lines = Lines::new(Path::new("f"), Box::new(input));
        assert!(lines.read().unwrap().is_ok());
        let error = lines.read().unwrap().unwrap_err();
        assert!(matches!(error, Error::Io { .. }));
        assert!(lines.read().is_none());
    }

    #[test]
    fn both_kinds_of_line_end_are_no_content() {
        for line in ["a", "a\n", "a\r\n", "a\r"] {
            assert_eq!(content(line.as_bytes()), b"a");
        }
    }
}
