//! The fixed examples that runs are compared by.

use bert_core::data::random::generator;
use bert_core::error::{Error, Result};
use rand::seq::SliceRandom;
use rayon::prelude::*;

use super::masking::Masking;
use super::sections::sections;
use super::{Example, ExampleSettings, Vocabulary};
use crate::config::ExamplesConfig;
use crate::corpus::DocumentStore;

/// Its own, so that runs with different seeds are evaluated on the same examples.
const SEED: u64 = 0x4556_414c; // "EVAL"

/// Of 15 % of the tokens whatever the training does, so that losses compare; single tokens, for the same reason.
const MASKING: Masking = Masking {
    fraction: 0.15,
    whole_word: false,
};

/// Sections made at a time; any number gives the same examples.
const SECTIONS_AT_A_TIME: usize = 64;

/// Examples of held-out documents, `limit_tokens` tokens of them at most (but one example at least).
///
/// They depend on the store, on `max_seq_length` and on `pairs` only: masks are drawn at 15 % from a fixed seed, one
/// token at a time, and no example is made short on purpose. Documents are taken in a shuffled order and long ones in
/// small parts, so that a limit leaves a sample of the whole store rather than its beginning.
///
/// # Errors
/// [`Error::Usage`] when the store cannot give examples of this kind: it is empty, has too few documents or sentences
/// for pairs, or nothing but unknown words.
pub fn evaluation_examples<S: DocumentStore>(
    store: &S,
    config: &ExamplesConfig,
    vocabulary: &Vocabulary,
    limit_tokens: usize,
) -> Result<Vec<Example>> {
    let mut settings = ExampleSettings::new(config)?;
    settings.masking = MASKING;
    settings.short_seq_probability = 0.0;
    settings.check_store(store)?;
    // A quarter of a sentence a token: some half a dozen full examples a section.
    let sections = sections(store, (config.max_seq_length / 4).max(8))?;
    let mut order: Vec<usize> = (0..sections.len()).collect();
    order.shuffle(&mut generator(SEED, "evaluation order", &[]));

    let mut examples: Vec<Example> = Vec::new();
    let mut tokens = 0;
    'all: for some in order.chunks(SECTIONS_AT_A_TIME) {
        let made: Vec<Vec<Example>> = some
            .par_iter()
            .map(|&index| settings.examples(store, vocabulary, sections.get(index), SEED, 0))
            .collect();
        for example in made.into_iter().flatten() {
            tokens += example.input_ids.len();
            if tokens > limit_tokens && !examples.is_empty() {
                break 'all;
            }
            examples.push(example);
        }
    }
    if examples.is_empty() {
        return Err(Error::Usage {
            problem: "the held-out documents give no example: all their words are unknown".into(),
            help: "the tokenizer does not fit the corpus; train one on it (tokenizer.type: train)"
                .into(),
        });
    }
    Ok(examples)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::testing::{SPECIAL, Store, config, vocabulary};
    use super::*;
    use crate::config::Pairs;

    fn of(store: &Store, config: &ExamplesConfig, limit_tokens: usize) -> Vec<Example> {
        evaluation_examples(store, config, &vocabulary(), limit_tokens).expect("examples")
    }

    #[test]
    fn evaluation_does_not_depend_on_how_training_masks() {
        let store = Store::random(83, 1);
        let base = config(Pairs::Nsp);
        let mut other = config(Pairs::Nsp);
        other.masked_fraction = 0.4;
        other.whole_word = true;
        other.short_seq_probability = 0.9;
        other.valid_fraction = 0.3;
        let examples = of(&store, &base, usize::MAX);
        assert_eq!(examples, of(&store, &other, usize::MAX));
        let (masked, tokens) = examples.iter().fold((0, 0), |(masked, tokens), e| {
            (
                masked + e.masked_positions.len(),
                tokens + e.input_ids.len(),
            )
        });
        assert!((masked as f64 / tokens as f64 - 0.15).abs() < 0.005);
    }

    #[test]
    fn a_limit_takes_a_prefix_that_is_spread_over_the_store() {
        let store = Store::random(300, 2);
        let config = config(Pairs::Nsp);
        let all = of(&store, &config, usize::MAX);
        let some = of(&store, &config, 5_000);
        assert_eq!(some[..], all[..some.len()]);
        let tokens: usize = some.iter().map(|e| e.input_ids.len()).sum();
        assert!((4_900..=5_000).contains(&tokens), "{tokens}");
        assert_eq!(of(&store, &config, 1).len(), 1);
        // Of three thirds of the documents, each has its share.
        for third in 0..3 {
            let share = some.iter().filter(|e| e.origin.document / 100 == third);
            assert!(share.count() * 6 > some.len());
        }
        let documents: HashSet<usize> = all.iter().map(|e| e.origin.document).collect();
        assert_eq!(documents.len(), 300);
    }

    #[test]
    fn one_long_document_does_not_crowd_out_the_others() {
        let long = vec![9; 6_000];
        let short = vec![9; 30];
        let mut documents: Vec<&[usize]> = vec![&long];
        documents.extend((0..99).map(|_| &short[..]));
        let store = Store::of_lengths(&documents);
        let examples = of(&store, &config(Pairs::None), 20_000);
        let long = examples.iter().filter(|e| e.origin.document == 0).count();
        let share = long as f64 / examples.len() as f64;
        assert!((0.4..0.9).contains(&share), "{share}"); // 6000 of 8970 sentences
        let documents: HashSet<usize> = examples.iter().map(|e| e.origin.document).collect();
        assert!(documents.len() > 15);
    }

    #[test]
    fn unknown_words_only_are_refused() {
        let mut store = Store::of_lengths(&[&[7, 9], &[5, 3]]);
        store.fill(0, SPECIAL.unk);
        store.fill(1, SPECIAL.unk);
        let error = evaluation_examples(&store, &config(Pairs::Nsp), &vocabulary(), 100);
        assert!(error.expect_err("no words").to_string().contains("unknown"));
    }
}
