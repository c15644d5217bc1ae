//! Reading documents: files, directories, globs, compressed or not, as text or JSON Lines.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bert_core::config::BadRows;
use bert_core::error::{Error, Result};
use bert_core::files::{extension, unpacked};

use super::row::text_of_row;
use super::sentences::split;
use crate::config::{CorpusConfig, Documents, Sentences};

/// A document longer than this is cut, so that memory stays bounded on a file that is one document.
const MAX_DOCUMENT_BYTES: usize = 4 << 20;

/// A line of JSON longer than this is an error: its file is of another kind, or hostile.
const MAX_LINE_BYTES: usize = 64 << 20;

/// So many of the lines that are left out are named.
const SHOWN_BAD_LINES: u64 = 10;

/// Kinds of files that are not unpacked, by the ends of their names.
const ARCHIVES: [&str; 12] = [
    "7z", "bz2", "lz4", "lzma", "rar", "tar", "tbz2", "tgz", "txz", "xz", "z", "zip",
];

/// Kinds of files whose syntax would be learnt as text.
const JSON: [&str; 3] = ["json", "jsonl", "ndjson"];

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// The sentences of a document.
pub type RawDocument = Vec<String>;

/// The files of a corpus, in order; none of the built-in one.
///
/// # Errors
/// [`Error::Usage`] where a path or glob names nothing, or a file of a kind that is not read.
pub(super) fn files(corpus: &CorpusConfig) -> Result<Vec<PathBuf>> {
    let (paths, as_text) = match corpus {
        CorpusConfig::Sample { .. } => return Ok(Vec::new()),
        CorpusConfig::Text { paths, .. } => (paths, true),
        CorpusConfig::Jsonl { paths, .. } => (paths, false),
    };
    let files = named(paths)?;
    for file in &files {
        check_kind(file, as_text)?;
    }
    Ok(files)
}

fn check_kind(file: &Path, as_text: bool) -> Result<()> {
    let extension = extension(file);
    let (problem, help) = if ARCHIVES.contains(&extension.as_str()) {
        (
            format!("is packed as .{extension}, which is not read"),
            "unpack it, or pack the text itself with gzip or zstd",
        )
    } else if as_text && JSON.contains(&extension.as_str()) {
        (
            "is JSON, which corpus.type \"text\" would take for text".to_string(),
            "read rows of JSON with corpus = {\"type\": \"jsonl\", \"paths\": [...], \"field\": \"text\"}",
        )
    } else {
        return Ok(());
    };
    Err(Error::Usage {
        problem: format!("corpus.paths: {} {problem}", file.display()),
        help: help.into(),
    })
}

/// The files that paths and globs name.
fn named(paths: &[String]) -> Result<Vec<PathBuf>> {
    let nothing = |path: &str, why: &str| Error::Usage {
        problem: format!("corpus.paths: {path} {why}"),
        help: "name text files, directories of them, or globs such as data/*.txt.gz".into(),
    };
    let mut files = Vec::new();
    for path in paths {
        let before = files.len();
        if Path::new(path).exists() {
            add(Path::new(path), &mut files)?;
        } else {
            // As in a shell, what is hidden must be named.
            let options = glob::MatchOptions {
                require_literal_leading_dot: true,
                ..Default::default()
            };
            let matches = glob::glob_with(path, options)
                .map_err(|error| nothing(path, &format!("is no pattern ({error})")))?;
            for found in matches {
                let found = found.map_err(|error| {
                    let path = error.path().to_path_buf();
                    Error::io("read", path)(error.into())
                })?;
                add(&found, &mut files)?;
            }
        }
        if files.len() == before {
            return Err(nothing(path, "matches no file"));
        }
    }
    files.sort();
    files.dedup();
    Ok(files)
}

/// A file itself; of a directory, every file below it that is neither hidden nor in a hidden directory. Links are followed.
fn add(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if !path.is_dir() {
        files.push(path.to_path_buf());
        return Ok(());
    }
    let below = walkdir::WalkDir::new(path)
        .follow_links(true)
        .sort_by_file_name();
    let is_shown = |entry: &walkdir::DirEntry| {
        entry.depth() == 0 || !entry.file_name().to_string_lossy().starts_with('.')
    };
    for entry in below.into_iter().filter_entry(is_shown) {
        let entry = entry.map_err(|error| Error::io("read", path)(error.into()))?;
        if entry.file_type().is_file() {
            files.push(entry.into_path());
        }
    }
    Ok(())
}

/// What was read so far; shared between the thread that reads and those that show it.
#[derive(Debug, Default)]
pub struct Reading {
    /// Bytes taken from disk, or generated.
    pub bytes: AtomicU64,
    /// Lines left out because they could not be used.
    pub bad_lines: AtomicU64,
    /// What is wrong with the first of them.
    pub first_bad_lines: Mutex<Vec<String>>,
}

/// Calls `each` with every document of a corpus, in order, until it returns `false`.
///
/// # Errors
/// [`Error::Io`], or [`Error::Data`] naming file and line.
pub fn each_document(
    corpus: &CorpusConfig,
    seed: u64,
    reading: &Arc<Reading>,
    mut each: impl FnMut(RawDocument) -> bool,
) -> Result<()> {
    match corpus {
        CorpusConfig::Sample { documents } => {
            for document in bert_core::sample_data::corpus(seed, *documents) {
                let bytes: usize = document.sentences.iter().map(String::len).sum();
                reading.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
                if !each(document.sentences) {
                    break;
                }
            }
            Ok(())
        }
        CorpusConfig::Text {
            sentences,
            documents,
            bad_lines,
            ..
        } => {
            let long = LongLines::Cut(MAX_DOCUMENT_BYTES);
            for file in files(corpus)? {
                let mut lines = Lines::open(&file, reading, long, *bad_lines)?;
                if !text_documents(&mut lines, *sentences, *documents, &mut each)? {
                    break;
                }
            }
            Ok(())
        }
        CorpusConfig::Jsonl {
            field,
            sentences,
            bad_lines,
            ..
        } => {
            let long = LongLines::Refuse(MAX_LINE_BYTES);
            for file in files(corpus)? {
                let mut lines = Lines::open(&file, reading, long, *bad_lines)?;
                while let Some(line) = lines.next()? {
                    if line.trim().is_empty() {
                        continue;
                    }
                    match text_of_row(&line, field) {
                        Ok(text) if !each(split(&text, *sentences)) => return Ok(()),
                        Ok(_) => {}
                        Err(problem) => lines.bad(problem)?,
                    }
                }
            }
            Ok(())
        }
    }
}

/// `false` where `each` has had enough.
fn text_documents(
    lines: &mut Lines,
    sentences: Sentences,
    documents: Documents,
    each: &mut impl FnMut(RawDocument) -> bool,
) -> Result<bool> {
    let mut text = String::new();
    loop {
        let line = lines.next()?;
        let ends = match (&line, documents) {
            (None, _) => true,
            (Some(line), Documents::BlankLine) => line.trim().is_empty(),
            (Some(_), Documents::File) => false,
        };
        let too_long = text.len() > MAX_DOCUMENT_BYTES;
        if too_long && !ends {
            log::warn!(
                "{}:{}: a document longer than {} MiB is cut here",
                lines.path.display(),
                lines.number,
                MAX_DOCUMENT_BYTES >> 20
            );
        }
        if ends || too_long {
            let document = split(&text, sentences);
            text.clear();
            if !document.is_empty() && !each(document) {
                return Ok(false);
            }
        }
        match line {
            Some(line) => {
                text.push_str(&line);
                text.push('\n');
            }
            None => return Ok(true),
        }
    }
}

/// The lines of a file, decompressed, with their numbers.
struct Lines {
    path: PathBuf,
    reader: Box<dyn BufRead>,
    number: u64,
    /// What follows of a line that was cut.
    rest: Vec<u8>,
    long: LongLines,
    bad_lines: BadRows,
    reading: Arc<Reading>,
}

/// What becomes of a line of more than so many bytes. No line is ever held whole beyond that.
#[derive(Debug, Clone, Copy)]
enum LongLines {
    /// It is cut, between words where there are any.
    Cut(usize),
    /// It is an error.
    Refuse(usize),
}

impl Lines {
    fn open(
        path: &Path,
        reading: &Arc<Reading>,
        long: LongLines,
        bad_lines: BadRows,
    ) -> Result<Self> {
        let file = File::open(path).map_err(Error::io("read", path))?;
        let reading = reading.clone();
        let counted = Counted {
            file,
            reading: reading.clone(),
        };
        let plain = unpacked(path, counted)?;
        Ok(Self {
            path: path.to_path_buf(),
            reader: Box::new(BufReader::with_capacity(1 << 18, plain)),
            number: 0,
            rest: Vec::new(),
            long,
            bad_lines,
            reading,
        })
    }

    /// The next line, or piece of one, without its end.
    fn next(&mut self) -> Result<Option<String>> {
        while let Some(line) = self.next_bytes()? {
            match String::from_utf8(line) {
                Ok(line) => return Ok(Some(line)),
                Err(error) => {
                    let valid = error.utf8_error().valid_up_to();
                    self.bad(format!("not UTF-8 at byte {valid}"))?;
                }
            }
        }
        Ok(None)
    }

    fn next_bytes(&mut self) -> Result<Option<Vec<u8>>> {
        let mut line = std::mem::take(&mut self.rest);
        if line.is_empty() {
            self.number += 1;
        }
        let (LongLines::Cut(limit) | LongLines::Refuse(limit)) = self.long;
        let room = limit.saturating_sub(line.len()) as u64;
        let mut bounded = (&mut self.reader).take(room);
        bounded
            .read_until(b'\n', &mut line)
            .map_err(|error| self.unreadable(&error))?;
        if line.is_empty() {
            return Ok(None);
        }
        if line.len() == limit && !line.ends_with(b"\n") {
            if let LongLines::Refuse(_) = self.long {
                self.bad(format!("the line has more than {limit} bytes"))?;
                drop(line);
                let skipped = self.reader.skip_until(b'\n');
                skipped.map_err(|error| self.unreadable(&error))?;
                // An empty row is no document.
                return Ok(Some(Vec::new()));
            }
            self.rest = line.split_off(place_to_cut(&line));
        }
        for end in [b'\n', b'\r'] {
            line.pop_if(|last| *last == end);
        }
        if self.number == 1 && line.starts_with(BYTE_ORDER_MARK) {
            line.drain(..BYTE_ORDER_MARK.len());
        }
        Ok(Some(line))
    }

    /// Takes note of a line that cannot be used.
    ///
    /// # Errors
    /// Where such lines are refused.
    fn bad(&self, problem: String) -> Result<()> {
        let error = self.error(problem);
        if self.bad_lines == BadRows::Refuse {
            return Err(error);
        }
        if self.reading.bad_lines.fetch_add(1, Ordering::Relaxed) < SHOWN_BAD_LINES {
            let first = self.reading.first_bad_lines.lock();
            let mut first = first.unwrap_or_else(PoisonError::into_inner);
            first.push(error.to_string());
        }
        Ok(())
    }

    fn unreadable(&self, error: &std::io::Error) -> Error {
        Error::Data {
            path: self.path.clone(),
            line: Some(self.number),
            problem: format!("from here the file cannot be read or unpacked ({error})"),
            help: "bring or pack the file again, or leave it out of corpus.paths".into(),
        }
    }

    fn error(&self, problem: String) -> Error {
        Error::Data {
            path: self.path.clone(),
            line: Some(self.number),
            problem,
            help: "mend the line, leave the file out of corpus.paths, or have such lines left out (corpus.bad_lines \"skip\")"
                .into(),
        }
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
    use std::io::Write;

    fn read(corpus: &CorpusConfig) -> Result<Vec<RawDocument>> {
        let mut documents = Vec::new();
        each_document(corpus, 1, &Arc::default(), |document| {
            documents.push(document);
            true
        })?;
        Ok(documents)
    }

    fn text(paths: &[&Path], sentences: Sentences, documents: Documents) -> CorpusConfig {
        CorpusConfig::Text {
            paths: paths
                .iter()
                .map(|path| path.display().to_string())
                .collect(),
            sentences,
            documents,
            bad_lines: BadRows::Refuse,
        }
    }

    #[test]
    fn documents_end_at_blank_lines_or_with_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.txt");
        std::fs::write(&path, "\u{feff}One.\r\nTwo.\r\n\r\n \nThree.").unwrap();
        let lines = text(&[&path], Sentences::Lines, Documents::BlankLine);
        assert_eq!(
            read(&lines).unwrap(),
            [vec!["One.", "Two."], vec!["Three."]]
        );
        let whole = text(&[&path], Sentences::Lines, Documents::File);
        assert_eq!(read(&whole).unwrap(), [["One.", "Two.", "Three."]]);
    }

    #[test]
    fn running_text_is_cut_into_sentences_across_its_lines() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.txt");
        std::fs::write(&path, "It was late\nin the day. Nobody came! Why?").unwrap();
        let split = text(&[&path], Sentences::Split, Documents::BlankLine);
        assert_eq!(
            read(&split).unwrap(),
            [["It was late in the day.", "Nobody came!", "Why?"]]
        );
    }

    #[test]
    fn a_line_without_end_comes_in_pieces_and_nothing_of_it_is_lost() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.txt");
        let pieces = |text: &str, limit| -> Vec<String> {
            std::fs::write(&path, text).unwrap();
            let long = LongLines::Cut(limit);
            let mut lines = Lines::open(&path, &Arc::default(), long, BadRows::Refuse).unwrap();
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
        let open = |bad_lines| {
            let long = LongLines::Refuse(9);
            Lines::open(&path, &Arc::default(), long, bad_lines).unwrap()
        };
        let mut lines = open(BadRows::Refuse);
        assert_eq!(lines.next().unwrap().unwrap(), "12345678");
        let error = lines.next().unwrap_err().to_string();
        assert!(
            error.contains("a.txt:2: the line has more than 9 bytes"),
            "{error}"
        );
        std::fs::write(&path, "one\n123456789123456789\ntwo\nthree").unwrap();
        let mut lines = open(BadRows::Skip);
        let read: Vec<_> = std::iter::from_fn(|| lines.next().unwrap()).collect();
        assert_eq!(read, ["one", "", "two", "three"]);
        assert_eq!(lines.reading.bad_lines.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn compressed_files_and_directories_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let gz = File::create(directory.path().join("a.txt.gz")).unwrap();
        let mut gz = flate2::write::GzEncoder::new(gz, flate2::Compression::default());
        gz.write_all(b"Zipped.\n").unwrap();
        gz.finish().unwrap();
        let zst = zstd::encode_all(&b"Packed.\n"[..], 1).unwrap();
        std::fs::write(directory.path().join("b.txt.zst"), zst).unwrap();
        let all = text(&[directory.path()], Sentences::Lines, Documents::File);
        assert_eq!(read(&all).unwrap(), [["Zipped."], ["Packed."]]);
    }

    #[test]
    fn kinds_of_files_that_would_be_learnt_as_they_are_packed_are_refused_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let refused = |name: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, "Text.\n").unwrap();
            let corpus = text(&[directory.path()], Sentences::Lines, Documents::File);
            let error = read(&corpus).unwrap_err();
            std::fs::remove_file(&path).unwrap();
            assert_eq!(error.exit_code(), 2);
            let message = error.to_string();
            assert!(message.contains(name), "{message}");
            message
        };
        for name in ["a.txt.bz2", "a.tar.gz", "a.TGZ", "a.xz", "a.zip"] {
            assert!(refused(name).contains("which is not read"), "{name}");
        }
        for name in ["a.jsonl", "a.jsonl.gz", "a.json", "a.ndjson.zst"] {
            assert!(refused(name).contains("is JSON"), "{name}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_what_is_hidden_is_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("corpus");
        std::fs::create_dir_all(root.join(".git")).unwrap();
        std::fs::create_dir(directory.path().join("elsewhere")).unwrap();
        for (name, text) in [
            ("corpus/a.txt", "Here.\n"),
            ("corpus/.b.txt", "Hidden.\n"),
            ("corpus/.git/c.txt", "Hidden too.\n"),
            ("elsewhere/d.txt", "There.\n"),
        ] {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        std::os::unix::fs::symlink("../elsewhere", root.join("linked")).unwrap();
        std::os::unix::fs::symlink("../elsewhere/d.txt", root.join("z.txt")).unwrap();
        let all = text(&[&root], Sentences::Lines, Documents::File);
        assert_eq!(read(&all).unwrap(), [["Here."], ["There."], ["There."]]);
    }

    #[test]
    fn bad_input_is_named_by_file_and_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bad.txt");
        std::fs::write(&path, b"fine\n\xff\xfe\n").unwrap();
        let lines = text(&[&path], Sentences::Lines, Documents::File);
        let message = read(&lines).unwrap_err().to_string();
        assert!(message.contains("bad.txt:2: not UTF-8"), "{message}");

        let path = directory.path().join("bad.jsonl");
        std::fs::write(&path, "{\"text\": \"Fine.\"}\n\n{\"body\": 1}\n").unwrap();
        let jsonl = CorpusConfig::Jsonl {
            paths: vec![path.display().to_string()],
            field: "text".into(),
            sentences: Sentences::Split,
            bad_lines: BadRows::Refuse,
        };
        let message = read(&jsonl).unwrap_err().to_string();
        assert!(
            message.contains("bad.jsonl:3: no field \"text\""),
            "{message}"
        );

        std::fs::write(&path, "{\"text\": \"Fine.\"}\n{\"text\": [0, 0]}\n").unwrap();
        let message = read(&jsonl).unwrap_err().to_string();
        assert!(
            message.contains("bad.jsonl:2: field \"text\" is not a string"),
            "{message}"
        );

        let mut skipping = jsonl.clone();
        let CorpusConfig::Jsonl { bad_lines, .. } = &mut skipping else {
            unreachable!("it was just made");
        };
        *bad_lines = BadRows::Skip;
        let rows = b"{\"text\": null}\n{\"text\": \"\xff\"}\n{\"text\": \"Fine.\"}\nnot JSON\n";
        std::fs::write(&path, rows).unwrap();
        let reading = Arc::default();
        let mut documents = Vec::new();
        each_document(&skipping, 1, &reading, |document| {
            documents.push(document);
            true
        })
        .unwrap();
        assert_eq!(documents, [["Fine."]]);
        assert_eq!(reading.bad_lines.load(Ordering::Relaxed), 3);

        let none = directory.path().join("*.none");
        let glob = text(&[&none], Sentences::Lines, Documents::File);
        let message = read(&glob).unwrap_err().to_string();
        assert!(message.contains("matches no file"), "{message}");
    }
}
