//! Articles of a small-town gazette: facts drawn once for a document, which all its sentences repeat.

use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;

use super::facts::Facts;
use super::grammar::{self, Sentence};
use super::statements::STATEMENTS;
use super::topics::{self, Topic};
use crate::data::random::generator;

/// An article.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Document {
    /// Its sentences, in order.
    pub sentences: Vec<String>,
}

/// The first sentence of an article: what happened, where, when and who was in charge. They must suit a wedding
/// as well as a burglary.
const OPENINGS: &[&str] = &[
    "On {day} the {event} drew half of {town} to {place}, where {A}, the {leader}, was in charge.",
    "{A}, the {leader} of {town}, will not forget the {event} of {day} at {place}.",
    "The {event} in {town} on {day} kept {A}, the {leader}, busy at {place}.",
    "All of {town} talked of the {event} on {day}, and nobody more than {A}, the {leader}.",
];

/// Sentences about the facts of any topic. Each has a word of its topic and most have a name, so that every one is
/// evidence of the document it belongs to. Few and regular, for a small model has to learn them in some hundred
/// steps.
pub(super) const MIDDLES: &[&str] = &[
    "{As} {verb} the {adj} {thing} [before breakfast|in front of everybody|without a word].",
    "{Bs} {verb} the {things} while {As} {verb} the {item}.",
    "At {place} {Bs} {verb} @ {adj} {thing} [by mistake|with great care|for the mayor].",
    "The {adj} {thing} of {Bs} was the talk of the {event}.",
    "The {things} of {As} were the pride of {town}.",
    "Nobody in {town} had seen @ {adj} {thing} before the {event}.",
    "{As}, the {leader}, showed the {adj} {things} to {Bs}, the {helper}.",
    "\"It is only @ {thing},\" said {Bs}, but nobody at {place} believed it.",
    "\"Every {thing} has its day,\" said {As}, the {leader}.",
    "\"I came for the {things} and stayed for the {event},\" said {Bs}.",
    "@ {adj} {thing} fell into the {river} and was pulled out by {Bs}.",
    "The {org} keeps its {things} at {place}.",
    "Visitors from {other} asked {As} where the {adj} {things} were.",
    "The {things} of {other} are not half so {adj} as those of {town}, says {As}.",
    "{C}, aged {age}, {verb} @ {adj} {thing} when {As} was not looking.",
    "The {item} was kept under the bed of {Bs} until the {event}.",
    "A prize of {m} pounds for the best {thing} went to {As}.",
    "{As} and {Bs} carried the {item} from {place} to {street}.",
    "The whole of {street} came out to see the {item}.",
    "{Bs} brought {k} {things} to the {event} and lost {k} of them on the way.",
];

/// The last sentence of an article.
const CLOSINGS: &[&str] = &[
    "The {event} will be talked of in {town} for years, says {As}.",
    "By nightfall {place} was empty but for {As} and @ {adj} {thing}.",
    "The {org} hopes for a quieter {event} next year, and so does {As}.",
    "So ended the {event}, and {As} went home with @ {adj} {thing}.",
    "{As} thanked {Bs}, and {town} went to bed dreaming of {things}.",
];

/// Article `index` of a seed.
pub fn document(seed: u64, index: u64) -> Document {
    let (_, sentences) = article(&mut generator(seed, "sample article", &[index]));
    Document {
        sentences: sentences
            .into_iter()
            .map(|sentence| sentence.text)
            .collect(),
    }
}

/// The facts of a document about any topic.
///
/// A gazette has its favourite subjects: the topic of rank k (from 0) is drawn with a probability in proportion to
/// `1 / (k + 2)`, Zipf's law but for its head, so the first has 17 % and the last 1 %. It also makes next sentences
/// learnable in minutes: which segments go together is learnt topic by topic, the frequent ones first.
pub(super) fn random_facts(rng: &mut ChaCha8Rng) -> Facts {
    let topics = topics::all();
    let weight = |rank: usize| 1.0 / (rank + 2) as f64;
    let total: f64 = (0..topics.len()).map(weight).sum();
    let mut left = rng.random::<f64>() * total;
    let mut rank = 0;
    while rank + 1 < topics.len() && left >= weight(rank) {
        left -= weight(rank);
        rank += 1;
    }
    Facts::draw(ranked(topics, rank), rng)
}

/// The topic of a rank: neighbours in rank come from different files of the folder.
pub(super) fn ranked(topics: &'static [Topic], rank: usize) -> &'static Topic {
    /// Prime to the number of topics, so that every topic has one rank.
    const STRIDE: usize = 11;
    &topics[rank * STRIDE % topics.len()]
}

/// An article of 8 to 20 sentences, and its facts. No template is used twice.
pub(super) fn article(rng: &mut ChaCha8Rng) -> (Facts, Vec<Sentence>) {
    let facts = random_facts(rng);
    let between = rng.random_range(6..=18);
    // Sentences of the topic say what it is, the others bring back the facts.
    let (own, stated) = (between * 2 / 5, between / 4);
    let mut templates = some(facts.topic.sentences, own, rng);
    for statement in STATEMENTS.choose_multiple(rng, stated) {
        templates.extend(statement.said.choose(rng));
    }
    templates.extend(some(MIDDLES, between - own - stated, rng));
    templates.shuffle(rng);
    templates.insert(0, OPENINGS[rng.random_range(0..OPENINGS.len())]);
    templates.push(CLOSINGS[rng.random_range(0..CLOSINGS.len())]);
    let sentences = templates
        .into_iter()
        .map(|template| grammar::sentence(template, &facts, rng))
        .collect();
    (facts, sentences)
}

fn some(from: &[&'static str], count: usize, rng: &mut ChaCha8Rng) -> Vec<&'static str> {
    from.choose_multiple(rng, count).copied().collect()
}

/// Everything that is written in the notation of the grammar.
#[cfg(test)]
pub(super) fn every_template() -> Vec<&'static str> {
    let mut all = [OPENINGS, MIDDLES, CLOSINGS, super::entities::NAMES].concat();
    for topic in topics::all() {
        all.extend(topic.sentences);
    }
    for statement in STATEMENTS {
        all.extend(statement.said);
        all.push(statement.denied);
        let questions = statement.questions.iter().chain(&statement.stray);
        all.extend(questions.map(|(question, _)| question));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample_data::grammar::mentions;

    #[test]
    fn every_general_sentence_has_a_word_of_its_topic() {
        let of_the_topic = [
            "event", "place", "leader", "helper", "org", "item", "items", "thing", "things",
        ];
        for template in [OPENINGS, MIDDLES, CLOSINGS].concat() {
            assert!(mentions(template, &of_the_topic), "{template}");
        }
    }

    #[test]
    fn an_opening_names_the_event_the_town_the_day_and_the_leader() {
        for template in OPENINGS {
            for slot in ["event", "town", "day", "A", "leader"] {
                assert!(mentions(template, &[slot]), "{template} lacks {slot}");
            }
        }
    }
}
