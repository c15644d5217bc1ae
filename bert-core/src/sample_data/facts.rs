//! What is true in one document: its town, people, day, numbers and things. Sentences only repeat it, which is
//! what makes a masked name recoverable and a stranger's sentence recognisable.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::lexicon as words;
use super::topics::{Thing, Topic};

/// How many of a topic's things, adjectives and verbs one document uses.
const THINGS: usize = 4;
const ADJECTIVES: usize = 3;
const VERBS: usize = 3;

/// Somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Person {
    pub(super) first: &'static str,
    pub(super) last: String,
    pub(super) she: bool,
}

impl Person {
    fn draw(rng: &mut ChaCha8Rng) -> Self {
        let she = rng.random::<bool>();
        let first = pick(rng, if she { words::WOMEN } else { words::MEN });
        // One surname in six is also the name of a town.
        let last = if rng.random_range(0..6) == 0 {
            town(rng)
        } else {
            pick(rng, words::SURNAMES).to_owned()
        };
        Self { first, last, she }
    }

    /// A person called neither name of anybody in `others`.
    pub(super) fn draw_apart_from(rng: &mut ChaCha8Rng, others: &[&Self]) -> Self {
        loop {
            let person = Self::draw(rng);
            if others
                .iter()
                .all(|other| person.first != other.first && person.last != other.last)
            {
                return person;
            }
        }
    }

    pub(super) fn title(&self) -> &'static str {
        if self.she { "Mrs" } else { "Mr" }
    }

    pub(super) fn full_name(&self) -> String {
        format!("{} {}", self.first, self.last)
    }
}

/// The facts of one document.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) topic: &'static Topic,
    pub(super) town: String,
    /// Another town.
    pub(super) other: String,
    pub(super) river: &'static str,
    pub(super) street: String,
    /// Who leads the affair, who helps, and a child.
    pub(super) people: [Person; 3],
    pub(super) leader: &'static str,
    pub(super) helper: &'static str,
    pub(super) org: String,
    pub(super) event: &'static str,
    pub(super) place: &'static str,
    pub(super) day: &'static str,
    pub(super) hour: &'static str,
    /// A count of things, 13 to 98.
    pub(super) count: u32,
    /// Pounds, in tens.
    pub(super) pounds: u32,
    /// The child's, 5 to 12.
    pub(super) age: u32,
    pub(super) few: &'static str,
    pub(super) things: [&'static Thing; THINGS],
    pub(super) adjectives: [&'static str; ADJECTIVES],
    pub(super) verbs: [&'static str; VERBS],
}

impl Facts {
    /// Draws the facts of a document about `topic`.
    pub(super) fn draw(topic: &'static Topic, rng: &mut ChaCha8Rng) -> Self {
        let town = town(rng);
        let other = another_town(rng, &[&town]);
        let leader = Person::draw(rng);
        let helper = Person::draw_apart_from(rng, &[&leader]);
        let child = Person::draw_apart_from(rng, &[&leader, &helper]);
        Self {
            topic,
            org: format!("{town} {}", topic.org),
            town,
            other,
            river: pick(rng, words::RIVERS),
            street: street(rng),
            people: [leader, helper, child],
            leader: pick(rng, &topic.leaders),
            helper: pick(rng, &topic.helpers),
            event: pick(rng, &topic.events),
            place: pick(rng, &topic.places),
            day: pick(rng, words::DAYS),
            hour: pick(rng, words::HOURS),
            count: count(rng),
            pounds: pounds(rng),
            age: age(rng),
            few: pick(rng, words::FEW),
            things: some(rng, topic.things.iter()),
            adjectives: some(rng, topic.adjectives.iter().copied()),
            verbs: some(rng, topic.verbs.iter().copied()),
        }
    }

    /// The same facts but for the one a slot of the grammar stands for, which becomes another of its kind.
    pub(super) fn altered(&self, slot: &str, rng: &mut ChaCha8Rng) -> Self {
        let mut other = self.clone();
        let [a, b, c] = &self.people;
        let towns = [self.town.as_str(), &self.other];
        match slot {
            "town" => other.town = another_town(rng, &towns),
            "other" => other.other = another_town(rng, &towns),
            "A" => other.people[0] = Person::draw_apart_from(rng, &[a, b, c]),
            "B" => other.people[1] = Person::draw_apart_from(rng, &[a, b, c]),
            "C" => other.people[2] = Person::draw_apart_from(rng, &[a, b, c]),
            "street" => other.street = redrawn(&self.street, || street(rng)),
            "day" => other.day = redrawn(&self.day, || pick(rng, words::DAYS)),
            "hour" => other.hour = redrawn(&self.hour, || pick(rng, words::HOURS)),
            "k" => other.few = redrawn(&self.few, || pick(rng, words::FEW)),
            "n" => other.count = redrawn(&self.count, || count(rng)),
            "m" => other.pounds = redrawn(&self.pounds, || pounds(rng)),
            "age" => other.age = redrawn(&self.age, || age(rng)),
            "item" => {
                let all = self.topic.things.iter();
                let unused: Vec<_> = all.filter(|thing| !self.things.contains(thing)).collect();
                other.things[0] = pick(rng, &unused);
            }
            _ => unreachable!("statements only alter the slots above: tested, {slot}"),
        }
        other
    }
}

fn street(rng: &mut ChaCha8Rng) -> String {
    let (name, kind) = (
        pick(rng, words::STREET_NAMES),
        pick(rng, words::STREET_KINDS),
    );
    format!("{name} {kind}")
}

fn count(rng: &mut ChaCha8Rng) -> u32 {
    rng.random_range(13..99)
}

fn pounds(rng: &mut ChaCha8Rng) -> u32 {
    10 * rng.random_range(3..60)
}

fn age(rng: &mut ChaCha8Rng) -> u32 {
    rng.random_range(5..13)
}

/// Draws until something else comes up.
fn redrawn<T: PartialEq>(than: &T, mut draw: impl FnMut() -> T) -> T {
    loop {
        let drawn = draw();
        if drawn != *than {
            return drawn;
        }
    }
}

/// A town. Stems and endings are drawn apart: 192 towns, whose halves WordPiece can learn.
pub(super) fn town(rng: &mut ChaCha8Rng) -> String {
    let (stem, ending) = (
        pick(rng, words::PLACE_STEMS),
        pick(rng, words::PLACE_ENDINGS),
    );
    format!("{stem}{ending}")
}

/// A town that is none of `others`.
pub(super) fn another_town(rng: &mut ChaCha8Rng, others: &[&str]) -> String {
    loop {
        let drawn = town(rng);
        if !others.contains(&drawn.as_str()) {
            return drawn;
        }
    }
}

/// One of a list, the first ones more often, as words are in any language.
///
/// The index is `len * u^1.5` for a uniform `u`: of two, the first has 63 %; of ten, 22 %.
pub(super) fn pick<T: Copy>(rng: &mut ChaCha8Rng, from: &[T]) -> T {
    from[skewed(rng, from.len())]
}

/// As [`pick`], the index.
pub(super) fn skewed(rng: &mut ChaCha8Rng, len: usize) -> usize {
    let u: f64 = rng.random();
    // `u` is below 1, and so is the product below `len`; `sqrt` is exact in IEEE 754, hence the same everywhere.
    (len as f64 * u * u.sqrt()) as usize
}

/// `N` different ones of a list, in random order.
fn some<T, const N: usize>(rng: &mut ChaCha8Rng, from: impl Iterator<Item = T>) -> [T; N] {
    let mut left: Vec<T> = from.collect();
    std::array::from_fn(|_| left.swap_remove(rng.random_range(0..left.len())))
}

#[cfg(test)]
mod tests {
    use super::super::topics;
    use super::*;
    use crate::data::random::generator;

    #[test]
    fn the_people_and_towns_of_a_document_are_told_apart_by_every_name() {
        for index in 0..500 {
            let mut rng = generator(3, "facts", &[index]);
            let facts = Facts::draw(&topics::all()[index as usize % 28], &mut rng);
            assert_ne!(facts.town, facts.other);
            let [a, b, c] = &facts.people;
            for (x, y) in [(a, b), (b, c), (a, c)] {
                assert_ne!(x.first, y.first);
                assert_ne!(x.last, y.last);
            }
            assert_ne!(facts.things[0], facts.things[1]);
        }
    }

    #[test]
    fn altering_a_fact_changes_that_fact_and_no_other() {
        let slots = [
            "town", "other", "A", "B", "C", "street", "day", "hour", "k", "n", "m", "age", "item",
        ];
        let everything = |facts: &Facts| {
            let people = facts.people.each_ref().map(Person::full_name);
            let [a, b, c] = people;
            let words = [facts.day, facts.hour, facts.few].map(str::to_owned);
            let [day, hour, few] = words;
            let numbers = [facts.count, facts.pounds, facts.age].map(|number| number.to_string());
            let [count, pounds, age] = numbers;
            let item = facts.things[0].one.to_owned();
            let (town, other, street) = (
                facts.town.clone(),
                facts.other.clone(),
                facts.street.clone(),
            );
            [
                town, other, a, b, c, street, day, hour, few, count, pounds, age, item,
            ]
        };
        for index in 0..50 {
            let mut rng = generator(7, "facts", &[index]);
            let facts = Facts::draw(&topics::all()[index as usize % 28], &mut rng);
            let before = everything(&facts);
            for (at, slot) in slots.into_iter().enumerate() {
                let after = everything(&facts.altered(slot, &mut rng));
                for (place, (old, new)) in before.iter().zip(&after).enumerate() {
                    assert_eq!(old != new, place == at, "{slot}: {old} and {new}");
                }
            }
        }
    }

    #[test]
    fn early_entries_are_drawn_more_often_by_the_documented_law() {
        let mut rng = generator(5, "skew", &[]);
        let draws = 40_000;
        let first = (0..draws).filter(|_| skewed(&mut rng, 2) == 0).count();
        // P(2 u^1.5 < 1) = (1/2)^(2/3) = 0.63; four standard deviations are 0.0097.
        assert!((first as f64 / f64::from(draws) - 0.63).abs() < 0.01);
        assert!((0..draws).all(|_| skewed(&mut rng, 7) < 7));
    }
}
