//! Labelled sets from the same world: sentiment, entities, pairs, questions.

use rand::Rng;
use serde_json::{Value, json};

use super::articles::{Story, pick};
use crate::data::random::generator;

/// A labelled text or pair as the columns of a row.
pub(super) fn sentiment(seed: u64, split: &str, index: u64) -> [String; 2] {
    const GOOD: [&str; 8] = [
        "a delight",
        "splendid",
        "worth the walk",
        "charming",
        "a triumph",
        "wonderful",
        "the best in years",
        "a pleasure",
    ];
    const BAD: [&str; 8] = [
        "a bore",
        "dreadful",
        "a waste of a day",
        "shabby",
        "a failure",
        "awful",
        "the worst in years",
        "a misery",
    ];
    let mut random = generator(seed, "sentiment", &[hash(split), index]);
    let story = Story::draw(&mut random);
    let positive = random.random_bool(0.5);
    let negated = random.random_bool(0.3);
    let (word, other) = if positive != negated {
        (pick(&mut random, &GOOD), pick(&mut random, &BAD))
    } else {
        (pick(&mut random, &BAD), pick(&mut random, &GOOD))
    };
    let not = if negated { "not " } else { "" };
    let (event, town) = (story.topic.name, &story.town);
    let text = match random.random_range(0..4) {
        0 => format!("The {event} in {town} was {not}{word}."),
        1 => format!(
            "We found the {event} {not}{word}, and told {} so.",
            story.full_name(0)
        ),
        2 if !negated => format!(
            "{} called it {other}, but to me the {event} was {word}.",
            story.full_name(1)
        ),
        2 => format!(
            "Whatever {} says, the {event} was not {word}.",
            story.full_name(1)
        ),
        _ => format!(
            "On {} the {} at the {event} was {not}{word}.",
            story.weekday, story.topic.role
        ),
    };
    let label = if positive { "positive" } else { "negative" };
    [text, label.to_string()]
}

/// Words with IOB2 tags. A person may be named like a town: only the sentence tells.
pub(super) fn entities(seed: u64, split: &str, index: u64) -> Vec<(String, String)> {
    let mut random = generator(seed, "entities", &[hash(split), index]);
    let story = Story::draw(&mut random);
    let capital = |text: &str| {
        let words = text.split(' ').map(|word| {
            let (head, tail) = word.split_at(1);
            format!("{}{tail}", head.to_uppercase())
        });
        words.collect::<Vec<_>>().join(" ")
    };
    let organisation = format!("{} {} Society", story.town, capital(story.topic.name));
    let cup = format!("{} Cup", story.weekday);
    let (person, other) = (story.full_name(0), story.full_name(1));
    let parts: Vec<(&str, &str)> = match random.random_range(0..4) {
        0 => vec![
            (&person, "PER"),
            ("of", ""),
            (&story.town, "LOC"),
            ("won the", ""),
            (&cup, "MISC"),
            (".", ""),
        ],
        1 => vec![
            ("The", ""),
            (&organisation, "ORG"),
            ("thanked", ""),
            (&person, "PER"),
            ("and", ""),
            (&other, "PER"),
            (".", ""),
        ],
        2 => vec![
            ("In", ""),
            (&story.town, "LOC"),
            (",", ""),
            (story.people[0].1, "PER"),
            ("met the", ""),
            (story.topic.role, ""),
            ("of the", ""),
            (&organisation, "ORG"),
            (".", ""),
        ],
        _ => vec![
            (&other, "PER"),
            ("left", ""),
            (&story.town, "LOC"),
            ("with", ""),
            (story.number, ""),
            ("tickets for the", ""),
            (&cup, "MISC"),
            (".", ""),
        ],
    };
    let mut tagged = Vec::new();
    for (text, kind) in parts {
        for (position, word) in text.split(' ').enumerate() {
            let tag = match (kind, position) {
                ("", _) => "O".to_string(),
                (kind, 0) => format!("B-{kind}"),
                (kind, _) => format!("I-{kind}"),
            };
            tagged.push((word.to_string(), tag));
        }
    }
    tagged
}

/// Do two sentences tell of the same event?
pub(super) fn pairs(seed: u64, split: &str, index: u64) -> [String; 3] {
    let mut random = generator(seed, "pairs", &[hash(split), index]);
    let story = Story::draw(&mut random);
    let same = random.random_bool(0.5);
    let mut told = |story: &Story| match random.random_range(0..3) {
        0 => format!(
            "{} was at the {} in {}.",
            story.full_name(0),
            story.topic.name,
            story.town
        ),
        1 => format!(
            "The {} in {} was opened by {}.",
            story.topic.name,
            story.town,
            story.full_name(0)
        ),
        _ => format!(
            "In {}, {} spoke of the {}.",
            story.town,
            story.full_name(0),
            story.topic.name
        ),
    };
    let first = told(&story);
    let mut second_story = story;
    if !same {
        let mut other = Story::draw(&mut generator(seed, "other", &[hash(split), index]));
        // One fact differs, which it is is drawn with the second story.
        match other.number.len() % 3 {
            0 => std::mem::swap(&mut second_story.town, &mut other.town),
            1 => second_story.people = other.people,
            _ => second_story.topic = other.topic,
        }
    }
    let second = told(&second_story);
    // A draw that happens to agree is the same event after all.
    let same = same || same_facts(&first, &second);
    [
        first,
        second,
        if same { "same" } else { "different" }.to_string(),
    ]
}

fn same_facts(first: &str, second: &str) -> bool {
    let words = |text: &str| {
        let mut words: Vec<String> = text
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| word.chars().any(char::is_uppercase) && !["The", "In"].contains(word))
            .map(str::to_string)
            .collect();
        words.sort();
        words
    };
    let topic = |text: &str| {
        super::topics::TOPICS
            .iter()
            .position(|topic| text.contains(topic.name))
    };
    words(first) == words(second) && topic(first) == topic(second)
}

/// A paragraph with questions, in SQuAD's form; a third cannot be answered from it.
pub(super) fn paragraph(seed: u64, split: &str, index: u64) -> Value {
    let mut random = generator(seed, "questions", &[hash(split), index]);
    let story = Story::draw(&mut random);
    let (topic, person, other) = (story.topic, story.full_name(0), story.full_name(1));
    let context = format!(
        "On {} the {} in {} was opened by {person}. The {} {other} welcomed {} guests at the {}.",
        story.weekday, topic.name, story.town, topic.role, story.number, topic.place,
    );
    let asked: [(String, &str); 6] = [
        (format!("Who opened the {}?", topic.name), &person),
        (
            format!("When was the {} opened?", topic.name),
            story.weekday,
        ),
        (format!("Where was the {}?", topic.name), &story.town),
        ("How many guests were welcomed?".to_string(), story.number),
        (format!("What did the {} cost?", topic.name), ""),
        (format!("Who closed the {}?", topic.name), ""),
    ];
    let questions: Vec<Value> = asked
        .iter()
        .enumerate()
        .map(|(number, (question, answer))| {
            let answers = match context.find(answer) {
                // SQuAD counts characters, not bytes.
                Some(at) if !answer.is_empty() => {
                    json!([{"text": answer, "answer_start": context[..at].chars().count()}])
                }
                _ => json!([]),
            };
            json!({
                "id": format!("{split}-{index}-{number}"),
                "question": question,
                "is_impossible": answer.is_empty(),
                "answers": answers,
            })
        })
        .collect();
    json!({"context": context, "qas": questions})
}

fn hash(split: &str) -> u64 {
    crate::data::random::derive(0, split, &[])
}
