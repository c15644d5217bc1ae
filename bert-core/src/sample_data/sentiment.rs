//! Reviews of tea rooms, concerts and the like, positive or negative. Praise may be hidden in a negated
//! complaint, and a clause may say the opposite of the review: the clause that is granted ("although ...") does
//! not count, the one that is claimed does.

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::facts::town;
use super::rows::Splits;

/// The labels.
pub const SENTIMENT_LABELS: [&str; 2] = ["negative", "positive"];

/// One labelled review.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// The review: one to three sentences.
    pub text: String,
    /// One of [`SENTIMENT_LABELS`].
    pub label: &'static str,
}

/// What is reviewed, with the parts of it that are praised or blamed, all singular.
const VENUES: &[(&str, &[&str])] = &[
    (
        "tea rooms",
        &[
            "the tea",
            "the soup",
            "the walnut cake",
            "the waiter",
            "the service",
            "the jam",
        ],
    ),
    (
        "inn",
        &[
            "the bed",
            "the breakfast",
            "the landlord",
            "the view",
            "the room",
            "the ale",
        ],
    ),
    (
        "theatre",
        &[
            "the play",
            "the leading actor",
            "the scenery",
            "the music",
            "the second act",
            "the ending",
        ],
    ),
    (
        "bookshop",
        &[
            "the owner",
            "the choice of novels",
            "the reading corner",
            "the lighting",
            "the coffee",
        ],
    ),
    (
        "boating lake",
        &[
            "the boat",
            "the picnic",
            "the ferryman",
            "the island",
            "the water",
            "the ice cream",
        ],
    ),
    (
        "bandstand",
        &[
            "the band",
            "the singer",
            "the lemonade",
            "the first song",
            "the fiddler",
            "the sound",
        ],
    ),
    (
        "museum",
        &[
            "the guide",
            "the collection",
            "the fossil room",
            "the shop",
            "the garden",
            "the map",
        ],
    ),
    (
        "bakery",
        &[
            "the bread",
            "the baker",
            "the apple pie",
            "the queue",
            "the pastry",
            "the crust",
        ],
    ),
];

const NAMES: &[&str] = &[
    "Blue Kettle",
    "Old Anchor",
    "Silver Goose",
    "Red Lantern",
    "Golden Hare",
    "Green Door",
    "Copper Pot",
    "White Swan",
    "Little Owl",
    "Jolly Miller",
    "Three Acorns",
    "Brass Button",
    "Sleepy Fox",
    "Lucky Magpie",
];

/// Adjectives, negative and positive in the order of [`SENTIMENT_LABELS`].
const ADJECTIVES: [&[&str]; 2] = [
    &[
        "dreadful",
        "dull",
        "disappointing",
        "awful",
        "hopeless",
        "shabby",
        "boring",
        "terrible",
        "unpleasant",
        "second-rate",
        "poor",
        "dismal",
        "miserable",
        "tiresome",
        "bad",
        "horrid",
    ],
    &[
        "delightful",
        "excellent",
        "charming",
        "wonderful",
        "splendid",
        "lovely",
        "superb",
        "marvellous",
        "memorable",
        "perfect",
        "pleasant",
        "remarkable",
        "good",
        "brilliant",
        "first-rate",
        "magnificent",
    ],
];

/// Whole predicates, in the same order.
const PREDICATES: [&[&str]; 2] = [
    &[
        "made us wish we had stayed at home",
        "was a great disappointment",
        "spoiled the whole day",
        "was not worth a penny",
        "let everybody down",
        "would have shamed a pigsty",
        "left us yawning",
        "sent my aunt home in tears",
    ],
    &[
        "made the whole day",
        "was worth every penny",
        "was a joy from beginning to end",
        "could not have been better",
        "had us smiling all the way home",
        "delighted even my aunt",
        "was better than we had dared to hope",
        "left us wanting more",
    ],
];

/// Last words, in the same order.
const VERDICTS: [&[&str]; 2] = [
    &[
        "Never again.",
        "We left early.",
        "Save your money.",
        "I want my money back.",
        "Go somewhere else.",
    ],
    &[
        "We shall be back.",
        "Do go.",
        "I told all my friends.",
        "We stayed until closing.",
        "Five stars.",
    ],
];

/// The review set of a seed: as many of each label, and no place reviewed in two splits.
pub fn sentiment(seed: u64) -> Splits<Review> {
    let sizes = [4000, 500, 500];
    let splits = Splits::draw(seed, "sample sentiment", sizes, draw, |(place, _)| {
        place.clone()
    });
    let reviews =
        |rows: Vec<(String, Review)>| rows.into_iter().map(|(_, review)| review).collect();
    Splits {
        train: reviews(splits.train),
        valid: reviews(splits.valid),
        test: reviews(splits.test),
    }
}

/// The place reviewed, and the review.
fn draw(row: usize, rng: &mut ChaCha8Rng) -> Option<(String, Review)> {
    let claimed = row % 2;
    let (kind, parts) = VENUES.choose(rng)?;
    let name = NAMES.choose(rng)?;
    let place = format!("{name} {kind} in {}", town(rng));
    let mut parts = parts.choose_multiple(rng, 2);
    let (first, second) = (parts.next()?, parts.next()?);

    let body = match rng.random_range(0..6) {
        0 => format!("{first} {}", predicate(claimed, rng)),
        1 => format!(
            "{first} {}, and {second} {}",
            predicate(claimed, rng),
            predicate(claimed, rng)
        ),
        2 => format!(
            "although {first} {}, {second} {}",
            predicate(1 - claimed, rng),
            predicate(claimed, rng)
        ),
        3 => format!(
            "{second} {}, even if {first} {}",
            predicate(claimed, rng),
            predicate(1 - claimed, rng)
        ),
        4 => format!(
            "{first} {}, but {second} {}",
            predicate(1 - claimed, rng),
            predicate(claimed, rng)
        ),
        _ => format!(
            "nobody could say that {first} was {}",
            ADJECTIVES[1 - claimed].choose(rng)?
        ),
    };
    let mut text = match rng.random_range(0..3) {
        0 => format!("At the {place}, {body}."),
        1 => format!("We went to the {place}. {}.", capitalised(&body)),
        _ => format!("The {place}: {body}."),
    };
    if rng.random_range(0..4) == 0 {
        text.push(' ');
        text.push_str(VERDICTS[claimed].choose(rng)?);
    }
    let label = SENTIMENT_LABELS[claimed];
    Some((place, Review { text, label }))
}

/// What is said of one part: a verb and the rest, of the sentiment asked for.
fn predicate(sentiment: usize, rng: &mut ChaCha8Rng) -> String {
    let adjective = |of: usize, rng: &mut ChaCha8Rng| {
        let from = ADJECTIVES[of];
        from[rng.random_range(0..from.len())]
    };
    match rng.random_range(0..8) {
        0..3 => format!("was {}", adjective(sentiment, rng)),
        3 => format!("was {} and {}", adjective(sentiment, rng), {
            let from = PREDICATES[sentiment];
            from[rng.random_range(0..from.len())]
        }),
        4 => format!("was not {} at all", adjective(1 - sentiment, rng)),
        5 => format!("was anything but {}", adjective(1 - sentiment, rng)),
        _ => {
            let from = PREDICATES[sentiment];
            from[rng.random_range(0..from.len())].to_owned()
        }
    }
}

fn capitalised(text: &str) -> String {
    let mut text = text.to_owned();
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    #[test]
    fn both_labels_are_equally_frequent_and_no_text_comes_twice() {
        let splits = sentiment(1);
        let mut seen = HashSet::new();
        for (name, rows) in splits.named() {
            let positive = rows.iter().filter(|row| row.label == "positive").count();
            assert_eq!(positive * 2, rows.len(), "{name}");
            assert!(
                rows.iter().all(|row| seen.insert(row.text.clone())),
                "{name}"
            );
        }
    }

    #[test]
    fn single_words_tell_the_label_better_than_chance_but_not_always() {
        // A naive Bayes classifier, the bag-of-words bar that a model with attention should clear.
        let splits = sentiment(2);
        let words = |text: &str| {
            text.split(|c: char| !c.is_alphanumeric())
                .map(str::to_lowercase)
                .collect::<Vec<_>>()
        };
        let mut counts: HashMap<String, [f64; 2]> = HashMap::new();
        for row in &splits.train {
            for word in words(&row.text) {
                counts.entry(word).or_insert([1.0; 2])[usize::from(row.label == "positive")] += 1.0;
            }
        }
        let right = splits.test.iter().filter(|row| {
            let score: f64 = words(&row.text)
                .iter()
                .filter_map(|word| counts.get(word))
                .map(|[n, p]| (p / n).ln())
                .sum();
            (score > 0.0) == (row.label == "positive")
        });
        let accuracy = right.count() as f64 / splits.test.len() as f64;
        assert!((0.55..0.92).contains(&accuracy), "{accuracy}");
    }
}
