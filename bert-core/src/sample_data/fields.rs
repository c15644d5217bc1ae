//! News in brief from several departments: each text has one label for every field it touches.

use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;

use super::facts::Facts;
use super::grammar::sentence;
use super::rows::Splits;
use super::topics::{self, FIELDS};

/// One text and its labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelledText {
    /// One to three sentences, each of a field of its own.
    pub text: String,
    /// The fields, in alphabetical order.
    pub labels: Vec<&'static str>,
}

/// The multi-label set of a seed.
pub fn fields(seed: u64) -> Splits<LabelledText> {
    let sizes = [4000, 500, 500];
    Splits::draw(seed, "sample fields", sizes, draw, |row| row.text.clone())
}

fn draw(_: usize, rng: &mut ChaCha8Rng) -> Option<LabelledText> {
    let count = rng.random_range(1..=3);
    let mut labels: Vec<&'static str> = FIELDS.choose_multiple(rng, count).copied().collect();
    labels.shuffle(rng);
    let mut sentences = Vec::with_capacity(count);
    for field in &labels {
        let of_field: Vec<_> = (topics::all().iter())
            .filter(|topic| topic.field == *field)
            .collect();
        let facts = Facts::draw(of_field.choose(rng)?, rng);
        // Tables have no quotation marks, so no one speaks here.
        let templates = facts.topic.sentences.iter();
        let unspoken: Vec<_> = templates.filter(|text| !text.contains('"')).collect();
        sentences.push(sentence(unspoken.choose(rng)?, &facts, rng).text);
    }
    labels.sort_unstable();
    Some(LabelledText {
        text: sentences.join(" "),
        labels,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_in_about_two_sevenths_of_the_texts() {
        let splits = fields(1);
        for field in FIELDS {
            let rows = splits.train.iter();
            let with = rows.filter(|row| row.labels.contains(&field)).count();
            let share = with as f64 / splits.train.len() as f64;
            assert!((0.24..0.34).contains(&share), "{field}: {share}");
        }
        let counts = splits.train.iter().map(|row| row.labels.len());
        assert!(counts.clone().all(|count| (1..=3).contains(&count)));
    }
}
