//! The beginning of a long text: what is cut off after so many tokens need not be tokenized first.
//!
//! A tokenizer needs hundreds of bytes for each one of a text. The words of a text are counted before, by its characters
//! alone; the count is a guess, which the tokens of the beginning confirm or not, but where it is cut is none.

use tokenizers::Tokenizer;
use tokenizers::normalizers::BertNormalizer;

/// What a character is to the words around it.
enum Role {
    /// It ends a word, and is none itself.
    Space,
    /// It is a word of its own.
    Alone,
    /// It begins or continues a word.
    Part,
    /// It is not counted: it may be dropped before words are told apart.
    Nothing,
}

/// Where texts of a tokenizer may be cut without a change to the tokens before.
#[derive(Debug)]
pub(super) struct Cutter {
    /// Whether ideographs stand alone.
    ideographs: bool,
    /// Characters after the first of the tokens that are looked for in a text as it stands, `[MASK]` and the like.
    inside_added: String,
}

impl Cutter {
    pub(super) fn new(tokenizer: &Tokenizer, normalizer: BertNormalizer) -> Self {
        let added = tokenizer.get_added_tokens_decoder();
        let inside = added
            .values()
            .flat_map(|token| token.content.chars().skip(1));
        Self {
            ideographs: normalizer.handle_chinese_chars,
            inside_added: inside.collect(),
        }
    }

    /// The text up to a place behind more than so many words, where words end whatever follows; or all of it.
    ///
    /// Characters are dropped or stand alone as BERT's normaliser and splitter have it. Where that is in doubt the text is
    /// not cut.
    pub(super) fn beginning<'a>(&self, text: &'a str, words: usize) -> &'a str {
        if text.len() <= words {
            return text;
        }
        let (mut seen, mut inside) = (0, false);
        for (at, character) in text.char_indices() {
            let role = self.role(character);
            let ends = matches!(role, Role::Space | Role::Alone);
            if ends && seen > words && !self.inside_added.contains(character) {
                return &text[..at];
            }
            match role {
                Role::Alone => seen += 1,
                Role::Part if !inside => seen += 1,
                _ => {}
            }
            inside = match role {
                Role::Space | Role::Alone => false,
                Role::Part => true,
                Role::Nothing => inside,
            };
        }
        text
    }

    fn role(&self, character: char) -> Role {
        match character {
            '\t' | '\n' | '\r' => Role::Space,
            // Some of these are white space elsewhere.
            _ if character.is_control() => Role::Nothing,
            _ if character.is_whitespace() => Role::Space,
            _ if character.is_ascii_punctuation() => Role::Alone,
            // Those that were in Unicode first: the library drops what its tables do not know.
            '\u{3400}'..='\u{4db5}' | '\u{4e00}'..='\u{9fcc}' if self.ideographs => Role::Alone,
            _ if character.is_alphanumeric() => Role::Part,
            // Accents and invisible characters, and symbols, which are too few to matter.
            _ => Role::Nothing,
        }
    }
}

/// How many tokens of a pair stay where `room` are allowed: what is too much is cut from the longer text, and where both
/// are, the longer one, or of equal ones the second, keeps the odd token. `longest_first` of transformers.
pub(super) fn longest_first(first: usize, second: usize, room: usize) -> (usize, usize) {
    if first.saturating_add(second) <= room {
        return (first, second);
    }
    let shorter = first.min(second).min(room / 2);
    match first > second {
        true => (room - shorter, shorter),
        false => (shorter, room - shorter),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str, words: usize, ideographs: bool) -> &str {
        let inside_added = "MASK]".into();
        let cutter = Cutter {
            ideographs,
            inside_added,
        };
        cutter.beginning(text, words)
    }

    #[test]
    fn a_text_is_cut_where_a_word_ends_behind_more_words_than_wanted() {
        for (text, words, expected) in [
            ("one two three four", 2, "one two three"),
            ("one two three", 2, "one two three"),
            ("don't stop", 1, "don't"),
            ("(stop) x", 1, "(stop"),
            ("a\u{b}b c\u{85}d e", 1, "a\u{b}b c\u{85}d"),
            (
                "\u{301} \u{200b} \u{0} a b c",
                1,
                "\u{301} \u{200b} \u{0} a b",
            ),
            ("e\u{301}t e\u{301} x", 1, "e\u{301}t e\u{301}"),
            ("a\u{a0}b\u{3000}c", 1, "a\u{a0}b"),
            ("日本語", 1, "日本"),
            ("a [MASK][MASK]", 2, "a [MASK]"),
        ] {
            assert_eq!(cut(text, words, true), expected, "{text:?}");
        }
        assert_eq!(cut("日本語 a", 0, false), "日本語");
        assert_eq!(cut(&"a".repeat(99), 1, true).len(), 99);
    }

    #[test]
    fn of_a_pair_the_longer_text_is_cut_and_keeps_the_odd_token() {
        assert_eq!(longest_first(3, 4, 7), (3, 4));
        assert_eq!(longest_first(2, 9, 7), (2, 5));
        assert_eq!(longest_first(9, 2, 7), (5, 2));
        assert_eq!(longest_first(9, 5, 7), (4, 3));
        assert_eq!(longest_first(5, 9, 7), (3, 4));
        assert_eq!(longest_first(5, 5, 7), (3, 4));
        assert_eq!(longest_first(5, 5, 0), (0, 0));
    }
}
