//! Articles of a small-town gazette: facts drawn once for an article, said again and again in its sentences.

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::Document;
use super::topics::{TOPICS, Topic};
use crate::data::random::generator;

const FIRST_NAMES: [&str; 28] = [
    "Agnes", "Albert", "Beatrice", "Cecil", "Clara", "Dora", "Edwin", "Elsie", "Ernest",
    "Florence", "George", "Hattie", "Harold", "Ida", "Jasper", "Lionel", "Mabel", "Maud", "Nora",
    "Oswald", "Percy", "Rosa", "Silas", "Theodora", "Victor", "Winifred", "Zoë", "André",
];
const LAST_NAMES: [&str; 28] = [
    "Abbott",
    "Barlow",
    "Cartwright",
    "Dunmore",
    "Ellery",
    "Fairweather",
    "Grimshaw",
    "Hartley",
    "Ibbotson",
    "Jessop",
    "Kettle",
    "Lockwood",
    "Merriman",
    "Nettleton",
    "Ogden",
    "Pickering",
    "Quill",
    "Rookwood",
    "Satterley",
    "Tapper",
    "Underhill",
    "Vickers",
    "Wetherby",
    "Yardley",
    "Thornby",
    "Aldermere",
    "Marchwood",
    "Copley",
];
const TOWN_STARTS: [&str; 12] = [
    "Alder", "Thorn", "March", "Hazel", "Stone", "Brack", "Wither", "Ash", "Oak", "Fern", "Mill",
    "Lark",
];
const TOWN_ENDS: [&str; 8] = ["mere", "by", "wood", "ford", "ton", "field", "wick", "ham"];
const WEEKDAYS: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const NUMBERS: [&str; 14] = [
    "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "twelve", "fifteen",
    "twenty", "thirty", "forty",
];

/// Slots: {P} and {Q} two people, {p} {q} their last names, {T} town, {D} weekday, {M} month, {k} number; of the topic,
/// {e} event, {r} role, {h} place, {n} {m} things, {a} adjective, {v} verb. {A:..} puts "a" or "an" before a slot.
const TEMPLATES: &[&str] = &[
    "The {e} in {T} drew {k} visitors on {D}.",
    "On {D} the {r} {P} {v} the {a} {n} at the {h}.",
    "{P}, the {r}, {v} {A:a} {n} while {Q} held the {m}.",
    "\"I have never seen such {A:a} {n},\" said the {r} {P}.",
    "\"Nobody {v} the {n} better than {P},\" said {Q}.",
    "The {a} {n} stood beside the {m} at the {h} in {T}.",
    "Mr {q} asked whether the {n} was {a} or only looked {b}.",
    "Behind the {h}, {P} and {Q} {v} the {n} together.",
    "It took {k} people to move the {n} to the {h}.",
    "The {r} {v} the {m} before the {n} was ready.",
    "By {D} evening the {h} in {T} smelt of the {a} {n}.",
    "Every {r} in {T} knows that {A:a} {n} needs a good {m}.",
    "{P} {v} the {n} and then {w} the {m}.",
    "The {e} will be held at the {h} again in {M}.",
    "Visitors to the {h} {v} the {a} {n} for {k} minutes.",
    "{Q} brought {k} sandwiches to the {h} and forgot the {n}.",
    "The {a} {n} was the pride of the {e} in {T}.",
    "Old {P} remembers {A:a} {n} that was {b} in {M}.",
    "{A:b} {m} and {A:a} {n} were left at the {h}.",
    "The {r} blamed the {m}, and {Q} blamed the {r}.",
    "In {T} the {e} is talked of until {M}.",
    "There were {k} prizes at the {e}, and {P} won most of them.",
    "{P} of {T} became {r} in {M}, after {k} years with the {n}.",
    "At the {h} the {r} showed {Q} the {n} and the {a} {m}.",
    "Without the {n} the {e} would have been less {a}.",
    "The {m} cost {k} pounds, which {P} thought {a}.",
    "For {k} days the {r} {v} nothing but the {n}.",
    "Mrs {p} called the {e} the best since {M}.",
    "When the {n} broke, {P} {v} the {m} instead.",
    "The {h} was so full that {Q} {v} the {n} outside.",
    "No {r} in {T} had {A:a} {n} before {D}.",
    "{P} thanked the {r} for the {a} {n} and went home.",
];

/// What one article is about.
pub(super) struct Story {
    pub(super) topic: &'static Topic,
    pub(super) people: [(&'static str, &'static str); 2],
    pub(super) town: String,
    pub(super) weekday: &'static str,
    month: &'static str,
    /// Few of the topic's things and words, so that they recur.
    nouns: [&'static str; 3],
    verbs: [&'static str; 2],
    adjectives: [&'static str; 2],
    pub(super) number: &'static str,
}

pub(super) fn pick<T: Copy>(random: &mut ChaCha8Rng, list: &[T]) -> T {
    *list.choose(random).expect("the word lists are not empty")
}

fn some<const N: usize>(random: &mut ChaCha8Rng, list: &[&'static str]) -> [&'static str; N] {
    let mut chosen = list.choose_multiple(random, N);
    std::array::from_fn(|_| {
        *chosen
            .next()
            .expect("fewer words are chosen than a topic has")
    })
}

impl Story {
    pub(super) fn draw(random: &mut ChaCha8Rng) -> Self {
        let topic = TOPICS.choose(random).expect("there are topics");
        let firsts = some::<2>(random, &FIRST_NAMES);
        let lasts = some::<2>(random, &LAST_NAMES);
        Self {
            topic,
            people: [(firsts[0], lasts[0]), (firsts[1], lasts[1])],
            town: format!("{}{}", pick(random, &TOWN_STARTS), pick(random, &TOWN_ENDS)),
            weekday: pick(random, &WEEKDAYS),
            month: pick(random, &MONTHS),
            nouns: some(random, &topic.nouns),
            verbs: some(random, &topic.verbs),
            adjectives: some(random, &topic.adjectives),
            number: pick(random, &NUMBERS),
        }
    }

    pub(super) fn full_name(&self, person: usize) -> String {
        let (first, last) = self.people[person];
        format!("{first} {last}")
    }

    /// Fills the slots of a template.
    pub(super) fn fill(&self, template: &str, random: &mut ChaCha8Rng) -> String {
        let (noun, other) = {
            let [a, b] = some::<2>(random, &self.nouns);
            (a, b)
        };
        let [verb, second] = some::<2>(random, &self.verbs);
        let [adjective, another] = some::<2>(random, &self.adjectives);
        let mut text = String::with_capacity(template.len() + 48);
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            text.push_str(before);
            let (slot, after) = after.split_once('}').expect("every slot is closed");
            rest = after;
            let (article, slot) = match slot.strip_prefix("A:") {
                Some(slot) => (true, slot),
                None => (false, slot),
            };
            let value = match slot {
                "P" => self.full_name(0),
                "Q" => self.full_name(1),
                "p" => self.people[0].1.to_string(),
                "q" => self.people[1].1.to_string(),
                "T" => self.town.clone(),
                "D" => self.weekday.to_string(),
                "M" => self.month.to_string(),
                "k" => self.number.to_string(),
                "e" => self.topic.name.to_string(),
                "r" => self.topic.role.to_string(),
                "h" => self.topic.place.to_string(),
                "n" => noun.to_string(),
                "m" => other.to_string(),
                "a" => adjective.to_string(),
                "b" => another.to_string(),
                "w" => second.to_string(),
                _ => verb.to_string(),
            };
            if article {
                let vowel = value.starts_with(['a', 'e', 'i', 'o', 'u']);
                text.push_str(if vowel { "an " } else { "a " });
            }
            text.push_str(&value);
        }
        text.push_str(rest);
        // A slot may stand first.
        let mut letters = text.chars();
        match letters.next() {
            Some(first) => first.to_uppercase().chain(letters).collect(),
            None => text,
        }
    }
}

/// One article; a function of its arguments alone.
pub fn document(seed: u64, index: u64) -> Document {
    let mut random = generator(seed, "article", &[index]);
    let story = Story::draw(&mut random);
    let count = random.random_range(8..=18);
    let templates = TEMPLATES.choose_multiple(&mut random, count);
    let templates: Vec<&str> = templates.copied().collect();
    let sentences = templates
        .into_iter()
        .map(|template| story.fill(template, &mut random))
        .collect();
    Document { sentences }
}
