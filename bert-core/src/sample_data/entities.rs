//! Named entities in the manner of CoNLL-2003: sentences of articles, and some in which a person is called like a
//! town, for only the context tells Mr Thornby from Thornby.

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::articles::{article, random_facts};
use super::grammar::{self, Kind, Sentence};
use super::lexicon::DAYS;
use super::rows::Splits;

/// A sentence of words with their tags.
pub type TaggedSentence = Vec<Token>;

/// A word or punctuation mark and its tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// As it is written; no white space.
    pub text: String,
    /// In IOB2: `O`, or `B-` or `I-` and `PER`, `LOC`, `ORG` or `MISC`.
    pub tag: &'static str,
}

/// Sentences with more names than articles have.
pub(super) const NAMES: &[&str] = &[
    "{As} of {town} [met|visited|wrote to] {Bs} of {other}.",
    "{As} has left {town} for {other}, and {town} misses {As}.",
    "[The {org} thanked|The {org} invited|Nobody in the {org} had heard of] {A} of {street}.",
    "The {Event} was [opened|won|cancelled] by {A} and {B}.",
    "{B} walked from {town} to {other} along the {river}.",
    "{Bs} bought @ {nation} {item} in {street}.",
    "@ {nation} visitor asked {Af} the way to {town}.",
    "In {other} the {Event} is thought [better|noisier|more {nation}] than it is.",
    "{As} and {Bs} both live in {street}, {town}.",
    "The {river} rises above {other} and runs through {town}.",
    "\"{other} is no {town},\" said {As}.",
    "{town} lent {Bs} to the {org} for the {Event}.",
    "{Af} speaks {nation} to {Bf} and {nation} to the {item}.",
    "According to {As}, the {org} will move to {other} on {day}.",
];

/// The entity set of a seed: no sentence comes twice.
pub fn entities(seed: u64) -> Splits<TaggedSentence> {
    let sizes = [4000, 500, 500];
    Splits::draw(
        seed,
        "sample entities",
        sizes,
        |_, rng| draw(rng),
        |sentence| {
            sentence
                .iter()
                .map(|token| token.text.clone())
                .collect::<Vec<_>>()
        },
    )
}

fn draw(rng: &mut ChaCha8Rng) -> Option<TaggedSentence> {
    let sentence = if rng.random() {
        let mut facts = random_facts(rng);
        // A namesake of the town, of the other town, or of neither.
        match rng.random_range(0..3) {
            0 => facts.people[0].last = facts.town.clone(),
            1 => facts.people[0].last = facts.other.clone(),
            _ => {}
        }
        grammar::sentence(NAMES.choose(rng)?, &facts, rng)
    } else {
        let (_, sentences) = article(rng);
        // As in newspapers, some sentences name nothing. In articles they are few, and the same ones come again.
        let nameless = rng.random_range(0..4) == 0;
        let names = |sentence: &Sentence| sentence.spans.iter().any(|span| span.kind.is_some());
        let eligible: Vec<_> = sentences
            .into_iter()
            .filter(|sentence| !(nameless && names(sentence)))
            .collect();
        eligible.choose(rng)?.clone()
    };
    let tagged = tag(&sentence);
    (!names_something_untagged(&tagged)).then_some(tagged)
}

/// Splits a sentence into words and punctuation, and tags the words of its names.
fn tag(sentence: &Sentence) -> TaggedSentence {
    let names: Vec<_> = sentence
        .spans
        .iter()
        .filter_map(|span| Some((span.kind?, span.range.clone())))
        .collect();
    let mut tokens = Vec::new();
    for (start, text) in tokens_of(&sentence.text) {
        let name = names.iter().find(|(_, range)| range.contains(&start));
        let tag = name.map_or("O", |(kind, range)| iob2(*kind, range.start == start));
        tokens.push(Token {
            text: text.to_owned(),
            tag,
        });
    }
    tokens
}

fn iob2(kind: Kind, begins: bool) -> &'static str {
    match (kind, begins) {
        (Kind::Person, true) => "B-PER",
        (Kind::Person, false) => "I-PER",
        (Kind::Location, true) => "B-LOC",
        (Kind::Location, false) => "I-LOC",
        (Kind::Organisation, true) => "B-ORG",
        (Kind::Organisation, false) => "I-ORG",
        (Kind::Miscellaneous, true) => "B-MISC",
        (Kind::Miscellaneous, false) => "I-MISC",
    }
}

/// Words and punctuation marks with their byte offsets. Hyphens stay inside words; `'s` is a token of its own, as
/// in CoNLL-2003.
fn tokens_of(text: &str) -> Vec<(usize, &str)> {
    let mut tokens = Vec::new();
    let mut start = 0;
    for word in text.split(' ') {
        let (mut from, to) = (start, start + word.len());
        start = to + 1;
        if word.starts_with('"') {
            tokens.push((from, &text[from..=from]));
            from += 1;
        }
        let core = text[from..to].trim_end_matches(['.', ',', '!', '?', ':', ';', '"']);
        let mut end = from + core.len();
        if let Some(owner) = core.strip_suffix("'s") {
            end = from + owner.len();
        }
        if end > from {
            tokens.push((from, &text[from..end]));
        }
        if end < from + core.len() {
            tokens.push((end, &text[end..from + core.len()]));
        }
        // What is left are punctuation marks of one byte each.
        tokens.extend((from + core.len()..to).map(|at| (at, &text[at..=at])));
    }
    tokens
}

/// Articles also have names that are no facts ("Saturn", "a Roman villa"). Their tags are not known, so such
/// sentences are left out.
fn names_something_untagged(sentence: &[Token]) -> bool {
    const FIRST: &[&str] = &["Jupiter", "Biscuit", "Black", "White", "Roman"];
    let no_name = ["Mr", "Mrs", "I"];
    let mut first = true;
    sentence.iter().any(|token| {
        let capital = token.text.starts_with(char::is_uppercase);
        let begins = first;
        first &= token.text == "\"";
        let untagged = capital && token.tag == "O";
        let text = token.text.as_str();
        untagged
            && if begins {
                FIRST.contains(&text)
            } else {
                !no_name.contains(&text) && !DAYS.contains(&text)
            }
    })
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::super::{facts::Facts, topics};
    use super::*;
    use crate::data::random::generator;

    #[test]
    fn a_sentence_is_split_and_tagged_as_by_hand() {
        let mut facts = Facts::draw(&topics::all()[0], &mut generator(1, "test", &[]));
        facts.town = "Thornby".into();
        facts.org = "Thornby Garden Society".into();
        facts.people[0].first = "Zo\u{eb}";
        facts.people[0].last = "Thornby".into();
        facts.people[0].she = false;
        let template = "\"{town}, oh {town}!\" said {As}'s dog to {A} of the {org}.";
        let sentence = grammar::sentence(template, &facts, &mut generator(1, "test", &[]));
        let tagged: Vec<_> = tag(&sentence)
            .into_iter()
            .map(|token| format!("{}/{}", token.text, token.tag))
            .collect();
        let expected = "\"/O Thornby/B-LOC ,/O oh/O Thornby/B-LOC !/O \"/O said/O Mr/O Thornby/B-PER 's/O dog/O \
                        to/O Zo\u{eb}/B-PER Thornby/I-PER of/O the/O Thornby/B-ORG Garden/I-ORG Society/I-ORG ./O";
        assert_eq!(tagged.join(" "), expected);
    }

    #[test]
    fn tags_are_well_formed_iob2_and_tokens_have_no_white_space() {
        for (_, rows) in entities(1).named() {
            for sentence in rows {
                let mut before = "O";
                for token in sentence {
                    assert!(!token.text.is_empty() && !token.text.contains(char::is_whitespace));
                    if let Some(kind) = token.tag.strip_prefix("I-") {
                        assert!(before[1..].ends_with(kind) && before != "O", "{sentence:?}");
                    }
                    before = token.tag;
                }
            }
        }
    }

    #[test]
    fn every_kind_is_frequent_and_some_sentences_name_nothing() {
        let splits = entities(2);
        for (name, rows) in splits.named() {
            for tag in ["B-PER", "B-LOC", "B-ORG", "B-MISC"] {
                let with = rows
                    .iter()
                    .filter(|sentence| sentence.iter().any(|token| token.tag == tag))
                    .count();
                assert!(
                    with * 12 > rows.len(),
                    "{name}: {tag} in {with} of {}",
                    rows.len()
                );
            }
            let without = rows
                .iter()
                .filter(|sentence| sentence.iter().all(|token| token.tag == "O"))
                .count();
            assert!(
                without * 25 > rows.len() && without * 4 < rows.len(),
                "{name}: {without}"
            );
        }
    }

    #[test]
    fn many_words_are_a_person_here_and_a_place_there() {
        let mut kinds: HashMap<String, HashSet<&str>> = HashMap::new();
        for token in entities(3).train.into_iter().flatten() {
            kinds.entry(token.text).or_default().insert(token.tag);
        }
        let person = |tags: &HashSet<&str>| tags.contains("B-PER") || tags.contains("I-PER");
        let both = kinds
            .values()
            .filter(|tags| person(tags) && tags.contains("B-LOC"))
            .count();
        assert!(both > 100, "{both}");
    }

    #[test]
    fn no_sentence_is_in_two_splits() {
        let splits = entities(4);
        let mut seen = HashSet::new();
        for (_, rows) in splits.named() {
            for sentence in rows {
                let words: Vec<_> = sentence.iter().map(|token| token.text.clone()).collect();
                assert!(seen.insert(words));
            }
        }
    }
}
