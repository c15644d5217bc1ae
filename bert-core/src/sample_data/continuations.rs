//! How does the article go on? Four sentences to choose from, one of which is the next.

use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::articles::article;
use super::rows::Splits;

/// One question with its choices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Continuation {
    /// Two sentences of an article.
    pub question: String,
    /// The sentence that follows, and three from other articles.
    pub choices: Vec<String>,
    /// Which choice follows, from 0.
    pub label: usize,
}

/// The multiple-choice set of a seed.
pub fn continuations(seed: u64) -> Splits<Continuation> {
    let sizes = [3000, 400, 400];
    Splits::draw(seed, "sample continuations", sizes, draw, |row| {
        row.question.clone()
    })
}

fn draw(_: usize, rng: &mut ChaCha8Rng) -> Option<Continuation> {
    let (facts, sentences) = article(rng);
    let at = rng.random_range(0..sentences.len() - 2);
    let right = sentences[at + 2].text.clone();
    let mut choices = vec![right.clone()];
    while choices.len() < 4 {
        let (other, sentences) = article(rng);
        if other.topic.org != facts.topic.org {
            choices.push(sentences.choose(rng)?.text.clone());
        }
    }
    choices.shuffle(rng);
    Some(Continuation {
        question: format!("{} {}", sentences[at].text, sentences[at + 1].text),
        label: choices.iter().position(|choice| *choice == right)?,
        choices,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_choice_stands_in_every_place_as_often() {
        let splits = continuations(1);
        for place in 0..4 {
            let rows = splits.train.iter();
            let count = rows.filter(|row| row.label == place).count();
            let share = count as f64 / splits.train.len() as f64;
            assert!((0.22..0.28).contains(&share), "{place}: {share}");
        }
        for row in &splits.train {
            assert_eq!(row.choices.len(), 4);
            let right = &row.choices[row.label];
            assert_eq!(row.choices.iter().filter(|c| *c == right).count(), 1);
        }
    }
}
