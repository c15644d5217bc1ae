//! What the gazette writes about: each topic with words and sentences of its own, so that one sentence is
//! usually enough to tell it from the others.
//!
//! Word lists are separated by commas; a thing whose plural is irregular is written `loaf:loaves`. Everything in
//! a list must make sense beside everything in the others: any leader may have done any of the verbs to any of
//! the things, whatever adjective they have. Sentences are in the notation of [`super::grammar`].

mod civic;
mod country;
mod learning;
mod sport;
mod stage;
mod water;
mod works;

use std::sync::LazyLock;

/// A topic as it is written down in this folder.
struct Source {
    /// What an organisation of this topic is called after the name of its town.
    org: &'static str,
    events: &'static str,
    places: &'static str,
    leader: &'static str,
    helper: &'static str,
    things: &'static str,
    adjectives: &'static str,
    verbs: &'static str,
    sentences: &'static [&'static str],
}

/// A topic as it is used.
#[derive(Debug)]
pub(super) struct Topic {
    /// One of [`FIELDS`].
    pub(super) field: &'static str,
    pub(super) org: &'static str,
    pub(super) events: Vec<&'static str>,
    pub(super) places: Vec<&'static str>,
    pub(super) leaders: Vec<&'static str>,
    pub(super) helpers: Vec<&'static str>,
    pub(super) things: Vec<Thing>,
    pub(super) adjectives: Vec<&'static str>,
    /// In the past tense, with an object.
    pub(super) verbs: Vec<&'static str>,
    pub(super) sentences: &'static [&'static str],
}

/// The fields that topics belong to.
pub(super) const FIELDS: [&str; 7] = [
    "country", "water", "civic", "stage", "sport", "works", "learning",
];

/// A countable noun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Thing {
    pub(super) one: &'static str,
    pub(super) many: String,
}

/// All topics, in a fixed order.
pub(super) fn all() -> &'static [Topic] {
    static TOPICS: LazyLock<Vec<Topic>> = LazyLock::new(|| {
        [
            country::TOPICS,
            water::TOPICS,
            civic::TOPICS,
            stage::TOPICS,
            sport::TOPICS,
            works::TOPICS,
            learning::TOPICS,
        ]
        .into_iter()
        .zip(FIELDS)
        .flat_map(|(sources, field)| {
            let sources = sources.iter();
            sources.map(move |source| Topic::new(source, field))
        })
        .collect()
    });
    &TOPICS
}

impl Topic {
    fn new(source: &'static Source, field: &'static str) -> Self {
        Self {
            field,
            org: source.org,
            events: list(source.events),
            places: list(source.places),
            leaders: list(source.leader),
            helpers: list(source.helper),
            things: list(source.things).into_iter().map(Thing::new).collect(),
            adjectives: list(source.adjectives),
            verbs: list(source.verbs),
            sentences: source.sentences,
        }
    }
}

impl Thing {
    fn new(written: &'static str) -> Self {
        match written.split_once(':') {
            Some((one, many)) => Self {
                one,
                many: many.to_owned(),
            },
            None => Self {
                one: written,
                many: plural(written),
            },
        }
    }
}

fn list(written: &'static str) -> Vec<&'static str> {
    written.split(", ").collect()
}

/// The regular plural of an English noun.
fn plural(noun: &str) -> String {
    let vowel_before_y = ["ay", "ey", "oy", "uy"]
        .iter()
        .any(|end| noun.ends_with(end));
    if ["s", "x", "z", "ch", "sh"]
        .iter()
        .any(|end| noun.ends_with(end))
    {
        format!("{noun}es")
    } else if let Some(stem) = noun.strip_suffix('y').filter(|_| !vowel_before_y) {
        format!("{stem}ies")
    } else {
        format!("{noun}s")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    #[test]
    fn plurals_follow_the_ending() {
        for (one, many) in [
            ("pumpkin", "pumpkins"),
            ("branch", "branches"),
            ("comedy", "comedies"),
            ("chimney", "chimneys"),
            ("punctured bus", "punctured buses"),
        ] {
            assert_eq!(plural(one), many);
        }
        assert_eq!(Thing::new("loaf:loaves").many, "loaves");
    }

    #[test]
    fn there_are_28_topics_with_lists_long_enough_to_vary() {
        assert_eq!(all().len(), 28);
        let organisations: HashSet<_> = all().iter().map(|topic| topic.org).collect();
        assert_eq!(organisations.len(), 28);
        for topic in all() {
            assert!(topic.things.len() >= 8, "{}", topic.org);
            assert!(topic.adjectives.len() >= 6, "{}", topic.org);
            assert!(topic.verbs.len() >= 5, "{}", topic.org);
            assert!(topic.sentences.len() >= 14, "{}", topic.org);
            for pair in [&topic.events, &topic.places, &topic.leaders, &topic.helpers] {
                assert_eq!(pair.len(), 2, "{}", topic.org);
            }
        }
    }

    #[test]
    fn topics_share_few_of_the_words_of_their_lists() {
        let mut owners: HashMap<&str, HashSet<&str>> = HashMap::new();
        for topic in all() {
            let things = topic.things.iter().map(|thing| thing.one);
            for term in things
                .chain(topic.adjectives.iter().copied())
                .chain(topic.verbs.iter().copied())
            {
                owners.entry(term).or_default().insert(topic.org);
            }
        }
        let shared = owners.values().filter(|topics| topics.len() > 1).count();
        assert!(shared * 20 < owners.len(), "{shared} of {}", owners.len());
    }
}
