//! Chooses the tokens to predict and hides them: 80 % become [MASK], 10 % a random token, 10 % stay as they are.
//!
//! # Reference
//! Devlin et al. 2019, section 3.1, task 1, and appendix A.1.

use std::ops::Range;

use rand::Rng;
use rand::seq::SliceRandom;

use super::Vocabulary;

/// How masks are drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Masking {
    /// The share of all tokens of an example, [CLS] and [SEP] counted as in google-research/bert, that is predicted.
    pub(super) fraction: f64,
    /// Whether the pieces of a word are masked together.
    pub(super) whole_word: bool,
}

impl Masking {
    /// Masks `input_ids` in place and returns the positions, ascending, and what stood there; None if every token is
    /// special.
    pub(super) fn apply(
        self,
        input_ids: &mut [u32],
        vocabulary: &Vocabulary,
        generator: &mut impl Rng,
    ) -> Option<(Vec<u32>, Vec<u32>)> {
        let budget = self.budget(input_ids.len());
        let mut positions = if self.whole_word {
            whole_words(input_ids, vocabulary, budget, generator)
        } else {
            single_tokens(input_ids, vocabulary, budget, generator)
        };
        if positions.is_empty() {
            return None;
        }
        positions.sort_unstable();
        let mut labels = Vec::with_capacity(positions.len());
        for &position in &positions {
            let id = &mut input_ids[position as usize];
            labels.push(*id);
            match generator.random_range(0..10u32) {
                0..8 => *id = vocabulary.special.mask,
                8 => {
                    *id = vocabulary.ordinary[generator.random_range(0..vocabulary.ordinary.len())]
                }
                _ => {}
            }
        }
        Some((positions, labels))
    }

    /// How many tokens to predict of an example of `tokens`. There is no upper bound of its own: the
    /// `max_predictions_per_seq` of google-research/bert is the width of its padded arrays.
    fn budget(self, tokens: usize) -> usize {
        ((tokens as f64 * self.fraction).round() as usize).max(1)
    }
}

/// `budget` positions, every set of them as likely as every other; fewer if there are not as many.
fn single_tokens(
    input_ids: &[u32],
    vocabulary: &Vocabulary,
    budget: usize,
    generator: &mut impl Rng,
) -> Vec<u32> {
    let mut candidates: Vec<u32> = (0u32..)
        .zip(input_ids)
        .filter_map(|(position, &id)| (!vocabulary.is_special(id)).then_some(position))
        .collect();
    let (chosen, _) = candidates.partial_shuffle(generator, budget);
    chosen.to_vec()
}

/// The positions of whole words in random order, as many as the budget allows; a word that would overrun it is
/// skipped and a later one may fit. If no word fits at all, the first `budget` pieces of a random one are taken:
/// the budget always holds and something is always masked, and only then is a word masked in part.
fn whole_words(
    input_ids: &[u32],
    vocabulary: &Vocabulary,
    budget: usize,
    generator: &mut impl Rng,
) -> Vec<u32> {
    let mut words = words(input_ids, vocabulary);
    words.shuffle(generator);
    let mut positions = Vec::with_capacity(budget);
    for word in &words {
        if positions.len() + word.len() <= budget {
            positions.extend(word.clone());
        }
        if positions.len() == budget {
            break;
        }
    }
    if positions.is_empty()
        && let Some(word) = words.into_iter().next()
    {
        positions.extend(word.take(budget));
    }
    positions
}

/// The words of an example. A special token ends one, so a "##" piece at the cut front of B is a word of its own
/// (google-research/bert counts it to the last word of A).
fn words(input_ids: &[u32], vocabulary: &Vocabulary) -> Vec<Range<u32>> {
    let mut words: Vec<Range<u32>> = Vec::with_capacity(input_ids.len());
    for (position, &id) in (0u32..).zip(input_ids) {
        if vocabulary.is_special(id) {
            continue;
        }
        match words.last_mut() {
            Some(word) if word.end == position && vocabulary.continues_word(id) => word.end += 1,
            _ => words.push(position..position + 1),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use bert_core::data::random::generator;

    use super::super::testing::{CONTINUING, FIRST_ORDINARY, SIZE, SPECIAL, vocabulary};
    use super::*;

    /// `[CLS] ... [SEP]` round the ids.
    fn example(text: &[u32]) -> Vec<u32> {
        let mut ids = vec![SPECIAL.cls];
        ids.extend_from_slice(text);
        ids.push(SPECIAL.sep);
        ids
    }

    fn masking(fraction: f64, whole_word: bool) -> Masking {
        Masking {
            fraction,
            whole_word,
        }
    }

    #[test]
    fn the_budget_counts_all_tokens_and_is_one_at_least() {
        let bert = masking(0.15, false);
        let budgets = [3, 5, 61, 128, 512].map(|tokens| bert.budget(tokens));
        assert_eq!(budgets, [1, 1, 9, 19, 77]);
        assert_eq!(masking(0.4, false).budget(61), 24);
    }

    #[test]
    fn four_fifths_are_masked_one_tenth_random_one_tenth_kept() {
        let vocabulary = vocabulary();
        let mut random = generator(3, "test", &[]);
        let text: Vec<u32> = (0..59).map(|i| FIRST_ORDINARY + i).collect();
        let (mut hidden, mut replaced, mut kept) = (0, 0, 0);
        let mut drawn = vec![0; SIZE];
        for _ in 0..20_000 {
            let original = example(&text);
            let mut ids = original.clone();
            let (positions, labels) = masking(0.15, false)
                .apply(&mut ids, &vocabulary, &mut random)
                .expect("maskable");
            assert_eq!(positions.len(), 9);
            assert!(positions.is_sorted_by(|a, b| a < b));
            for (position, id) in ids.iter().enumerate() {
                let predicted = positions.binary_search(&(position as u32));
                match predicted {
                    Err(_) => assert_eq!(*id, original[position]),
                    Ok(index) => {
                        assert_eq!(labels[index], original[position]);
                        if *id == SPECIAL.mask {
                            hidden += 1;
                        } else if *id == labels[index] {
                            kept += 1;
                        } else {
                            replaced += 1;
                            drawn[*id as usize] += 1;
                        }
                    }
                }
            }
        }
        // 180 000 draws: the standard deviation of a share is below 0.001.
        let all = f64::from(hidden + replaced + kept);
        let ordinary = (SIZE - FIRST_ORDINARY as usize) as f64;
        let own = 0.1 / ordinary; // a random draw of the very token that stood there looks kept
        assert!((f64::from(hidden) / all - 0.8).abs() < 0.005);
        assert!((f64::from(replaced) / all - (0.1 - own)).abs() < 0.004);
        assert!((f64::from(kept) / all - (0.1 + own)).abs() < 0.004);
        // No special token is drawn, and every other one is about equally often.
        assert!(drawn[..FIRST_ORDINARY as usize].iter().all(|&n| n == 0));
        let expected = f64::from(replaced) / ordinary;
        for &count in &drawn[FIRST_ORDINARY as usize..] {
            assert!((f64::from(count) - expected).abs() < 6.0 * expected.sqrt());
        }
    }

    #[test]
    fn every_ordinary_position_is_equally_likely_and_special_tokens_are_never_masked() {
        let vocabulary = vocabulary();
        let mut random = generator(4, "test", &[]);
        let mut text: Vec<u32> = (0..17).map(|i| FIRST_ORDINARY + i).collect();
        text[3] = SPECIAL.unk;
        text[8] = SPECIAL.pad;
        text[9] = SPECIAL.mask;
        let original = example(&text);
        let mut counts = vec![0u32; original.len()];
        let rounds = 30_000;
        for _ in 0..rounds {
            let (positions, _) = masking(0.15, false)
                .apply(&mut original.clone(), &vocabulary, &mut random)
                .expect("maskable");
            positions.iter().for_each(|&p| counts[p as usize] += 1);
        }
        // round(19 * 0.15) = 3 of 14 positions.
        for (position, &count) in counts.iter().enumerate() {
            if [0, 4, 9, 10, 18].contains(&position) {
                assert_eq!(count, 0);
            } else {
                let share = f64::from(count) / f64::from(rounds);
                assert!((share - 3.0 / 14.0).abs() < 0.012, "{position}: {share}");
            }
        }
    }

    #[test]
    fn whole_words_are_masked_entirely_or_not_at_all_and_within_the_budget() {
        let vocabulary = vocabulary();
        let mut random = generator(5, "test", &[]);
        for round in 0..3_000 {
            let tokens = 11 + round % 90;
            let text: Vec<u32> = (0..tokens)
                .map(|_| random.random_range(FIRST_ORDINARY..SIZE as u32))
                .collect();
            let ids = example(&text);
            let words = words(&ids, &vocabulary);
            let whole = masking(0.15, true);
            let budget = whole.budget(ids.len());
            let (positions, _) = whole
                .apply(&mut ids.clone(), &vocabulary, &mut random)
                .expect("maskable");
            assert!((1..=budget).contains(&positions.len()));
            let shortest = words.iter().map(|word| word.len()).min().unwrap_or(0);
            for word in &words {
                let masked = positions.iter().filter(|p| word.contains(p)).count();
                let entirely = masked == 0 || masked == word.len();
                assert!(entirely || shortest > budget);
            }
        }
    }

    #[test]
    fn where_no_word_fits_one_is_masked_in_part() {
        let vocabulary = vocabulary();
        let mut random = generator(6, "test", &[]);
        let piece = CONTINUING;
        let word = FIRST_ORDINARY;
        // Two words of three pieces; round(8 * 0.25) = 2.
        let original = example(&[word, piece, piece, word, piece, piece]);
        let mut seen = [0u32; 2];
        for _ in 0..200 {
            let (positions, _) = masking(0.25, true)
                .apply(&mut original.clone(), &vocabulary, &mut random)
                .expect("maskable");
            assert!(positions == [1, 2] || positions == [4, 5]);
            seen[usize::from(positions[0] == 4)] += 1;
        }
        assert!(seen.iter().all(|&n| n > 60));
    }

    #[test]
    fn a_piece_after_a_special_token_is_a_word_of_its_own() {
        let (word, piece) = (FIRST_ORDINARY, CONTINUING);
        let ids = [
            SPECIAL.cls,
            word,
            piece,
            SPECIAL.sep,
            piece,
            piece,
            word,
            SPECIAL.unk,
            piece,
            SPECIAL.sep,
        ];
        assert_eq!(words(&ids, &vocabulary()), [1..3, 4..6, 6..7, 8..9]);
    }

    #[test]
    fn nothing_but_special_tokens_gives_none() {
        let mut ids = example(&[SPECIAL.unk, SPECIAL.unk]);
        let mut random = generator(7, "test", &[]);
        for whole_word in [false, true] {
            let masked = masking(0.15, whole_word).apply(&mut ids, &vocabulary(), &mut random);
            assert_eq!(masked, None);
        }
    }
}
