//! Examples for people: what the model sees, with what it has to predict.

use std::fmt::Write;

use serde::Serialize;

use super::{Example, Vocabulary};

/// Columns of text, wrapped between words.
const WIDTH: usize = 100;
const INDENT: &str = "     ";

const DIM: &str = "\x1b[2m";
const BOLD: &str = "\x1b[1m";
const YELLOW: &str = "\x1b[33m";
const RED: &str = "\x1b[31m";
const CYAN: &str = "\x1b[36m";
const RESET: &str = "\x1b[0m";

/// An example with its tokens spelt out, for JSON.
#[derive(Debug, Clone, Serialize)]
pub struct ReadableExample<'e> {
    /// What the model sees, spelt out, `[tokens]`.
    pub tokens: Vec<String>,
    /// What it has to predict, spelt out, `[masked]`.
    pub masked_tokens: Vec<String>,
    /// The same in numbers.
    #[serde(flatten)]
    pub example: &'e Example,
}

impl<'e> ReadableExample<'e> {
    /// Spells an example out; `token` gives the text of an id, "##" included.
    pub fn new(example: &'e Example, token: &dyn Fn(u32) -> String) -> Self {
        let spell = |ids: &[u32]| ids.iter().map(|&id| token(id)).collect();
        Self {
            tokens: spell(&example.input_ids),
            masked_tokens: spell(&example.masked_labels),
            example,
        }
    }
}

/// What the marks of [`render`] mean, one line.
pub fn legend(color: bool) -> String {
    let paint = Paint(color);
    format!(
        "to predict: {} hidden, {} replaced at random, {} left as it is\n",
        paint.with(YELLOW, "[MASK→word]"),
        paint.with(RED, "[other→word]"),
        paint.with(CYAN, "[=word]"),
    )
}

/// An example as text: a line about it, then segments A and B as the model sees them, "##" pieces joined, every token
/// to predict in brackets with what stood there (see [`legend`]).
///
/// `index` is its number in the listing; `token` gives the text of an id, "##" included; `color` adds terminal colours.
pub fn render(
    index: usize,
    example: &Example,
    vocabulary: &Vocabulary,
    token: &dyn Fn(u32) -> String,
    color: bool,
) -> String {
    let paint = Paint(color);
    let mut out = header(index, example, paint);
    let words = words(example, vocabulary, token, paint);
    for (segment, name) in ["A", "B"].into_iter().enumerate() {
        let of_segment = words
            .iter()
            .filter(|word| usize::from(word.segment) == segment);
        let mut column = 0;
        for word in of_segment {
            if column == 0 {
                let _ = write!(out, "  {}  ", paint.with(BOLD, name));
                column = INDENT.len();
            } else if column + 1 + word.columns > WIDTH {
                out.push('\n');
                out.push_str(INDENT);
                column = INDENT.len();
            } else {
                out.push(' ');
                column += 1;
            }
            out.push_str(&word.text);
            column += word.columns;
        }
        if column > 0 {
            out.push('\n');
        }
    }
    out
}

fn header(index: usize, example: &Example, paint: Paint) -> String {
    let origin = &example.origin;
    let mut parts = vec![
        paint.with(BOLD, &format!("example {index}")),
        format!(
            "document {} from sentence {}",
            origin.document, origin.first_sentence
        ),
        format!("{} tokens", example.input_ids.len()),
        format!("{} masked", example.masked_positions.len()),
    ];
    if origin.cut_tokens > 0 {
        parts.push(format!("{} cut away", origin.cut_tokens));
    }
    parts.extend(
        match (example.next_sentence_label, origin.random_document) {
            (None, _) => None,
            (Some(0), _) => Some("B follows A: yes (0)".to_owned()),
            (Some(label), Some(other)) => Some(format!(
                "B follows A: no ({label}), B is from document {other}"
            )),
            (Some(label), None) => Some(format!("B follows A: no ({label}), the two are swapped")),
        },
    );
    parts.join(" · ") + "\n"
}

/// Something that is not broken over lines.
struct Word {
    segment: u8,
    text: String,
    columns: usize,
}

fn words(
    example: &Example,
    vocabulary: &Vocabulary,
    token: &dyn Fn(u32) -> String,
    paint: Paint,
) -> Vec<Word> {
    let token = |id: u32| printable(&token(id));
    let special = vocabulary.special();
    let mut masked = example
        .masked_positions
        .iter()
        .zip(&example.masked_labels)
        .peekable();
    let mut words: Vec<Word> = Vec::new();
    let mut can_join = false;
    for (position, (&id, &segment)) in example
        .input_ids
        .iter()
        .zip(&example.token_type_ids)
        .enumerate()
    {
        let label = masked
            .next_if(|(masked, _)| **masked as usize == position)
            .map(|(_, label)| *label);
        let is_boundary = id == special.cls || id == special.sep;
        let original = token(label.unwrap_or(id));
        let piece = original.strip_prefix("##").filter(|rest| !rest.is_empty());
        let joined = piece.filter(|_| can_join);
        let (plain, style) = match label {
            None if is_boundary => (original.clone(), Some(DIM)),
            None => (joined.unwrap_or(&original).to_owned(), None),
            Some(label) if label == id => (format!("[={original}]"), Some(CYAN)),
            Some(_) if id == special.mask => (format!("[MASK→{original}]"), Some(YELLOW)),
            Some(_) => (format!("[{}→{original}]", token(id)), Some(RED)),
        };
        let text = match style {
            Some(style) => paint.with(style, &plain),
            None => plain.clone(),
        };
        let columns = plain.chars().map(columns).sum();
        match words.last_mut() {
            Some(word) if joined.is_some() => {
                word.text.push_str(&text);
                word.columns += columns;
            }
            _ => words.push(Word {
                segment,
                text,
                columns,
            }),
        }
        can_join = !is_boundary;
    }
    words
}

/// A vocabulary can hold anything; a terminal should not obey it.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            }
        })
        .collect()
}

/// The columns of a character in a terminal: two for the wide blocks of East Asian scripts and emoji. Near enough for
/// wrapping.
fn columns(c: char) -> usize {
    match u32::from(c) {
        0x1100..=0x115f
        | 0x2e80..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1faff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

#[derive(Clone, Copy)]
struct Paint(bool);

impl Paint {
    fn with(self, style: &str, text: &str) -> String {
        if self.0 {
            format!("{style}{text}{RESET}")
        } else {
            text.to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Origin;
    use super::super::testing::{SIZE, SPECIAL};
    use super::*;

    const TOKENS: [&str; 14] = [
        "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "har", "##vest", "was", "good", "##s",
        "cat", "\x1b[31m", "麦",
    ];

    fn token(id: u32) -> String {
        TOKENS
            .get(id as usize)
            .map_or_else(|| format!("<{id}>"), |&t| t.to_owned())
    }

    fn vocabulary() -> Vocabulary {
        Vocabulary::new(SPECIAL, vec![false; SIZE]).expect("valid")
    }

    /// "the harvest was | ##s good cat", with one token of each kind to predict.
    fn example() -> Example {
        Example {
            input_ids: vec![2, 5, 6, 4, 8, 3, 10, 5, 11, 3],
            token_type_ids: vec![0, 0, 0, 0, 0, 0, 1, 1, 1, 1],
            masked_positions: vec![3, 7, 8],
            masked_labels: vec![7, 9, 11],
            next_sentence_label: Some(1),
            origin: Origin {
                document: 12,
                first_sentence: 3,
                random_document: Some(40),
                cut_tokens: 0,
                epoch: 0,
            },
        }
    }

    #[test]
    fn segments_masks_and_labels_are_shown() {
        let shown = render(0, &example(), &vocabulary(), &token, false);
        let expected = "example 0 · document 12 from sentence 3 · 10 tokens · 3 masked · B follows A: no (1), B is from \
                        document 40\n\
                        \u{20} A  [CLS] the har[MASK→##vest] was [SEP]\n\
                        \u{20} B  ##s [the→good] [=cat] [SEP]\n";
        assert_eq!(shown, expected);
    }

    #[test]
    fn colours_change_nothing_but_colours() {
        let plain = render(7, &example(), &vocabulary(), &token, false);
        let mut colored = render(7, &example(), &vocabulary(), &token, true);
        assert_ne!(plain, colored);
        for code in [DIM, BOLD, YELLOW, RED, CYAN, RESET] {
            colored = colored.replace(code, "");
        }
        assert_eq!(plain, colored);
        assert!(!legend(false).contains('\x1b'));
    }

    #[test]
    fn the_header_tells_the_objectives_apart() {
        let header = |label, random_document| {
            let mut example = example();
            example.next_sentence_label = label;
            example.origin.random_document = random_document;
            header(1, &example, Paint(false))
        };
        assert!(header(Some(0), None).ends_with("B follows A: yes (0)\n"));
        assert!(header(Some(1), None).ends_with("no (1), the two are swapped\n"));
        assert!(header(None, None).ends_with("3 masked\n"));
    }

    #[test]
    fn long_texts_are_wrapped_and_a_terminal_is_not_commanded() {
        let mut example = example();
        example.input_ids = [vec![2], [5, 6, 7, 12, 13].repeat(40), vec![3]].concat();
        example.token_type_ids = vec![0; 202];
        (example.masked_positions, example.masked_labels) = (vec![], vec![]);
        example.next_sentence_label = None;
        let shown = render(0, &example, &vocabulary(), &token, false);
        assert!(!shown.contains('\x1b'));
        let lines: Vec<&str> = shown.lines().skip(1).collect();
        assert!(lines.len() > 5);
        for (index, line) in lines.iter().enumerate() {
            let width: usize = line.chars().map(columns).sum();
            assert!(width <= WIDTH, "{width}");
            assert!(width > WIDTH - 14 || index + 1 == lines.len(), "{width}");
            assert!(line.starts_with(if index == 0 { "  A  " } else { INDENT }));
        }
        assert_eq!(shown.matches("harvest").count(), 40);
    }

    #[test]
    fn json_has_words_and_numbers() {
        let example = example();
        let json =
            serde_json::to_value(ReadableExample::new(&example, &token)).expect("plain data");
        assert_eq!(json["tokens"][3], "[MASK]");
        assert_eq!(json["masked_tokens"][0], "##vest");
        assert_eq!(json["masked_positions"], serde_json::json!([3, 7, 8]));
        assert_eq!(json["next_sentence_label"], 1);
        assert_eq!(json["origin"]["document"], 12);
    }
}
