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
    /// likelihood). Of the characters only the `limit_alphabet` most frequent count; without a limit all do, but where they
    /// would take more than half of the vocabulary the rarest, one in a thousand of the text's. A word with another one is
    /// `[UNK]`. Equal counts give equal vocabularies.
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
        let characters = characters_by_frequency(&words);
        let limit = limit_alphabet.unwrap_or_else(|| all_but_the_rarest(&characters, vocab_size));
        if limit < characters.len() {
            log::info!(
                "the vocabulary has the {limit} most frequent of {} characters",
                characters.len()
            );
            let kept: BTreeSet<char> = characters[..limit].iter().map(|(c, _)| *c).collect();
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

/// The share of a text's characters that may be left out where its alphabet takes more than half of the vocabulary.
const RARE_CHARACTERS: f64 = 0.001;

/// How many of the characters, most frequent first, a vocabulary should have: all, unless they are so many that half of it is
/// not enough for them, each by itself and inside words. Text from the web has thousands that occur a few times.
fn all_but_the_rarest(characters: &[(char, u64)], vocab_size: usize) -> usize {
    let room = (vocab_size / 2).saturating_sub(SPECIAL.len()) / 2;
    let total: u64 = characters.iter().map(|(_, count)| count).sum();
    let mut left_out = 0;
    let rarest = characters.iter().skip(room).rev().take_while(|(_, count)| {
        left_out += count;
        left_out as f64 <= RARE_CHARACTERS * total as f64
    });
    characters.len() - rarest.count()
}

/// Of equally frequent ones, those first in Unicode come first.
fn characters_by_frequency(words: &AHashMap<CompactString, u64>) -> Vec<(char, u64)> {
    let mut counts = BTreeMap::new();
    for (word, count) in words {
        for c in word.chars() {
            *counts.entry(c).or_insert(0) += count;
        }
    }
    let mut counts: Vec<(char, u64)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts
}

#[cfg(test)]
mod tests {
    use super::super::{CACHE, CACHED_PARTS};
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
    fn the_rarest_of_too_many_characters_are_left_out() {
        let rare = |count: u32| (0..count).map(|i| char::from_u32(0x4e00 + i).unwrap());
        let train = |count| {
            let mut counts = counts(true);
            for _ in 0..2_000 {
                counts.add("the mill and the river");
            }
            rare(count).for_each(|c| counts.add(&c.to_string()));
            BertTokenizer::train(&counts, 300, 2, None)
        };
        let has =
            |tokenizer: &BertTokenizer, c: char| tokenizer.vocabulary.contains(&c.to_string());
        // A few are no reason to leave any out.
        let few = train(2).unwrap();
        assert!(rare(2).all(|c| has(&few, c)));
        // Of seventy that occur once among some forty thousand, half a vocabulary has no room for all.
        let many = train(70).unwrap();
        let left_out = rare(70).filter(|c| !has(&many, *c)).count();
        assert!((20..60).contains(&left_out), "{left_out}");
        assert!("millriver".chars().all(|c| has(&many, c)));
        // Four hundred are more than one in a thousand: that is no longer rare.
        let error = train(400).err().unwrap().to_string();
        assert!(error.contains("has no room"), "{error}");
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
    fn a_thread_remembers_a_bounded_number_of_short_parts() {
        let tokenizer = BertTokenizer::train(&counts(true), 150, 1, None).unwrap();
        let long = "mill".repeat(1000);
        let different = (0..CACHED_PARTS + 9).map(|i| format!("g{i} "));
        let text = format!("{long} {}", different.collect::<String>());
        tokenizer.append_ids(&text, &mut Vec::new()).unwrap();
        CACHE.with_borrow(|(_, cache)| {
            assert!((1..=CACHED_PARTS).contains(&cache.len()));
            assert!(cache.keys().all(|part| part.len() < 10));
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
