//! The cells of one CSV or TSV record.

use bert_core::files::content;
use serde_json::Value;

/// Where in a CSV cell the next byte stands.
#[derive(Clone, Copy, PartialEq)]
enum State {
    Start,
    Plain,
    Quoted,
    /// After a quote inside a quoted cell: the end of the cell or the first half of `""`.
    Closed,
}

/// A CSV record in the making; one that has line ends in quotes is made of several lines.
///
/// The rules are RFC 4180's, but for one: a quote in a cell that does not begin with one is an
/// ordinary character.
pub(crate) struct CsvRecord {
    cells: Vec<Vec<u8>>,
    cell: Vec<u8>,
    state: State,
}

impl CsvRecord {
    /// A record without any line yet.
    pub(crate) fn new() -> Self {
        Self {
            cells: Vec::new(),
            cell: Vec::new(),
            state: State::Start,
        }
    }

    /// Adds a line with its line end, and says whether the record is whole. The error is a closing
    /// quote that something other than a comma follows.
    pub(crate) fn add(&mut self, line: &[u8]) -> Result<bool, &'static str> {
        let text = content(line);
        for &byte in text {
            match (self.state, byte) {
                (State::Start, b'"') => self.state = State::Quoted,
                (State::Quoted, b'"') => self.state = State::Closed,
                (State::Closed, b'"') => {
                    self.cell.push(byte);
                    self.state = State::Quoted;
                }
                (State::Start | State::Plain | State::Closed, b',') => {
                    self.cells.push(std::mem::take(&mut self.cell));
                    self.state = State::Start;
                }
                (State::Closed, _) => return Err("a closing quote is followed by more text"),
                (State::Start | State::Plain, _) => {
                    self.cell.push(byte);
                    self.state = State::Plain;
                }
                (State::Quoted, _) => self.cell.push(byte),
            }
        }
        if self.state == State::Quoted {
            self.cell.extend_from_slice(&line[text.len()..]);
            return Ok(false);
        }
        self.cells.push(std::mem::take(&mut self.cell));
        Ok(true)
    }

    /// The cells of a whole record.
    pub(crate) fn into_cells(self) -> Vec<Vec<u8>> {
        self.cells
    }
}

/// The cells of one TSV line, without its line end.
///
/// A cell is in quotes only where a closing quote comes right before a tab or the end: many files
/// of this kind have lone quotes in their texts. For the same reason every tab ends a cell, in quotes or
/// not, unless only the quotes give the wanted number of cells.
pub(crate) fn tsv(line: &str, wanted: usize) -> Vec<String> {
    let cells: Vec<String> = line.split('\t').map(unquoted).collect();
    if cells.len() > wanted {
        let by_quotes = tsv_by_quotes(line);
        if by_quotes.len() == wanted {
            return by_quotes;
        }
    }
    cells
}

fn unquoted(cell: &str) -> String {
    match quoted_cell(cell) {
        Some((text, "")) => text,
        _ => cell.to_owned(),
    }
}

fn tsv_by_quotes(mut line: &str) -> Vec<String> {
    let mut cells = Vec::new();
    loop {
        let (cell, rest) = match quoted_cell(line) {
            Some((cell, "")) => (cell, None),
            Some((cell, rest)) => (cell, rest.strip_prefix('\t')),
            None => match line.split_once('\t') {
                Some((cell, rest)) => (cell.to_owned(), Some(rest)),
                None => (line.to_owned(), None),
            },
        };
        cells.push(cell);
        match rest {
            Some(rest) => line = rest,
            None => return cells,
        }
    }
}

/// The text of a cell in quotes at the start, and what follows: nothing, or a tab and more.
fn quoted_cell(line: &str) -> Option<(String, &str)> {
    let mut rest = line.strip_prefix('"')?;
    let mut text = String::new();
    loop {
        let (before, after) = rest.split_once('"')?;
        text.push_str(before);
        if after.is_empty() || after.starts_with('\t') {
            return Some((text, after));
        }
        rest = after.strip_prefix('"')?;
        text.push('"');
    }
}

/// The array that a cell is, as JSON has it or as Python prints a list, which is how pandas writes one into a table.
pub(crate) fn array(cell: &str) -> Option<Vec<Value>> {
    if !cell.trim_start().starts_with('[') {
        return None;
    }
    let json = serde_json::from_str(cell);
    json.or_else(|_| serde_json::from_str(&as_json(cell))).ok()
}

/// Python's strings as those of JSON, which end with another quote and know fewer escapes.
fn as_json(python: &str) -> String {
    let mut json = String::with_capacity(python.len());
    let mut within = None;
    let mut characters = python.chars();
    while let Some(character) = characters.next() {
        match (within, character) {
            (None, '\'' | '"') => {
                within = Some(character);
                json.push('"');
            }
            (Some(quote), _) if character == quote => {
                within = None;
                json.push('"');
            }
            (Some(_), '"') => json.push_str("\\\""),
            (Some(_), '\\') => match characters.next() {
                Some('\'') => json.push('\''),
                Some('x') => json.push_str("\\u00"),
                escaped => {
                    json.push('\\');
                    json.extend(escaped);
                }
            },
            _ => json.push(character),
        }
    }
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    fn csv(text: &str) -> Result<Option<Vec<String>>, &'static str> {
        let mut record = CsvRecord::new();
        for line in text.split_inclusive('\n') {
            if record.add(line.as_bytes())? {
                let cells = record.into_cells().into_iter();
                let cells = cells.map(|cell| String::from_utf8(cell).unwrap());
                return Ok(Some(cells.collect()));
            }
        }
        Ok(None)
    }

    #[test]
    fn csv_cells_follow_rfc_4180() {
        for (text, wanted) in [
            ("a,b\r\n", vec!["a", "b"]),
            ("a,,", vec!["a", "", ""]),
            (r#""a,b","say ""hi""","""#, vec!["a,b", "say \"hi\"", ""]),
            (r#""a","never closed"""#, vec![]),
            ("\"one\r\ntwo\",\"3\"\r\n", vec!["one\r\ntwo", "3"]),
            ("\"one\n\n\",é", vec!["one\n\n", "é"]),
            ("\"never closed\n,b\n", vec![]),
        ] {
            let cells = csv(text).unwrap().unwrap_or_default();
            assert_eq!(cells, wanted, "{text}");
        }
    }

    #[test]
    fn a_csv_quote_inside_a_plain_cell_is_text_and_text_after_a_closing_quote_is_an_error() {
        assert_eq!(csv("5\" pipe,b").unwrap().unwrap(), ["5\" pipe", "b"]);
        assert!(csv("\"a\"b,c").is_err());
        assert!(csv("\"a\" ,c").is_err());
    }

    #[test]
    fn tsv_quotes_count_only_around_a_whole_cell() {
        for (line, wanted) in [
            (r#""a ""b"" c"	1"#, vec!["a \"b\" c", "1"]),
            (r#""lone	1"#, vec!["\"lone", "1"]),
            (r#"lone"	1"#, vec!["lone\"", "1"]),
            (r#""a" or "b"	1"#, vec!["\"a\" or \"b\"", "1"]),
            (r#"5" pipe	""#, vec!["5\" pipe", "\""]),
            (r#"""	"""#, vec!["", ""]),
            (r#"""""	1"#, vec!["\"", "1"]),
            ("a\t", vec!["a", ""]),
        ] {
            assert_eq!(tsv(line, 2), wanted, "{line}");
        }
    }

    #[test]
    fn a_tab_inside_tsv_quotes_is_text_only_where_the_number_of_cells_asks_for_it() {
        let line = "\"one\ttwo\"\t1";
        assert_eq!(tsv(line, 2), ["one\ttwo", "1"]);
        assert_eq!(tsv(line, 3), ["\"one", "two\"", "1"]);
        assert_eq!(tsv(line, 4), ["\"one", "two\"", "1"]);
        assert_eq!(tsv("1\t\"a\tb\"\t", 3), ["1", "a\tb", ""]);
    }

    #[test]
    fn an_array_in_a_cell_is_that_of_json_or_of_python() {
        for (cell, expected) in [
            (r#"["joy", "a\"b"]"#, r#"["joy", "a\"b"]"#),
            ("[27, 3]", "[27, 3]"),
            ("[]", "[]"),
            ("['joy', 'anger']", r#"["joy", "anger"]"#),
            (r#"['say "no"', "it's"]"#, r#"["say \"no\"", "it's"]"#),
            (r"['\'\\ \xe9\t']", r#"["'\\ \u00e9\t"]"#),
        ] {
            let expected: Vec<Value> = serde_json::from_str(expected).unwrap();
            assert_eq!(array(cell), Some(expected), "{cell}");
        }
        for neither in ["a", "{}", "['a' 'b']", "[None]", "['a', b]", "['a]", "[a]"] {
            assert_eq!(array(neither), None, "{neither}");
        }
    }
}
