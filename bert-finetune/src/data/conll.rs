//! Sentences of words and tags in columns, one word a line, as in CoNLL-2003.
//!
//! Columns are separated by tabs in a line that has one, otherwise by runs of spaces. A blank line
//! ends a sentence. `-DOCSTART-` lines are no words, nor are comments: lines that begin with `# `,
//! have no tab, and say ` = ` or are one of CoNLL-U's `# newdoc` and `# newpar`, and before the first
//! word of a sentence any line that begins with `#` and has not as many columns as words have.
//! CoNLL-U's lines for several words together (`1-2`) are not known here and count as words.

use std::io::BufRead;
use std::path::Path;

use bert_core::error::{Error, Result};
use bert_core::files::{Lines, content, peek};

/// So many bytes of a file tell how it is written.
pub const SNIFFED: usize = 64 << 10;

/// One sentence that has at least one word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentence {
    /// The line of its first word, counted from 1.
    pub line: u64,
    /// Its words.
    pub words: Vec<String>,
    /// A tag for each word; empty where tags are not wanted.
    pub tags: Vec<String>,
}

/// Which columns to read, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Columns {
    /// The column of the words.
    pub word: usize,
    /// The column of the tags; where there is none it is the last.
    pub tag: Option<usize>,
    /// Whether to read tags: a file to make predictions for may have none.
    pub tags_wanted: bool,
}

/// Whether a file, whose tags may be missing, has a word a line rather than a text, by its first [`SNIFFED`] bytes: all
/// lines have the same columns, and the last of several has nothing but tags of entities, or blank lines end sentences of
/// several words; where there is one column, its words must be cut as words are, with punctuation on lines of its own.
pub fn looks_like_columns(start: &[u8]) -> bool {
    let text = String::from_utf8_lossy(start);
    // A last line may be cut off.
    let whole = match start.len() == SNIFFED {
        true => text.rsplit_once('\n').map_or("", |(whole, _)| whole),
        false => &text,
    };
    let lines: Vec<&str> = whole.lines().filter(|line| !is_comment(line)).collect();
    let sentences = lines.split(|line| ends_sentence(line.as_bytes()));
    let sentences: Vec<_> = sentences.filter(|sentence| !sentence.is_empty()).collect();
    let words: Vec<Vec<&str>> = sentences
        .iter()
        .flat_map(|sentence| sentence.iter())
        .map(|line| cells(line.trim_end()))
        .collect();
    let Some(width) = words.first().map(Vec::len) else {
        return true;
    };
    let is_tag = |tag: &&str| {
        let marks = |(prefix, _)| ["B", "I", "E", "S", "L", "U"].contains(&prefix);
        *tag == "O" || tag.split_once('-').is_some_and(marks)
    };
    let same = words.iter().all(|cells| cells.len() == width);
    let separated = sentences.len() > 1 && sentences.iter().any(|sentence| sentence.len() > 1);
    let tagged = || words.iter().all(|cells| cells.last().is_some_and(is_tag));
    let is_punctuation = |word: &str| !word.contains(char::is_alphanumeric);
    let cut = || {
        words
            .iter()
            .any(|cells| cells.iter().all(|word| is_punctuation(word)))
    };
    same && match width {
        1 => separated && cut(),
        _ => separated || tagged(),
    }
}

/// The sentences of one input, in order. An [`Error::Data`] stands for one sentence, with the
/// first thing wrong in it, and the next sentence follows.
pub struct Sentences {
    lines: Lines,
    columns: Columns,
    /// The number of columns of the file's first word.
    width: Option<usize>,
}

impl Sentences {
    /// The sentences of an input that messages call by this path.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] where its first bytes cannot be read.
    pub fn from_reader(
        path: &Path,
        columns: Columns,
        input: Box<dyn BufRead + Send>,
    ) -> Result<Self> {
        let (start, input) = peek(path, input, SNIFFED)?;
        let mut lines = start.split(|byte| *byte == b'\n');
        let word = lines.find(|line| !ends_sentence(line) && !line.starts_with(b"#"));
        Ok(Self {
            lines: Lines::new(path, input),
            columns,
            width: word.map(|line| cells(String::from_utf8_lossy(content(line)).as_ref()).len()),
        })
    }

    /// Whether a line is none of the sentence's words.
    fn is_comment(&self, sentence: &Sentence, line: &str) -> bool {
        let is_other = || self.width.is_some_and(|width| cells(line).len() != width);
        is_comment(line) || line.starts_with('#') && sentence.words.is_empty() && is_other()
    }

    /// Adds the word of a line to the sentence.
    fn add(&mut self, sentence: &mut Sentence, text: &str) -> Result<()> {
        let line = self.lines.number();
        if text.contains('\r') {
            return Err(self.lines.error(
                line,
                "the line has a carriage return inside".into(),
                "end lines with a line feed, not with a carriage return alone",
            ));
        }
        let cells = cells(text);
        let width = *self.width.get_or_insert(cells.len());
        if cells.len() != width {
            let problem = format!(
                "the line has {} columns and the first word of the file {width}",
                cells.len()
            );
            return Err(self.lines.error(
                line,
                problem,
                "give every word the same columns, and end sentences with a blank line",
            ));
        }
        let word = self.cell(&cells, self.columns.word, "word")?;
        if self.columns.tags_wanted {
            let tag = self.columns.tag.unwrap_or(width - 1);
            if tag == self.columns.word {
                let problem = format!("column {} has the words, and no other the tags", tag + 1);
                return Err(self.lines.error(
                    line,
                    problem,
                    "write words and tags in two columns, separated by a tab or spaces",
                ));
            }
            let tag = self.cell(&cells, tag, "tag")?;
            sentence.tags.push(tag.to_owned());
        }
        if sentence.words.is_empty() {
            sentence.line = line;
        }
        sentence.words.push(word.to_owned());
        Ok(())
    }

    fn cell<'a>(&self, cells: &[&'a str], column: usize, what: &str) -> Result<&'a str> {
        let problem = match cells.get(column) {
            Some(cell) if !cell.is_empty() => return Ok(cell),
            Some(_) => format!("the {what} in column {} is empty", column + 1),
            None => format!(
                "there is no {what} in column {}: the line has {}",
                column + 1,
                cells.len()
            ),
        };
        Err(self.lines.error(
            self.lines.number(),
            problem,
            "check which columns were asked for, and that this line has them",
        ))
    }
}

impl Iterator for Sentences {
    type Item = Result<Sentence>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut sentence = Sentence {
            line: 0,
            words: Vec::new(),
            tags: Vec::new(),
        };
        let mut length = 0;
        let mut wrong = None;
        while let Some(bytes) = self.lines.read() {
            let number = self.lines.number();
            let added = match bytes {
                Err(error @ Error::Io { .. }) => return Some(Err(error)),
                Ok(bytes) if ends_sentence(&bytes) => {
                    if wrong.is_some() || !sentence.words.is_empty() {
                        break;
                    }
                    continue;
                }
                // What follows the first error is read only to find the end of the sentence.
                _ if wrong.is_some() => continue,
                Ok(bytes) if length + bytes.len() > self.lines.limit => {
                    Err(self.lines.too_long(number))
                }
                Ok(bytes) => {
                    length += bytes.len();
                    self.lines
                        .text(number, content(&bytes).to_vec())
                        .and_then(|text| match self.is_comment(&sentence, &text) {
                            true => Ok(()),
                            false => self.add(&mut sentence, &text),
                        })
                }
                Err(error) => Err(error),
            };
            wrong = added.err();
        }
        match wrong {
            Some(error) => Some(Err(error)),
            None if sentence.words.is_empty() => None,
            None => Some(Ok(sentence)),
        }
    }
}

fn ends_sentence(line: &[u8]) -> bool {
    line.trim_ascii().is_empty() || line.starts_with(b"-DOCSTART-")
}

fn is_comment(line: &str) -> bool {
    line.starts_with("# ")
        && !line.contains('\t')
        && (line.contains(" = ") || matches!(line.trim_end(), "# newdoc" | "# newpar"))
}

fn cells(line: &str) -> Vec<&str> {
    if line.contains('\t') {
        line.split('\t')
            .map(|cell| cell.trim_matches(' '))
            .collect()
    } else {
        line.split(' ').filter(|cell| !cell.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests;
