//! Cutting text into sentences.

use unicode_segmentation::UnicodeSegmentation;

use super::ascii;
use crate::config::Sentences;

/// Spaces, brackets and other signs after a full stop, beyond which text is cut.
///
/// From each of them the splitter looks ahead to the next letter or full stop, to see whether the sentence goes on, so
/// that a run of n costs n^2 steps. No sentence goes on after so many.
const MOST_AFTER_FULL_STOP: usize = 256;

/// What stands before a name or a number with a full stop of its own.
const ABBREVIATIONS: [&str; 28] = [
    "Adm", "Capt", "Cmdr", "Col", "Dr", "Fig", "Figs", "Gen", "Gov", "Hon", "Lt", "Maj", "Messrs",
    "Mr", "Mrs", "Ms", "Mt", "Pres", "Prof", "Rep", "Rev", "Sen", "Sgt", "St", "cf", "e.g", "i.e",
    "vs",
];

/// The sentences of a text, without those that are only white space.
pub(super) fn split(text: &str, sentences: Sentences) -> Vec<String> {
    let keep = |sentence: &str| {
        let sentence = sentence.trim();
        (!sentence.is_empty()).then(|| sentence.to_string())
    };
    match sentences {
        Sentences::Lines => text.lines().filter_map(keep).collect(),
        Sentences::Split => {
            let mut sentences = Vec::new();
            for paragraph in paragraphs(text) {
                for piece in cut_after_long_runs(&paragraph) {
                    sentences.extend(sentences_of(piece).into_iter().filter_map(keep));
                }
            }
            sentences
        }
    }
}

/// Sentences by UAX #29, which ends one at a full stop before a capital: those that titles and initials end are put
/// together again with what follows.
fn sentences_of(text: &str) -> Vec<&str> {
    let (mut sentences, mut start, mut before) = (Vec::new(), 0, 0);
    let mut end_at = |end: usize| {
        if !ends_in_abbreviation(&text[before..end]) {
            sentences.push(&text[start..end]);
            start = end;
        }
        before = end;
    };
    if text.is_ascii() {
        let ends = ascii::sentence_ends(text.as_bytes());
        ends.into_iter().for_each(&mut end_at);
    } else {
        let bounds = text.split_sentence_bound_indices();
        bounds.for_each(|(place, sentence)| end_at(place + sentence.len()));
    }
    if start < text.len() {
        sentences.push(&text[start..]);
    }
    sentences
}

/// Whether a full stop at the end belongs to a title, or to an initial: a capital by itself, but not "I", which ends sentences
/// more often.
fn ends_in_abbreviation(sentence: &str) -> bool {
    let Some(text) = sentence.trim_end().strip_suffix('.') else {
        return false;
    };
    let begins_word = |c: char| !c.is_alphanumeric() && c != '.';
    let word = text.rsplit(begins_word).next().unwrap_or(text);
    let mut characters = word.chars();
    match (characters.next(), characters.next()) {
        (Some(letter), None) => letter.is_uppercase() && letter != 'I',
        _ => ABBREVIATIONS.contains(&word),
    }
}

/// Runs of lines between blank ones. A line end inside one is a space; UAX #29 would end a sentence at it.
fn paragraphs(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let runs = lines.split(|line| line.trim().is_empty());
    runs.map(|run| run.join(" ").replace('\r', " ")).collect()
}

/// The text in pieces, none of which has more than [`MOST_AFTER_FULL_STOP`] signs between a full stop and what follows.
fn cut_after_long_runs(text: &str) -> Vec<&str> {
    let (mut pieces, mut start) = (Vec::new(), 0);
    let mut since_full_stop = None;
    for (place, character) in text.char_indices() {
        since_full_stop = match since_full_stop {
            _ if is_full_stop(character) => Some(0),
            _ if character.is_alphanumeric() => None,
            Some(MOST_AFTER_FULL_STOP) => {
                pieces.push(&text[start..place]);
                start = place;
                None
            }
            Some(signs) => Some(signs + 1),
            None => None,
        };
    }
    pieces.push(&text[start..]);
    pieces
}

/// `ATerm` of UAX #29: what may end a sentence or an abbreviation.
fn is_full_stop(character: char) -> bool {
    matches!(character, '.' | '\u{2024}' | '\u{fe52}' | '\u{ff0e}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_the_standard(text: &str) -> Vec<&str> {
        let sentences = text.split_sentence_bounds().map(str::trim);
        sentences.filter(|sentence| !sentence.is_empty()).collect()
    }

    #[test]
    fn ordinary_text_is_split_by_the_standard() {
        let rule = "-".repeat(120);
        for text in [
            "",
            " . ",
            "He said \"No.\" (So did I.) \u{201c}Why?\u{201d} she asked.",
            "Approx. 3.5 m, e.g. the U.S. Navy's... and so on. Next",
            "\u{3053}\u{3093}\u{306b}\u{3061}\u{306f}\u{3002}\u{5929}\u{6c14}\u{5f88}\u{597d}\u{3002}\u{201c}\u{597d}\u{201d}",
            &format!(
                "The end. {rule} {rule} Another page. {}it began",
                " ".repeat(200)
            ),
            &format!("p. {} Then.", "12, 14, 17, ".repeat(100)),
            &format!("Contents {} 7 More {} 9", ".".repeat(900), ". ".repeat(400)),
        ] {
            assert_eq!(
                split(text, Sentences::Split),
                by_the_standard(text),
                "{text:?}"
            );
        }
        for document in bert_core::sample_data::corpus(3, 20) {
            let text = document.sentences.join("  ");
            assert_eq!(split(&text, Sentences::Split), by_the_standard(&text));
        }
    }

    #[test]
    fn titles_and_initials_end_no_sentence() {
        for (text, expected) in [
            (
                "Mr. Fox met Dr. Hale. He left.",
                &["Mr. Fox met Dr. Hale.", "He left."][..],
            ),
            (
                "J. R. R. Tolkien and (A. B.-C. Moore) wrote. St. Ives, cf. Cornwall. End",
                &[
                    "J. R. R. Tolkien and (A. B.-C. Moore) wrote.",
                    "St. Ives, cf. Cornwall.",
                    "End",
                ],
            ),
            (
                "So did I. Then plan 9. It is by Mr.",
                &["So did I.", "Then plan 9.", "It is by Mr."],
            ),
            (
                "The U.S. Navy came. \u{201c}Who, Mrs. Lee?\u{201d} He sat at ease. Best",
                &[
                    "The U.S.",
                    "Navy came.",
                    "\u{201c}Who, Mrs. Lee?\u{201d}",
                    "He sat at ease.",
                    "Best",
                ],
            ),
        ] {
            assert_eq!(split(text, Sentences::Split), expected, "{text:?}");
        }
    }

    #[test]
    fn long_runs_after_a_full_stop_reach_the_splitter_in_pieces() {
        for run in [")", ")]\u{201d}", " ", "\n", "\r\n\t", "\u{301}) "] {
            let text = format!("a.{}Then.", run.repeat(40_000));
            for piece in cut_after_long_runs(&text) {
                for after in piece.split('.').skip(1) {
                    let signs = after.chars().take_while(|c| !c.is_alphanumeric());
                    assert!(signs.count() <= MOST_AFTER_FULL_STOP, "{run:?}");
                }
            }
            let sentences = split(&text, Sentences::Split);
            let solid = |text: &str| text.replace(char::is_whitespace, "");
            assert_eq!(solid(&sentences.concat()), solid(&text), "{run:?}");
        }
    }

    #[test]
    fn a_line_end_is_a_space_and_a_blank_line_ends_a_sentence() {
        for end in ["\n", "\r\n"] {
            let text = [
                "",
                "Geography",
                "",
                "The town lies",
                "by the sea",
                " ",
                "It is old",
            ]
            .join(end);
            let sentences = split(&text, Sentences::Split);
            assert_eq!(
                sentences,
                ["Geography", "The town lies by the sea", "It is old"]
            );
        }
        assert_eq!(split("One\rtwo", Sentences::Split), ["One two"]);
        let text = format!("One.{}Two.", "\n \n".repeat(3000));
        assert_eq!(split(&text, Sentences::Split), ["One.", "Two."]);
    }
}
