//! How often each word occurs in a text, counted in bounded memory.

use std::cmp::Reverse;

use ahash::AHashMap;
use compact_str::CompactString;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::{NormalizedString, Normalizer, OffsetReferential, OffsetType};
use tokenizers::{PreTokenizedString, PreTokenizer};
use xxhash_rust::xxh3::xxh3_64;

use super::files::normalizer;
use super::parts::{SPACES, parts};
use super::{LONGEST_CUT_WORD, failed};
use crate::error::Result;

/// How often each word occurs in a text, words being what BERT's normaliser and splitter make of it.
#[derive(Debug, Clone, Default)]
pub struct WordCounts {
    lowercase: bool,
    /// Of the parts of text as it stands, which are normalised last.
    parts: AHashMap<CompactString, u64>,
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
        for stretch in text.split(SPACES) {
            for part in parts(stretch, true) {
                self.add_part(part, 1);
            }
        }
    }

    fn add_part(&mut self, part: &str, count: u64) {
        if let Some(known) = self.parts.get_mut(part) {
            *known += count;
        } else {
            self.bytes += part_bytes(part);
            self.parts.insert(part.into(), count);
        }
    }

    /// Adds the counts of another.
    pub fn merge(&mut self, other: Self) {
        for (part, count) in other.parts {
            self.add_part(&part, count);
        }
    }

    /// Memory the counts take, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
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
        let parts = self.parts.iter();
        let mut ranked: Vec<_> = parts
            .map(|(part, count)| (rank(part, *count), part_bytes(part)))
            .collect();
        ranked.sort_unstable();
        let mut bytes = 0;
        let first_forgotten = ranked.iter().find(|(_, size)| {
            bytes += size;
            bytes > most_bytes
        });
        if let Some((first_forgotten, size)) = first_forgotten {
            self.parts
                .retain(|part, count| rank(part, *count) < *first_forgotten);
            self.bytes = bytes - size;
        }
    }

    /// Words with their counts, in the form tokenizers' trainer takes; but for those that WordPiece does not cut because they
    /// are too long. What is learnt from one of those would fill the vocabulary with pieces that nothing ever has, and
    /// learning takes the square of its length.
    pub(super) fn words(&self) -> Result<AHashMap<CompactString, u64>> {
        let mut words = AHashMap::new();
        for (part, count) in &self.parts {
            each_word(part, self.lowercase, |word| {
                if word.chars().nth(LONGEST_CUT_WORD).is_none() {
                    *words.entry(CompactString::from(word)).or_insert(0) += count;
                }
            })?;
        }
        Ok(words)
    }
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
fn rank(part: &str, count: u64) -> (Reverse<u64>, u64) {
    (Reverse(count), xxh3_64(part.as_bytes()))
}

/// A place in a hash table that is half full, and the text where that is too long to lie in the table.
fn part_bytes(part: &str) -> usize {
    let inline = part.len() <= size_of::<CompactString>();
    64 + if inline { 0 } else { part.len() }
}

#[cfg(test)]
mod tests {
    use super::super::parts::is_own_word;
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
        let cut = ('\0'..=char::MAX).filter(|c| is_own_word(*c, true));
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
