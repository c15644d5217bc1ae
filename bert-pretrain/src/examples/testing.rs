//! A synthetic store whose tokens tell where they come from, for the tests of this folder.

use bert_core::data::random::generator;
use bert_core::tokenizer::SpecialTokens;
use rand::Rng;

use super::Vocabulary;
use crate::config::{ExamplesConfig, Pairs};
use crate::corpus::DocumentStore;

pub(super) const SPECIAL: SpecialTokens = SpecialTokens {
    pad: 0,
    unk: 1,
    cls: 2,
    sep: 3,
    mask: 4,
};
pub(super) const FIRST_ORDINARY: u32 = 5;
/// Every third id, this one among them, is a "##" piece.
pub(super) const CONTINUING: u32 = 8;
pub(super) const SIZE: usize = 307;

pub(super) fn vocabulary() -> Vocabulary {
    let continues_word = (0..SIZE).map(|id| id >= 6 && id % 3 == 2).collect();
    Vocabulary::new(SPECIAL, continues_word).expect("a valid vocabulary")
}

pub(super) fn config(pairs: Pairs) -> ExamplesConfig {
    ExamplesConfig {
        max_seq_length: 61,
        masked_fraction: 0.15,
        whole_word: false,
        pairs,
        short_seq_probability: 0.1,
        valid_fraction: 0.05,
    }
}

/// Documents of sentences in memory.
pub(super) struct Store(Vec<Vec<Vec<u32>>>);

impl Store {
    /// Sentences of the lengths given, with ordinary tokens in a fixed order.
    pub(super) fn of_lengths(documents: &[&[usize]]) -> Self {
        let mut next = 0;
        let mut sentence = |&length: &usize| -> Vec<u32> {
            (0..length)
                .map(|_| {
                    next = (next + 1) % (SIZE as u32 - FIRST_ORDINARY);
                    next + FIRST_ORDINARY
                })
                .collect()
        };
        Self(
            documents
                .iter()
                .map(|lengths| lengths.iter().map(&mut sentence).collect())
                .collect(),
        )
    }

    /// Documents of 1 to 40 sentences of 1 to 30 tokens.
    pub(super) fn random(documents: usize, seed: u64) -> Self {
        let mut random = generator(seed, "store", &[]);
        let lengths: Vec<Vec<usize>> = (0..documents)
            .map(|_| {
                let sentences = random.random_range(1..=40);
                (0..sentences)
                    .map(|_| random.random_range(1..=30))
                    .collect()
            })
            .collect();
        Self::of_lengths(&lengths.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }

    /// The same sentences with one id each, counted through from 0 in the order of the store: tests of cutting
    /// recognise them by it. Not for a vocabulary.
    pub(super) fn numbered(mut self) -> Self {
        for (number, sentence) in (0..).zip(self.0.iter_mut().flatten()) {
            sentence.fill(number);
        }
        self
    }

    /// Sets every token of a document.
    pub(super) fn fill(&mut self, document: usize, id: u32) {
        self.0[document].iter_mut().for_each(|s| s.fill(id));
    }

    pub(super) fn tokens(&self) -> usize {
        self.0.iter().flatten().map(Vec::len).sum()
    }
}

impl DocumentStore for Store {
    fn documents(&self) -> usize {
        self.0.len()
    }

    fn sentences(&self, document: usize) -> usize {
        self.0[document].len()
    }

    fn sentence_tokens(&self, document: usize, sentence: usize) -> usize {
        self.0[document][sentence].len()
    }

    fn append_sentence(&self, document: usize, sentence: usize, ids: &mut Vec<u32>) {
        ids.extend_from_slice(&self.0[document][sentence]);
    }
}
