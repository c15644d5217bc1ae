//! Reading documents: files, directories, globs, compressed or not, as text or JSON Lines.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bert_core::error::{Error, Result};
use bert_core::files::extension;

use super::document::RawDocument;
use super::lines::{Lines, LongLines, Place, Reading};
use crate::config::{CorpusConfig, Documents, Sentences};

/// A document longer than this is cut, so that memory stays bounded on a file that is one document.
pub(super) const MAX_DOCUMENT_BYTES: usize = 4 << 20;

/// A line of JSON longer than this is an error: its file is of another kind, or hostile.
const MAX_LINE_BYTES: usize = 64 << 20;

/// Kinds of files that are not unpacked, by the ends of their names.
const ARCHIVES: [&str; 12] = [
    "7z", "bz2", "lz4", "lzma", "rar", "tar", "tbz2", "tgz", "txz", "xz", "z", "zip",
];

/// Kinds of files whose syntax would be learnt as text.
const JSON: [&str; 3] = ["json", "jsonl", "ndjson"];

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
                let text = document.sentences.join("\n");
                if !each(RawDocument::of_text(text, Sentences::Lines)) {
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
            for (number, path) in files(corpus)?.iter().enumerate() {
                let before = Place::before(path, number, *bad_lines, reading);
                let mut lines = Lines::open(before, LongLines::Cut(MAX_DOCUMENT_BYTES))?;
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
            let field = field.as_str().into();
            for (number, path) in files(corpus)?.iter().enumerate() {
                let before = Place::before(path, number, *bad_lines, reading);
                let mut lines = Lines::open(before, LongLines::Refuse(MAX_LINE_BYTES))?;
                while let Some(line) = lines.next()? {
                    if line.trim().is_empty() {
                        continue;
                    }
                    let place = lines.place.clone();
                    if !each(RawDocument::of_row(line, &field, place, *sentences)) {
                        return Ok(());
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
            let cut = &lines.place.reading.cut_documents;
            cut.fetch_add(1, Ordering::Relaxed);
            log::info!(
                "{}: a document longer than {} MiB is cut here",
                lines.place,
                MAX_DOCUMENT_BYTES >> 20
            );
        }
        if ends || too_long {
            let text = std::mem::take(&mut text);
            if !text.trim().is_empty() && !each(RawDocument::of_text(text, sentences)) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use bert_core::config::BadRows;
    use std::fs::File;
    use std::io::Write;

    fn read(corpus: &CorpusConfig) -> Result<Vec<Vec<String>>> {
        read_noting(corpus, &Arc::default())
    }

    fn read_noting(corpus: &CorpusConfig, reading: &Arc<Reading>) -> Result<Vec<Vec<String>>> {
        let mut documents = Vec::new();
        each_document(corpus, 1, reading, |document| {
            documents.push(document);
            true
        })?;
        let read: Result<Vec<_>> = documents.iter().map(RawDocument::sentences).collect();
        Ok(read?.into_iter().flatten().collect())
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
        assert_eq!(read_noting(&skipping, &reading).unwrap(), [["Fine."]]);
        assert_eq!(reading.bad_lines.load(Ordering::Relaxed), 3);
        let first = reading.first_bad_lines();
        for (line, named) in [1, 2, 4].into_iter().zip(&first) {
            let place = format!("bad.jsonl:{line}:");
            assert!(named.contains(&place), "{named}");
        }
        // Of more the first are named, whoever finds them first.
        let rows: String = (0..30).map(|row| format!("row {row}\n")).collect();
        std::fs::write(&path, rows + "{\"text\": \"Fine.\"}\n").unwrap();
        let (reading, mut documents) = (Arc::default(), Vec::new());
        each_document(&skipping, 1, &reading, |document| {
            documents.insert(0, document);
            true
        })
        .unwrap();
        let usable = documents
            .iter()
            .map(|document| document.sentences().unwrap());
        assert_eq!(usable.flatten().count(), 1);
        assert_eq!(reading.bad_lines.load(Ordering::Relaxed), 30);
        let first = reading.first_bad_lines();
        assert_eq!(first.len(), 10);
        assert!(first[0].contains("bad.jsonl:1:") && first[9].contains("bad.jsonl:10:"));

        let none = directory.path().join("*.none");
        let glob = text(&[&none], Sentences::Lines, Documents::File);
        let message = read(&glob).unwrap_err().to_string();
        assert!(message.contains("matches no file"), "{message}");
    }
}
