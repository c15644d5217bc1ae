//! How often each word occurs in a text, counted in bounded memory.

use std::cmp::Reverse;

use ahash::AHashMap;
use compact_str::CompactString;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::{NormalizedString, Normalizer, OffsetReferential, OffsetType};
use tokenizers::{PreTokenizedString, PreTokenizer};
use xxhash_rust::xxh3::xxh3_64;

use super::files::normalizer;
use super::{LONGEST_CUT_WORD, failed};
use crate::error::Result;

/// How often each word occurs in a text, words being what BERT's normaliser and splitter make of it.
#[derive(Debug, Clone, Default)]
pub struct WordCounts {
    lowercase: bool,
    /// By piece of text as it stands: most of a text repeats itself, and is normalised once. Pieces end at white space
    /// and round signs that are words of their own; a sentence without spaces would else be one piece and hardly repeat.
    pieces: AHashMap<CompactString, u64>,
    bytes: usize,
}

impl WordCounts {
    /// Of nothing yet.
    pub fn new(lowercase: bool) -> Self {
        Self {
            lowercase,
            ..Self::default()
        }
    }

    /// Counts a text.
    pub fn add(&mut self, text: &str) {
        for stretch in text.split_ascii_whitespace() {
            let mut rest = stretch;
            while let Some((place, sign)) = rest.char_indices().find(|(_, c)| is_own_word(*c)) {
                let (before, after) = rest.split_at(place);
                let (sign, after) = after.split_at(sign.len_utf8());
                self.add_piece(before, 1);
                self.add_piece(sign, 1);
                rest = after;
            }
            self.add_piece(rest, 1);
        }
    }

    fn add_piece(&mut self, piece: &str, count: u64) {
        if let Some(known) = self.pieces.get_mut(piece) {
            *known += count;
        } else if !piece.is_empty() {
            self.bytes += piece_bytes(piece);
            self.pieces.insert(piece.into(), count);
        }
    }

    /// Adds the counts of another.
    pub fn merge(&mut self, other: Self) {
        for (piece, count) in other.pieces {
            self.add_piece(&piece, count);
        }
    }

    /// Memory the counts take, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Whether words lose case and accents.
    pub(super) fn lowercase(&self) -> bool {
        self.lowercase
    }

    /// Forgets the rarest, so that the rest take at most `most_bytes`: keeps memory bounded on texts without end.
    ///
    /// Which of the equally rare stay is decided by their hashes, neither by order nor by age: where nothing occurs
    /// twice, what is left is a fair sample of the text so far, and the same in every run.
    pub fn prune(&mut self, most_bytes: usize) {
        let pieces = self.pieces.iter();
        let mut ranked: Vec<_> = pieces
            .map(|(piece, count)| (rank(piece, *count), piece_bytes(piece)))
            .collect();
        ranked.sort_unstable();
        let mut bytes = 0;
        let first_forgotten = ranked.iter().find(|(_, size)| {
            bytes += size;
            bytes > most_bytes
        });
        if let Some((first_forgotten, size)) = first_forgotten {
            self.pieces
                .retain(|piece, count| rank(piece, *count) < *first_forgotten);
            self.bytes = bytes - size;
        }
    }

    /// Words with their counts, in the form tokenizers' trainer takes; but for those that WordPiece does not cut because they
    /// are too long. What is learnt from one of those would fill the vocabulary with pieces that nothing ever has, and
    /// learning takes the square of its length.
    pub(super) fn words(&self) -> Result<AHashMap<CompactString, u64>> {
        let mut words = AHashMap::new();
        for (piece, count) in &self.pieces {
            each_word(piece, self.lowercase, |word| {
                if word.chars().nth(LONGEST_CUT_WORD).is_none() {
                    *words.entry(CompactString::from(word)).or_insert(0) += count;
                }
            })?;
        }
        Ok(words)
    }
}

/// Whether BERT's normaliser and splitter make a word of a character wherever it stands: ideographs and punctuation. Rare
/// punctuation is missing, which costs memory and changes no count.
fn is_own_word(c: char) -> bool {
    c.is_ascii_punctuation()
        || matches!(c,
            // Dashes, quotation marks, ellipses.
            '\u{2010}'..='\u{2027}'
            // Punctuation of Chinese and Japanese, then its wide forms.
            | '\u{3001}'..='\u{3003}' | '\u{3008}'..='\u{3011}' | '\u{ff01}'..='\u{ff03}'
            | '\u{ff05}'..='\u{ff0a}' | '\u{ff0c}'..='\u{ff0f}' | '\u{ff1a}' | '\u{ff1b}' | '\u{ff1f}'
            // The ideographs of tokenizers' BertNormalizer, with its gaps.
            | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
            | '\u{20000}'..='\u{2a6df}' | '\u{2a700}'..='\u{2b81f}' | '\u{2b920}'..='\u{2ceaf}'
            | '\u{2f800}'..='\u{2fa1f}')
}

fn each_word(text: &str, lowercase: bool, mut each: impl FnMut(&str)) -> Result<()> {
    let mut normalized = NormalizedString::from(text);
    normalizer(lowercase)
        .normalize(&mut normalized)
        .map_err(failed("normalise a text"))?;
    let mut split = PreTokenizedString::from(normalized);
    BertPreTokenizer
        .pre_tokenize(&mut split)
        .map_err(failed("split a text"))?;
    for (word, _, _) in split.get_splits(OffsetReferential::Normalized, OffsetType::Byte) {
        each(word);
    }
    Ok(())
}

/// Frequent before rare, the equally frequent in an order that has nothing to do with the text.
fn rank(piece: &str, count: u64) -> (Reverse<u64>, u64) {
    (Reverse(count), xxh3_64(piece.as_bytes()))
}

/// A place in a hash table that is half full, and the text where that is too long to lie in the table.
fn piece_bytes(piece: &str) -> usize {
    let inline = piece.len() <= size_of::<CompactString>();
    64 + if inline { 0 } else { piece.len() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counted(texts: impl IntoIterator<Item = String>) -> WordCounts {
        let mut counts = WordCounts::new(true);
        texts.into_iter().for_each(|text| counts.add(&text));
        counts
    }

    /// The words of a text that is normalised and split as a whole.
    fn whole(text: &str, lowercase: bool) -> AHashMap<CompactString, u64> {
        let mut words = AHashMap::new();
        each_word(text, lowercase, |word| {
            *words.entry(word.into()).or_insert(0) += 1;
        })
        .unwrap();
        words
    }

    #[test]
    fn words_that_are_never_cut_are_not_learnt_from() {
        let word = |length: usize| "é".repeat(length);
        let mut counts = WordCounts::new(false);
        counts.add(&format!("a {} {} b", word(100), word(101)));
        let words = counts.words().unwrap();
        assert_eq!(words.len(), 3);
        assert!(words.contains_key(word(100).as_str()));
    }

    #[test]
    fn chinese_is_counted_by_its_characters_however_long_its_lines() {
        for length in [11, 400] {
            let lines = (0..1000_u32).map(|line| {
                let places =
                    (0..length).map(|place| (line * 7 + place * place * 3 + line / 50) % 97);
                places.filter_map(|c| char::from_u32(0x4e00 + c)).collect()
            });
            let mut counts = counted(lines);
            assert_eq!(counts.bytes(), 97 * 64);
            counts.prune(97 * 64);
            let words = counts.words().unwrap();
            assert_eq!(words.len(), 97);
            assert_eq!(words.values().sum::<u64>(), 1000 * u64::from(length));
        }
    }

    #[test]
    fn every_character_that_text_is_cut_at_is_a_word_of_its_own() {
        let cut = ('\0'..=char::MAX).filter(|c| is_own_word(*c));
        let text: String = cut.clone().flat_map(|c| ['a', c, 'b']).collect();
        assert!(cut.count() > 80_000);
        for lowercase in [true, false] {
            let mut counts = WordCounts::new(lowercase);
            counts.add(&text);
            assert_eq!(counts.words().unwrap(), whole(&text, lowercase));
        }
    }

    proptest! {
        #[test]
        fn words_are_those_of_the_whole_text(
            text in r#"([abÉſΣ\u{301}\u{338}\u{0}\u{200b}\u{a0} .,=≠\u{37e}“”—\[\]，。「」中文豈か\u{3099}ก\u{e34}]|\PC){0,60}"#,
            lowercase: bool,
        ) {
            let mut counts = WordCounts::new(lowercase);
            counts.add(&text);
            prop_assert_eq!(counts.words().unwrap(), whole(&text, lowercase));
        }
    }

    #[test]
    fn pruning_words_that_all_occurred_once_leaves_a_sample_of_old_and_new() {
        let old = || (0..2000).map(|i| format!("old{i}"));
        let new = || (0..2000).map(|i| format!("new{i}"));
        let mut counts = counted(old());
        counts.prune(1000 * 64);
        assert_eq!(counts.bytes(), 1000 * 64);
        counts.merge(counted(new()));
        counts.prune(1000 * 64);
        let words = counts.words().unwrap();
        assert_eq!(words.len(), 1000);
        let kept = words.keys().filter(|word| word.starts_with("old")).count();
        assert!((400..600).contains(&kept), "{kept} of the old");

        let mut at_once = counted(new().chain(old()));
        at_once.prune(1000 * 64);
        assert_eq!(at_once.words().unwrap(), words);
    }

    #[test]
    fn pruning_keeps_the_frequent_and_reckons_with_the_length_of_words() {
        let mut counts = counted((0..50).map(|i| format!("{i:0>90}")));
        assert_eq!(counts.bytes(), 50 * 154);
        (0..2).for_each(|_| counts.add("twice"));
        counts.prune(1_000);
        assert_eq!(counts.words().unwrap()["twice"], 2);
        assert_eq!(counts.bytes(), 64 + 6 * 154);
        counts.prune(1_000);
        assert_eq!(counts.words().unwrap().len(), 7);
    }
}
