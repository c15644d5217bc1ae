//! Lines of files, one after the other, with what is wrong with some.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bert_core::config::BadRows;
use bert_core::error::{Error, Result};
use bert_core::files::unpacked;

/// So many of the lines that are left out are named.
const SHOWN_BAD_LINES: usize = 10;

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// What was read so far; shared between the thread that reads and those that show it.
#[derive(Debug, Default)]
pub struct Reading {
    /// Bytes taken from disk, or generated.
    pub bytes: AtomicU64,
    /// Documents cut in two because they were too long.
    pub(super) cut_documents: AtomicU64,
    /// Lines left out because they could not be used.
    pub bad_lines: AtomicU64,
    /// What is wrong with the first of them, by the numbers of file and line: several threads find them.
    first_bad_lines: Mutex<BTreeMap<(usize, u64), String>>,
}

impl Reading {
    /// What is wrong with the first of the lines left out, in their order.
    pub(super) fn first_bad_lines(&self) -> Vec<String> {
        let first = self.first_bad_lines.lock();
        let first = first.unwrap_or_else(PoisonError::into_inner);
        first.values().cloned().collect()
    }
}

/// A line of a corpus, and what becomes of it if it cannot be used.
#[derive(Debug, Clone)]
pub(super) struct Place {
    path: Arc<Path>,
    /// Which of the corpus's files that is.
    file: usize,
    /// From 1 on.
    line: u64,
    bad_lines: BadRows,
    pub(super) reading: Arc<Reading>,
}

impl Place {
    /// Before the first line of a file.
    pub(super) fn before(
        path: &Path,
        file: usize,
        bad_lines: BadRows,
        reading: &Arc<Reading>,
    ) -> Self {
        Self {
            path: path.into(),
            file,
            line: 0,
            bad_lines,
            reading: reading.clone(),
        }
    }

    /// Takes note of a line that cannot be used.
    ///
    /// # Errors
    /// Where such lines are refused.
    pub(super) fn bad(&self, problem: String) -> Result<()> {
        let error = self.error(problem);
        if self.bad_lines == BadRows::Refuse {
            return Err(error);
        }
        self.reading.bad_lines.fetch_add(1, Ordering::Relaxed);
        let first = self.reading.first_bad_lines.lock();
        let mut first = first.unwrap_or_else(PoisonError::into_inner);
        first.insert((self.file, self.line), error.to_string());
        if first.len() > SHOWN_BAD_LINES {
            first.pop_last();
        }
        Ok(())
    }

    fn error(&self, problem: String) -> Error {
        Error::Data {
            path: self.path.to_path_buf(),
            line: Some(self.line),
            problem,
            help: "mend the line, leave the file out of corpus.paths, or have such lines left out (corpus.bad_lines \"skip\")"
                .into(),
        }
    }

    fn unreadable(&self, error: &std::io::Error) -> Error {
        Error::Data {
            path: self.path.to_path_buf(),
            line: Some(self.line),
            problem: format!("from here the file cannot be read or unpacked ({error})"),
            help: "bring or pack the file again, or leave it out of corpus.paths".into(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.path.display(), self.line)
    }
}

/// The lines of a file, decompressed, with their numbers.
pub(super) struct Lines {
    /// Where the line handed out last is.
    pub(super) place: Place,
    reader: Box<dyn BufRead>,
    /// What follows of a line that was cut.
    rest: Vec<u8>,
    long: LongLines,
}

/// What becomes of a line of more than so many bytes. No line is ever held whole beyond that.
#[derive(Debug, Clone, Copy)]
pub(super) enum LongLines {
    /// It is cut, between words where there are any.
    Cut(usize),
    /// It is an error.
    Refuse(usize),
}

impl Lines {
    pub(super) fn open(before: Place, long: LongLines) -> Result<Self> {
        let path = &*before.path;
        let file = File::open(path).map_err(Error::io("read", path))?;
        let counted = Counted {
            file,
            reading: before.reading.clone(),
        };
        let plain = unpacked(path, counted)?;
        Ok(Self {
            place: before,
            reader: Box::new(BufReader::with_capacity(1 << 18, plain)),
            rest: Vec::new(),
            long,
        })
    }

    /// The next line, or piece of one, without its end.
    pub(super) fn next(&mut self) -> Result<Option<String>> {
        while let Some(line) = self.next_bytes()? {
            match String::from_utf8(line) {
                Ok(line) => return Ok(Some(line)),
                Err(error) => {
                    let valid = error.utf8_error().valid_up_to();
                    self.place.bad(format!("not UTF-8 at byte {valid}"))?;
                }
            }
        }
        Ok(None)
    }

    fn next_bytes(&mut self) -> Result<Option<Vec<u8>>> {
        let mut line = std::mem::take(&mut self.rest);
        if line.is_empty() {
            self.place.line += 1;
        }
        let (LongLines::Cut(limit) | LongLines::Refuse(limit)) = self.long;
        let room = limit.saturating_sub(line.len()) as u64;
        let mut bounded = (&mut self.reader).take(room);
        bounded
            .read_until(b'\n', &mut line)
            .map_err(|error| self.place.unreadable(&error))?;
        if line.is_empty() {
            return Ok(None);
        }
        if line.len() == limit && !line.ends_with(b"\n") {
            if let LongLines::Refuse(_) = self.long {
                let place = &self.place;
                place.bad(format!("the line has more than {limit} bytes"))?;
                drop(line);
                let skipped = self.reader.skip_until(b'\n');
                skipped.map_err(|error| self.place.unreadable(&error))?;
                // An empty row is no document.
                return Ok(Some(Vec::new()));
            }
            self.rest = line.split_off(place_to_cut(&line));
        }
        for end in [b'\n', b'\r'] {
            line.pop_if(|last| *last == end);
        }
        if self.place.line == 1 && line.starts_with(BYTE_ORDER_MARK) {
            line.drain(..BYTE_ORDER_MARK.len());
        }
        Ok(Some(line))
    }
}

/// After the last white space, or else before the last character, which may go on; never at the beginning.
fn place_to_cut(line: &[u8]) -> usize {
    let space = line.iter().rposition(u8::is_ascii_whitespace);
    let character = line.iter().rposition(|byte| byte & 0xC0 != 0x80);
    let place = space.map(|place| place + 1).or(character);
    place.filter(|place| *place > 0).unwrap_or(line.len())
}

struct Counted {
    file: File,
    reading: Arc<Reading>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.reading
            .bytes
            .fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_end_comes_in_pieces_and_nothing_of_it_is_lost() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.txt");
        let open = |long, bad_lines| {
            let before = Place::before(&path, 0, bad_lines, &Arc::default());
            Lines::open(before, long).unwrap()
        };
        let pieces = |text: &str, limit| -> Vec<String> {
            std::fs::write(&path, text).unwrap();
            let long = LongLines::Cut(limit);
            let mut lines = open(long, BadRows::Refuse);
            std::iter::from_fn(|| lines.next().unwrap()).collect()
        };
        assert_eq!(pieces("one two three\nx", 9), ["one two ", "three", "x"]);
        assert_eq!(
            pieces("\u{20ac}\u{20ac}\u{20ac}", 7),
            ["\u{20ac}\u{20ac}", "\u{20ac}"]
        );
        for limit in 4..20 {
            let text = "a few words\u{20ac} and\u{20ac}\u{20ac}\u{20ac}more";
            assert_eq!(pieces(text, limit).concat(), text, "{limit}");
        }
        std::fs::write(&path, "12345678\n123456789\n").unwrap();
        let mut lines = open(LongLines::Refuse(9), BadRows::Refuse);
        assert_eq!(lines.next().unwrap().unwrap(), "12345678");
        let error = lines.next().unwrap_err().to_string();
        assert!(
            error.contains("a.txt:2: the line has more than 9 bytes"),
            "{error}"
        );
        std::fs::write(&path, "one\n123456789123456789\ntwo\nthree").unwrap();
        let mut lines = open(LongLines::Refuse(9), BadRows::Skip);
        let read: Vec<_> = std::iter::from_fn(|| lines.next().unwrap()).collect();
        assert_eq!(read, ["one", "", "two", "three"]);
        assert_eq!(lines.place.reading.bad_lines.load(Ordering::Relaxed), 1);
    }
}
