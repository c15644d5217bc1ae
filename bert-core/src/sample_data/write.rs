//! The sample as files, in the formats that people bring their own data in.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::articles::{Document, document};
use super::continuations::continuations;
use super::entities::{TaggedSentence, entities};
use super::fields::fields;
use super::pairs::pairs;
use super::questions::{question_file, questions};
use super::rows::Splits;
use super::sentiment::sentiment;
use super::similarity::similarity;
use crate::error::{Error, Result};
use crate::files::write_atomically_with;

/// How many documents the corpus has unless asked otherwise: about 4 MB of text and 0.9 million WordPieces, so
/// that a first run of some hundred steps sees most sentences only a few times.
pub const DEFAULT_DOCUMENTS: usize = 4000;

/// A file that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Where.
    pub path: PathBuf,
    /// How many documents, rows, sentences or questions it has.
    pub rows: usize,
    /// What they are: "documents", "reviews" and so on.
    pub what: &'static str,
}

/// The first `documents` documents of a seed, made as they are asked for.
pub fn corpus(seed: u64, documents: usize) -> impl Iterator<Item = Document> + Send {
    (0..documents as u64).map(move |index| document(seed, index))
}

/// Writes the first `documents` documents of a seed as text: a sentence a line, an empty line between documents.
///
/// # Errors
/// What `to` returns.
pub fn corpus_text(seed: u64, documents: usize, to: &mut impl Write) -> io::Result<()> {
    for (index, document) in corpus(seed, documents).enumerate() {
        if index > 0 {
            writeln!(to)?;
        }
        for sentence in &document.sentences {
            writeln!(to, "{sentence}")?;
        }
    }
    Ok(())
}

/// Writes the corpus and the labelled sets into a directory, which is created if need be. Files of these
/// names are replaced; others are left alone.
///
/// # Errors
/// [`crate::error::Error::Io`]; files written before it are complete.
pub fn write(directory: &Path, seed: u64) -> Result<Vec<Written>> {
    let mut to = Writer {
        directory,
        written: Vec::new(),
    };
    to.file("corpus.txt", DEFAULT_DOCUMENTS, "documents", |file| {
        corpus_text(seed, DEFAULT_DOCUMENTS, file)
    })?;
    for set in LABELLED {
        to.labelled(set, seed)?;
    }
    to.file("README.txt", 1, "note", |file| {
        file.write_all(README.as_bytes())
    })?;
    Ok(to.written)
}

/// The names of the labelled sets, which are those of their directories.
pub const LABELLED: [&str; 7] = [
    "sentiment",
    "entities",
    "pairs",
    "questions",
    "similarity",
    "fields",
    "continuations",
];

/// Writes one labelled set, of [`LABELLED`], as [`write()`] does: its training, validation and test file, in this order.
///
/// # Errors
/// [`Error::Usage`] where there is no such set, or [`Error::Io`].
pub fn write_labelled(directory: &Path, seed: u64, set: &str) -> Result<Vec<Written>> {
    let mut to = Writer {
        directory,
        written: Vec::new(),
    };
    to.labelled(set, seed)?;
    Ok(to.written)
}

struct Writer<'a> {
    directory: &'a Path,
    written: Vec<Written>,
}

impl Writer<'_> {
    /// The three files of a set, of [`LABELLED`].
    fn labelled(&mut self, set: &str, seed: u64) -> Result<()> {
        match set {
            "sentiment" => self.tables(
                ["text", "label"],
                (set, "reviews"),
                &sentiment(seed),
                |row| [row.text.clone(), row.label.into()],
            ),
            "pairs" => self.tables(
                ["text", "text_pair", "label"],
                (set, "pairs"),
                &pairs(seed),
                |row| [row.text.clone(), row.text_pair.clone(), row.label.into()],
            ),
            "similarity" => self.tables(
                ["text", "text_pair", "score"],
                (set, "pairs"),
                &similarity(seed),
                |row| {
                    let score = row.score.to_string();
                    [row.text.clone(), row.text_pair.clone(), score]
                },
            ),
            "fields" => self.tables(["text", "labels"], (set, "texts"), &fields(seed), |row| {
                [row.text.clone(), row.labels.join(",")]
            }),
            "entities" => {
                for (split, rows) in entities(seed).named() {
                    let name = format!("entities/{split}.txt");
                    self.file(&name, rows.len(), "sentences", |file| columns(file, rows))?;
                }
                Ok(())
            }
            "continuations" => {
                for (split, rows) in continuations(seed).named() {
                    let name = format!("continuations/{split}.jsonl");
                    self.file(&name, rows.len(), "choices", |file| {
                        for row in rows {
                            serde_json::to_writer(&mut *file, row)?;
                            writeln!(file)?;
                        }
                        Ok(())
                    })?;
                }
                Ok(())
            }
            "questions" => {
                for (split, articles) in questions(seed).named() {
                    let paragraphs = articles.iter().flat_map(|article| &article.paragraphs);
                    let asked = paragraphs.map(|paragraph| paragraph.qas.len()).sum();
                    let name = format!("questions/{split}.json");
                    self.file(&name, asked, "questions", |file| {
                        serde_json::to_writer_pretty(&mut *file, &question_file(articles))?;
                        writeln!(file)
                    })?;
                }
                Ok(())
            }
            _ => Err(Error::Usage {
                problem: format!("there is no built-in set \"{set}\""),
                help: format!("choose one of {}", LABELLED.join(", ")),
            }),
        }
    }

    /// A header row and rows, separated by tabs. No cell has a tab, a line break or a quotation mark: tested.
    fn tables<T, const N: usize>(
        &mut self,
        header: [&str; N],
        (set, what): (&str, &'static str),
        splits: &Splits<T>,
        cells: impl Fn(&T) -> [String; N],
    ) -> Result<()> {
        for (split, rows) in splits.named() {
            self.file(&format!("{set}/{split}.tsv"), rows.len(), what, |file| {
                writeln!(file, "{}", header.join("\t"))?;
                for row in rows {
                    writeln!(file, "{}", cells(row).join("\t"))?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    fn file(
        &mut self,
        name: &str,
        rows: usize,
        what: &'static str,
        fill: impl FnOnce(&mut io::BufWriter<std::fs::File>) -> io::Result<()>,
    ) -> Result<()> {
        let path = self.directory.join(name);
        write_atomically_with(&path, |file| fill(file).map_err(Error::io("write", &path)))?;
        self.written.push(Written { path, rows, what });
        Ok(())
    }
}

/// A token and its tag a line, an empty line after each sentence.
fn columns(to: &mut impl Write, sentences: &[TaggedSentence]) -> io::Result<()> {
    for sentence in sentences {
        for token in sentence {
            writeln!(to, "{} {}", token.text, token.tag)?;
        }
        writeln!(to)?;
    }
    Ok(())
}

const README: &str = "\
Sample data: the gazette of made-up towns

Everything here was generated by a program from a grammar and word lists of its own. Nobody wrote these
articles, nothing in them happened, and every person and town in them is made up, whoever else may have the
name. The same seed gives the same files. They are small and regular on purpose: good for seeing that
training works, and for tests, but a score on them says nothing about real text.

corpus.txt                 articles to pre-train on: a sentence a line, an empty line between articles
sentiment/{train,valid,test}.tsv   text, label: reviews, \"positive\" or \"negative\"
entities/{train,valid,test}.txt    two columns, token and tag: names in IOB2, PER, LOC, ORG and MISC
pairs/{train,valid,test}.tsv       text, text_pair, label: \"entailment\", \"neutral\" or \"contradiction\"
questions/{train,valid,test}.json  questions about short articles as in SQuAD 2.0; a third have no answer
similarity/{train,valid,test}.tsv  text, text_pair, score: how much both say the same, from 0 to 5
fields/{train,valid,test}.tsv      text, labels: the fields a text touches, separated by commas
continuations/{train,valid,test}.jsonl   question, choices, label: which sentence comes next

No row is in two splits. The .tsv files have a header row. All text is UTF-8.

Licence: MIT OR Apache-2.0, as the program that generated it.
";

#[cfg(test)]
mod tests {
    use super::*;

    fn text(seed: u64, documents: usize) -> String {
        let mut bytes = Vec::new();
        corpus_text(seed, documents, &mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_text_has_a_sentence_a_line_and_an_empty_line_between_documents() {
        let expected: Vec<_> = (0..7)
            .map(|index| document(3, index).sentences.join("\n"))
            .collect();
        assert_eq!(text(3, 7), expected.join("\n\n") + "\n");
        assert_eq!(text(3, 0), "");
    }

    #[test]
    fn writing_twice_gives_the_same_bytes_and_leaves_other_files_alone() {
        let directory = tempfile::tempdir().unwrap();
        let bystander = directory.path().join("mine.txt");
        std::fs::write(&bystander, "mine").unwrap();
        let read = |written: &[Written]| -> Vec<_> {
            written
                .iter()
                .map(|file| std::fs::read(&file.path).unwrap())
                .collect()
        };
        let first = write(directory.path(), 5).unwrap();
        assert_eq!(first.len(), 1 + 7 * 3 + 1);
        let before = read(&first);
        let second = write(directory.path(), 5).unwrap();
        assert_eq!(first, second);
        assert_eq!(before, read(&second));
        assert_eq!(std::fs::read(bystander).unwrap(), b"mine");
    }

    #[test]
    fn tables_have_as_many_cells_in_every_row_and_the_rows_that_were_reported() {
        let directory = tempfile::tempdir().unwrap();
        for file in write(directory.path(), 6).unwrap() {
            let content = std::fs::read_to_string(&file.path).unwrap();
            match file
                .path
                .extension()
                .and_then(|extension| extension.to_str())
            {
                Some("tsv") => {
                    let cells = if file.what.ends_with("pairs") { 3 } else { 2 };
                    assert!(
                        content
                            .lines()
                            .all(|line| line.split('\t').count() == cells)
                    );
                    assert!(!content.contains('"'));
                    assert_eq!(content.lines().count(), 1 + file.rows);
                }
                Some("json") => {
                    let json: serde_json::Value = serde_json::from_str(&content).unwrap();
                    assert_eq!(json["version"], "v2.0");
                    assert_eq!(content.matches("\"is_impossible\"").count(), file.rows);
                }
                _ if file.what == "sentences" => {
                    assert_eq!(
                        content.lines().filter(|line| line.is_empty()).count(),
                        file.rows
                    );
                }
                _ => {}
            }
        }
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_an_error_with_its_path() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = write(&file, 1).unwrap_err();
        assert!(error.to_string().contains("file"), "{error}");
    }
}
