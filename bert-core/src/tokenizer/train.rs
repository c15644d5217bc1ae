//! Learning a WordPiece vocabulary from word counts.

use std::collections::{BTreeMap, BTreeSet};

use ahash::AHashMap;
use compact_str::CompactString;
use tokenizers::AddedToken;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::models::wordpiece::WordPiece;

use super::counts::WordCounts;
use super::files::{assemble, normalizer};
use super::{BertTokenizer, failed};
use crate::error::{Error, Result};

/// The five special tokens, which get the ids 0 to 4.
pub(super) const SPECIAL: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

impl BertTokenizer {
    /// Learns a vocabulary of at most `vocab_size` tokens from words: the characters, then pieces joined by how often they
    /// stand together, `min_frequency` times at least (as Hugging Face learns WordPiece; Schuster and Nakajima 2012 join by
    /// likelihood). Of the characters only the `limit_alphabet` most frequent count; a word with another one is `[UNK]`.
    /// Equal counts give equal vocabularies.
    ///
    /// # Errors
    /// [`Error::Usage`] where `vocab_size` has no room for the special tokens and the characters of the text.
    pub fn train(
        counts: &WordCounts,
        vocab_size: usize,
        min_frequency: u64,
        limit_alphabet: Option<usize>,
    ) -> Result<Self> {
        let mut words = counts.words()?;
        if let Some(limit) = limit_alphabet {
            let kept = most_frequent_characters(&words, limit);
            words.retain(|word, _| word.chars().all(|c| kept.contains(&c)));
        }
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
                help: format!(
                    "set tokenizer.vocab_size to {least} or more, or tokenizer.limit_alphabet to leave out rare characters"
                ),
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
            normalizer(counts.lowercase()),
            Vec::new(),
        )
    }
}

/// Of equally frequent ones, those first in Unicode.
fn most_frequent_characters(words: &AHashMap<CompactString, u64>, limit: usize) -> BTreeSet<char> {
    let mut counts = BTreeMap::new();
    for (word, count) in words {
        for c in word.chars() {
            *counts.entry(c).or_insert(0) += count;
        }
    }
    let mut counts: Vec<(char, u64)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts.into_iter().take(limit).map(|(c, _)| c).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{CACHE, CACHED_WORDS};
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
        let train = || BertTokenizer::train(&counts(true), 120, 2, None).unwrap();
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
    fn words_with_characters_beyond_the_limit_teach_nothing() {
        let mut counts = WordCounts::new(true);
        for _ in 0..3 {
            counts.add("a tea at a tee");
        }
        counts.add("a \u{4e2d}\u{6587} word");
        let limited = BertTokenizer::train(&counts, 100, 2, Some(3)).unwrap();
        let characters = limited
            .vocabulary
            .iter()
            .filter(|token| token.chars().count() == 1);
        assert_eq!(characters.collect::<Vec<_>>(), ["a", "e", "t"]);
        assert!(limited.vocabulary.iter().any(|token| token == "tea"));
        let mut ids = Vec::new();
        limited.append_ids("tea \u{4e2d} word", &mut ids).unwrap();
        assert_eq!(ids[1..], [1, 1]);
    }

    #[test]
    fn a_vocabulary_without_room_for_the_characters_is_refused() {
        let error = BertTokenizer::train(&counts(true), 20, 2, None)
            .err()
            .unwrap();
        assert!(error.to_string().contains("has no room"), "{error}");
    }

    #[test]
    fn the_cached_path_gives_the_ids_of_the_library() {
        for lowercase in [true, false] {
            let tokenizer = BertTokenizer::train(&counts(lowercase), 150, 1, None).unwrap();
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
                &"日本mill,".repeat(30),
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
    fn a_thread_remembers_a_bounded_number_of_short_stretches() {
        let tokenizer = BertTokenizer::train(&counts(true), 150, 1, None).unwrap();
        let long = "mill,".repeat(1000);
        let different = (0..CACHED_WORDS + 9).map(|i| format!("g{i} "));
        let text = format!("{long} {}", different.collect::<String>());
        tokenizer.append_ids(&text, &mut Vec::new()).unwrap();
        CACHE.with_borrow(|(_, cache)| {
            assert!((1..=CACHED_WORDS).contains(&cache.len()));
            assert!(cache.keys().all(|stretch| stretch.len() < 10));
        });
    }

    #[test]
    fn a_saved_tokenizer_reads_back_as_the_same_from_either_file() {
        let tokenizer = BertTokenizer::train(&counts(false), 150, 1, None).unwrap();
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
