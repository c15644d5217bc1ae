//! Learning a WordPiece vocabulary from word counts.

use std::collections::{BTreeSet, HashMap};

use ahash::AHashMap;
use compact_str::CompactString;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::{AddedToken, NormalizedString, Normalizer, OffsetReferential, OffsetType};
use tokenizers::{PreTokenizedString, PreTokenizer};

use super::files::{assemble, normalizer};
use super::{BertTokenizer, failed};
use crate::error::{Error, Result};

/// The five special tokens, which get the ids 0 to 4.
pub(super) const SPECIAL: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

/// How often each word occurs in a text, words being what BERT's normaliser and splitter make of it.
#[derive(Debug, Clone, Default)]
pub struct WordCounts {
    lowercase: bool,
    /// By stretch between white space: most of a text repeats itself, and is normalised once.
    stretches: HashMap<String, u64>,
}

impl WordCounts {
    /// Of nothing yet.
    pub fn new(lowercase: bool) -> Self {
        Self {
            lowercase,
            stretches: HashMap::new(),
        }
    }

    /// Counts a text.
    pub fn add(&mut self, text: &str) {
        for stretch in text.split_ascii_whitespace() {
            match self.stretches.get_mut(stretch) {
                Some(count) => *count += 1,
                None => drop(self.stretches.insert(stretch.to_string(), 1)),
            }
        }
    }

    /// Adds the counts of another.
    pub fn merge(&mut self, other: Self) {
        for (stretch, count) in other.stretches {
            *self.stretches.entry(stretch).or_insert(0) += count;
        }
    }

    /// Distinct stretches so far.
    pub fn len(&self) -> usize {
        self.stretches.len()
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.stretches.is_empty()
    }

    /// Forgets what occurred fewer than `least` times: keeps memory bounded on texts without end.
    pub fn prune(&mut self, least: u64) {
        self.stretches.retain(|_, count| *count >= least);
    }

    fn words(&self) -> Result<AHashMap<CompactString, u64>> {
        let normalizer = normalizer(self.lowercase);
        let splitter = tokenizers::pre_tokenizers::bert::BertPreTokenizer;
        let mut words = AHashMap::new();
        for (stretch, count) in &self.stretches {
            let mut normalized = NormalizedString::from(stretch.as_str());
            normalizer
                .normalize(&mut normalized)
                .map_err(failed("normalise a text"))?;
            let mut split = PreTokenizedString::from(normalized);
            splitter
                .pre_tokenize(&mut split)
                .map_err(failed("split a text"))?;
            for (word, _, _) in split.get_splits(OffsetReferential::Normalized, OffsetType::Byte) {
                *words.entry(CompactString::from(word)).or_insert(0) += count;
            }
        }
        Ok(words)
    }
}

impl BertTokenizer {
    /// Learns a vocabulary of at most `vocab_size` tokens from words that occur at least `min_frequency` times; equal
    /// counts give equal vocabularies.
    ///
    /// # Errors
    /// [`Error::Usage`] where `vocab_size` has no room for the special tokens and the characters of the text.
    pub fn train(counts: &WordCounts, vocab_size: usize, min_frequency: u64) -> Result<Self> {
        let words = counts.words()?;
        // The trainer numbers the `##` characters in the order of a hash map. Named before, sorted, their ids and with
        // them every tie between merges are the same in every run.
        let first: BTreeSet<char> = words.keys().flat_map(|word| word.chars()).collect();
        let inside: BTreeSet<char> = words.keys().flat_map(|word| word.chars().skip(1)).collect();
        let least = SPECIAL.len() + first.len() + inside.len();
        if vocab_size < least {
            return Err(Error::Usage {
                problem: format!(
                    "a vocabulary of {vocab_size} has no room for the {least} characters and special tokens of the text"
                ),
                help: format!("set tokenizer.vocab_size to {least} or more"),
            });
        }
        let reserved = SPECIAL
            .iter()
            .map(|token| token.to_string())
            .chain(inside.iter().map(|c| format!("##{c}")));
        let trainer = BpeTrainer::builder()
            .vocab_size(vocab_size)
            .min_frequency(min_frequency)
            .show_progress(false)
            .continuing_subword_prefix("##".to_string())
            .special_tokens(
                reserved
                    .map(|token| AddedToken::from(token, true))
                    .collect(),
            )
            .build();
        let mut bpe = BPE::default();
        trainer
            .do_train(&words, &mut bpe)
            .map_err(failed("learn a vocabulary"))?;
        let vocabulary = bpe.get_vocab();
        assemble(
            WordPiece::from_bpe(&bpe),
            &vocabulary,
            normalizer(counts.lowercase),
            Vec::new(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(lowercase: bool) -> WordCounts {
        let mut counts = WordCounts::new(lowercase);
        for i in 0..40 {
            counts.add("The mill stood by the river, and the miller's milling went on.");
            counts.add(&format!(
                "Zoë counted {i} unhappy geese (unluckily) at Thornby!"
            ));
        }
        counts
    }

    #[test]
    fn training_twice_gives_the_same_vocabulary() {
        let train = || BertTokenizer::train(&counts(true), 120, 2).unwrap();
        let first = train();
        for _ in 0..5 {
            assert_eq!(first.vocabulary, train().vocabulary);
        }
        for (id, token) in SPECIAL.iter().enumerate() {
            assert_eq!(first.token(id as u32), Some(*token));
        }
        assert!(first.vocab_size() <= 120);
    }

    #[test]
    fn a_vocabulary_without_room_for_the_characters_is_refused() {
        let error = BertTokenizer::train(&counts(true), 20, 2).err().unwrap();
        assert!(error.to_string().contains("has no room"), "{error}");
    }

    #[test]
    fn the_cached_path_gives_the_ids_of_the_library() {
        for lowercase in [true, false] {
            let tokenizer = BertTokenizer::train(&counts(lowercase), 150, 1).unwrap();
            for text in [
                "",
                "   ",
                "The miller's goose",
                "Zoë\u{301} cafe\u{301}",
                "日本語 mill 한국어 🦆 goose",
                "a\u{0}b\u{200b}c\u{a0}d\te\r\nf",
                "http://mill.example/river?x=1",
                "[MASK] the[SEP]mill",
                &"m".repeat(130),
            ] {
                let mut fast = Vec::new();
                for _ in 0..2 {
                    fast.clear();
                    tokenizer.append_ids(text, &mut fast).unwrap();
                    let plain = tokenizer.tokenizer.encode(text, false).unwrap();
                    assert_eq!(fast, plain.get_ids(), "{text:?}");
                }
            }
        }
    }

    #[test]
    fn a_saved_tokenizer_reads_back_as_the_same_from_either_file() {
        let tokenizer = BertTokenizer::train(&counts(false), 150, 1).unwrap();
        let directory = tempfile::tempdir().unwrap();
        tokenizer.save(directory.path(), None).unwrap();
        let whole = BertTokenizer::load(directory.path()).unwrap();
        std::fs::remove_file(directory.path().join("tokenizer.json")).unwrap();
        let plain = BertTokenizer::load(directory.path()).unwrap();
        for other in [whole, plain] {
            assert_eq!(other.fingerprint(), tokenizer.fingerprint());
            assert!(!other.lowercase());
            let encoding = other.encode("The Mill", Some("geese!")).unwrap();
            assert_eq!(
                encoding,
                tokenizer.encode("The Mill", Some("geese!")).unwrap()
            );
            assert_eq!(encoding.token_type_ids.first(), Some(&0));
            assert_eq!(encoding.token_type_ids.last(), Some(&1));
        }
    }
}
