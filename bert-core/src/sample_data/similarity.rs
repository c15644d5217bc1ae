//! Pairs of texts, and how much of what they say is the same: a number.

use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;

use super::articles::random_facts;
use super::grammar::sentence;
use super::rows::Splits;
use super::statements::STATEMENTS;

/// One scored pair.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredPair {
    /// One to three statements.
    pub text: String,
    /// One to three statements about the same event.
    pub text_pair: String,
    /// From 0 to 5, as in STS-B: five times the statements that both make over those that either makes.
    pub score: f64,
}

/// The similarity set of a seed.
pub fn similarity(seed: u64) -> Splits<ScoredPair> {
    let sizes = [6000, 600, 600];
    Splits::draw(seed, "sample similarity", sizes, draw, |pair| {
        (pair.text.clone(), pair.text_pair.clone())
    })
}

fn draw(_: usize, rng: &mut ChaCha8Rng) -> Option<ScoredPair> {
    let facts = random_facts(rng);
    let statements: Vec<_> = STATEMENTS.choose_multiple(rng, 4).collect();
    // Which of the four each text makes; the texts overlap in `shared` of them.
    let first = rng.random_range(1..=3);
    let shared = rng.random_range(0..=first);
    let own = rng.random_range(usize::from(shared == 0)..=(4 - first).min(3 - shared));
    let either = first + own;
    let text = |mut chosen: Vec<usize>, rng: &mut ChaCha8Rng| -> Option<String> {
        chosen.shuffle(rng);
        let sentences = chosen.into_iter().map(|index| {
            let wording = statements[index].said.choose(rng)?;
            Some(sentence(wording, &facts, rng).text)
        });
        Some(sentences.collect::<Option<Vec<_>>>()?.join(" "))
    };
    Some(ScoredPair {
        text: text((0..first).collect(), rng)?,
        text_pair: text((first - shared..either).collect(), rng)?,
        score: (50.0 * shared as f64 / either as f64).round() / 10.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_span_their_range_and_the_highest_are_of_texts_that_say_the_same() {
        let splits = similarity(1);
        let of = |low: f64, high: f64| {
            let rows = splits.train.iter();
            rows.filter(|row| (low..=high).contains(&row.score)).count()
        };
        for (low, high) in [(0.0, 0.0), (1.0, 2.0), (2.1, 3.9), (5.0, 5.0)] {
            assert!(of(low, high) > 300, "{low} to {high}");
        }
        assert_eq!(of(0.0, 5.0), splits.train.len());
        let sentences = |text: &str| text.matches(". ").count();
        for row in splits.train.iter().filter(|row| row.score == 5.0) {
            assert_eq!(sentences(&row.text), sentences(&row.text_pair), "{row:?}");
        }
    }
}
