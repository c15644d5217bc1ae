//! Sentence pairs: does the second follow from the first, contradict it, or neither?

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::articles::random_facts;
use super::grammar::sentence;
use super::rows::Splits;
use super::statements::{STATEMENTS, Statement};

/// The labels, under the names that natural language inference gives them.
pub const PAIR_LABELS: [&str; 3] = ["entailment", "neutral", "contradiction"];

/// One labelled pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The premise: one or two sentences.
    pub text: String,
    /// The hypothesis: one sentence. It speaks of the same event as the premise, as in SNLI: another day for it
    /// is a contradiction, not another event.
    pub text_pair: String,
    /// One of [`PAIR_LABELS`].
    pub label: &'static str,
}

/// The pair set of a seed: as many pairs of each label.
pub fn pairs(seed: u64) -> Splits<Pair> {
    let sizes = [6000, 600, 600];
    Splits::draw(seed, "sample pairs", sizes, draw, |pair| pair.text.clone())
}

fn draw(row: usize, rng: &mut ChaCha8Rng) -> Option<Pair> {
    let facts = random_facts(rng);
    let mut chosen = STATEMENTS.choose_multiple(rng, 3);
    let [main, second, unsaid] = [chosen.next()?, chosen.next()?, chosen.next()?];
    let said = |statement: &Statement, rng: &mut ChaCha8Rng| {
        let wording = rng.random_range(0..statement.said.len());
        statement.said[wording]
    };

    let premise = said(main, rng);
    let mut text = sentence(premise, &facts, rng).text;
    if rng.random_range(0..5) < 2 {
        let also = sentence(said(second, rng), &facts, rng).text;
        text = if rng.random() {
            format!("{text} {also}")
        } else {
            format!("{also} {text}")
        };
    }
    let label = PAIR_LABELS[row % 3];
    let text_pair = match label {
        "entailment" => {
            let others: Vec<_> = main
                .said
                .iter()
                .filter(|wording| **wording != premise)
                .collect();
            sentence(others.choose(rng)?, &facts, rng).text
        }
        "neutral" => sentence(said(unsaid, rng), &facts, rng).text,
        // Half the contradictions deny the statement, half say it with one fact changed.
        _ if rng.random() => sentence(main.denied, &facts, rng).text,
        _ => {
            let altered = facts.altered(main.keys.choose(rng)?, rng);
            sentence(said(main, rng), &altered, rng).text
        }
    };
    Some(Pair {
        text,
        text_pair,
        label,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_labels_are_even_and_the_two_texts_differ() {
        for (name, rows) in pairs(1).named() {
            for label in PAIR_LABELS {
                let count = rows.iter().filter(|pair| pair.label == label).count();
                assert_eq!(count * 3, rows.len(), "{name}: {label}");
            }
            assert!(rows.iter().all(|pair| pair.text != pair.text_pair));
        }
    }

    #[test]
    fn no_premise_is_in_two_splits() {
        let splits = pairs(2);
        let premises = |rows: &[Pair]| {
            rows.iter()
                .map(|pair| pair.text.clone())
                .collect::<HashSet<_>>()
        };
        let train = premises(&splits.train);
        let valid = premises(&splits.valid);
        let test = premises(&splits.test);
        assert!(train.is_disjoint(&valid) && train.is_disjoint(&test) && valid.is_disjoint(&test));
    }

    #[test]
    fn entailed_sentences_bring_no_new_name_or_number_and_altered_ones_do() {
        let words = |text: &str| {
            let split = text
                .split(|c: char| !c.is_alphanumeric())
                .map(str::to_lowercase);
            split.collect::<HashSet<_>>()
        };
        let (mut checked, mut news) = (0, 0);
        for pair in &pairs(3).train {
            let premise = words(&pair.text);
            let numbers = words(&pair.text_pair);
            let new = numbers
                .iter()
                .any(|word| word.parse::<u32>().is_ok() && !premise.contains(word));
            match pair.label {
                "entailment" => assert!(!new, "{pair:?}"),
                "contradiction" => {
                    checked += 1;
                    news += u32::from(new);
                }
                _ => {}
            }
        }
        assert!(news * 10 > checked, "{news} of {checked}");
    }
}
