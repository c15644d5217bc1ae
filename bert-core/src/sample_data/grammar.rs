//! The notation of sentences, and how one is written out with the facts of a document.
//!
//! - `{slot}` is a fact: see [`Kind`] and [`Writer::slot`] for the names.
//! - `[this|that|]` is one of the alternatives, the first ones more often; they may nest.
//! - `@ ` is "a" or "an", whichever the next word needs.
//!
//! The first letter of a sentence is made a capital. Where each slot went is kept, which is what makes entity
//! tags and answers exact.

use std::fmt::Write as _;
use std::ops::Range;

use rand_chacha::ChaCha8Rng;

use super::facts::{Facts, pick, skewed};
use super::lexicon;

/// The entity types of CoNLL-2003.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Person,
    Location,
    Organisation,
    Miscellaneous,
}

/// Where a slot was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) slot: &'static str,
    /// What kind of name it is, if it is one.
    pub(super) kind: Option<Kind>,
    /// In bytes of the sentence.
    pub(super) range: Range<usize>,
}

/// A sentence written out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sentence {
    pub(super) text: String,
    pub(super) spans: Vec<Span>,
}

impl Sentence {
    /// What was written for a slot, where it was written first.
    pub(super) fn slot(&self, name: &str) -> Option<&Span> {
        self.spans.iter().find(|span| span.slot == name)
    }
}

/// Writes a sentence of the grammar with these facts.
pub(super) fn sentence(template: &'static str, facts: &Facts, rng: &mut ChaCha8Rng) -> Sentence {
    let mut writer = Writer {
        facts,
        rng,
        text: String::with_capacity(160),
        spans: Vec::with_capacity(8),
        article_due: false,
    };
    writer.expand(template);
    let Writer {
        mut text, spans, ..
    } = writer;
    capitalise(&mut text);
    Sentence { text, spans }
}

struct Writer<'a> {
    facts: &'a Facts,
    rng: &'a mut ChaCha8Rng,
    text: String,
    spans: Vec<Span>,
    /// An `@ ` was read, and the word that decides between "a" and "an" is not yet known.
    article_due: bool,
}

impl Writer<'_> {
    fn expand(&mut self, template: &'static str) {
        let mut rest = template;
        while let Some(at) = rest.find(['{', '[', '@']) {
            self.push(&rest[..at]);
            let tail = &rest[at + 1..];
            rest = match rest.as_bytes()[at] {
                b'{' => {
                    let end = tail
                        .find('}')
                        .expect("the grammar closes its braces: tested");
                    self.slot(&tail[..end]);
                    &tail[end + 1..]
                }
                b'[' => {
                    let (alternatives, after) = alternatives(tail);
                    let chosen = alternatives[skewed(self.rng, alternatives.len())];
                    self.expand(chosen);
                    after
                }
                _ => {
                    self.article_due = true;
                    tail.strip_prefix(' ')
                        .expect("an article is followed by a space: tested")
                }
            };
        }
        self.push(rest);
    }

    fn push(&mut self, words: &str) {
        if self.article_due && !words.is_empty() {
            self.article_due = false;
            self.text.push_str(article(words));
        }
        self.text.push_str(words);
    }

    /// Writes a fact. `A`, `B`, `C` are the leader, the helper and the child; with `s` they are "Mr" or "Mrs" and
    /// the surname, with `f` the first name; `n`, `m`, `k` are the count, the pounds and the small number.
    fn slot(&mut self, name: &'static str) {
        let facts = self.facts;
        let [a, b, c] = &facts.people;
        // A thing, adjective or verb is any one of the document's few; the rest are the same all through.
        let person = Some(Kind::Person);
        let location = Some(Kind::Location);
        match name {
            "town" => self.name(name, &facts.town, location),
            "other" => self.name(name, &facts.other, location),
            "river" => self.name(name, facts.river, location),
            "street" => self.name(name, &facts.street, location),
            "A" | "B" | "C" => {
                let who = match name {
                    "A" => a,
                    "B" => b,
                    _ => c,
                };
                self.name(name, &who.full_name(), person);
            }
            "As" | "Bs" => {
                let who = if name == "As" { a } else { b };
                self.push(who.title());
                self.push(" ");
                self.name(name, &who.last, person);
            }
            "Af" => self.name(name, a.first, person),
            "Bf" => self.name(name, b.first, person),
            "Cf" => self.name(name, c.first, person),
            "he" => self.push(if a.she { "she" } else { "he" }),
            "his" => self.push(if a.she { "her" } else { "his" }),
            "he2" => self.push(if b.she { "she" } else { "he" }),
            "his2" => self.push(if b.she { "her" } else { "his" }),
            "org" => self.name(name, &facts.org, Some(Kind::Organisation)),
            "nation" => {
                let nation = pick(self.rng, lexicon::NATIONS);
                self.name(name, nation, Some(Kind::Miscellaneous));
            }
            "leader" => self.name(name, facts.leader, None),
            "helper" => self.name(name, facts.helper, None),
            "event" => self.name(name, facts.event, None),
            "Event" => {
                // The event as a proper name: "the Thornby Harvest Fair".
                let mut proper = facts.town.clone();
                for word in facts.event.split(' ') {
                    let start = proper.len() + 1;
                    proper.push(' ');
                    proper.push_str(word);
                    proper[start..].make_ascii_lowercase();
                    proper[start..=start].make_ascii_uppercase();
                }
                self.name(name, &proper, Some(Kind::Miscellaneous));
            }
            "place" => self.name(name, facts.place, None),
            "day" => self.name(name, facts.day, None),
            "hour" => self.name(name, facts.hour, None),
            "k" => self.name(name, facts.few, None),
            "n" => self.number(name, facts.count),
            "m" => self.number(name, facts.pounds),
            "age" => self.number(name, facts.age),
            // The first thing is the one the story is about; the others come and go.
            "item" => self.name(name, facts.things[0].one, None),
            "items" => self.name(name, &facts.things[0].many, None),
            "thing" => {
                let thing = pick(self.rng, &facts.things);
                self.name(name, thing.one, None);
            }
            "things" => {
                let thing = pick(self.rng, &facts.things);
                self.name(name, &thing.many, None);
            }
            "adj" => {
                let adjective = pick(self.rng, &facts.adjectives);
                self.push(adjective);
            }
            "verb" => {
                let verb = pick(self.rng, &facts.verbs);
                self.push(verb);
            }
            _ => unreachable!("every slot of the grammar is known: tested, {name}"),
        }
    }

    fn name(&mut self, slot: &'static str, words: &str, kind: Option<Kind>) {
        self.push(words);
        let end = self.text.len();
        self.spans.push(Span {
            slot,
            kind,
            range: end - words.len()..end,
        });
    }

    fn number(&mut self, slot: &'static str, number: u32) {
        debug_assert!(
            !self.article_due,
            "the grammar puts no article before a number"
        );
        let start = self.text.len();
        let _ = write!(self.text, "{number}"); // Writing to a string cannot fail.
        self.spans.push(Span {
            slot,
            kind: None,
            range: start..self.text.len(),
        });
    }
}

/// Splits what follows a `[` at its own bars, and returns what follows its `]`.
fn alternatives(tail: &'static str) -> (Vec<&'static str>, &'static str) {
    let (mut depth, mut start, mut found) = (0, 0, Vec::with_capacity(4));
    for (at, byte) in tail.bytes().enumerate() {
        match byte {
            b'[' => depth += 1,
            b'|' if depth == 0 => {
                found.push(&tail[start..at]);
                start = at + 1;
            }
            b']' if depth == 0 => {
                found.push(&tail[start..at]);
                return (found, &tail[at + 1..]);
            }
            b']' => depth -= 1,
            _ => {}
        }
    }
    unreachable!("the grammar closes its brackets: tested, {tail}")
}

/// The indefinite article of a word and the space after it. By its letters, except where the sound differs.
fn article(words: &str) -> &'static str {
    let silent = ["hour", "honest", "heir"];
    let consonant = ["one", "uni", "unan", "use", "eu", "ewe"];
    let starts = |list: &[&str]| {
        list.iter().any(|start| {
            words
                .get(..start.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(start))
        })
    };
    let vowel = words.starts_with(['a', 'e', 'i', 'o', 'u', 'A', 'E', 'I', 'O', 'U']);
    if (vowel && !starts(&consonant)) || starts(&silent) {
        "an "
    } else {
        "a "
    }
}

/// Makes the first letter a capital, past an opening quotation mark.
fn capitalise(text: &mut str) {
    if let Some(first) = text.bytes().position(|byte| byte != b'"') {
        // Accented letters begin only names, which have their capital already.
        if let Some(letter) = text.get_mut(first..=first) {
            letter.make_ascii_uppercase();
        }
    }
}

/// Whether a template needs one of these slots.
pub(super) fn mentions(template: &str, slots: &[&str]) -> bool {
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        let Some(length) = rest[at + 1..].find('}') else {
            return false;
        };
        if slots.contains(&&rest[at + 1..at + 1 + length]) {
            return true;
        }
        rest = &rest[at + 1 + length..];
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::topics;
    use super::*;
    use crate::data::random::generator;

    fn facts() -> Facts {
        let mut facts = Facts::draw(&topics::all()[0], &mut generator(1, "test", &[]));
        facts.town = "Thornby".into();
        facts.event = "harvest fair";
        facts.people[0].first = "Zo\u{eb}";
        facts.people[0].last = "Oakham".into();
        facts.people[0].she = true;
        facts.adjectives = ["enormous"; 3];
        facts.count = 41;
        facts
    }

    fn write(template: &'static str) -> Sentence {
        sentence(template, &facts(), &mut generator(2, "test", &[]))
    }

    #[test]
    fn slots_articles_and_capitals_are_written_and_every_slot_is_where_it_says() {
        let sentence = write("@ {adj} day, said {A} of {town}: {As} has {n} in {his} hat.");
        let expected =
            "An enormous day, said Zo\u{eb} Oakham of Thornby: Mrs Oakham has 41 in her hat.";
        assert_eq!(sentence.text, expected);
        for (slot, written) in [
            ("A", "Zo\u{eb} Oakham"),
            ("town", "Thornby"),
            ("As", "Oakham"),
            ("n", "41"),
        ] {
            let span = sentence.slot(slot).unwrap();
            assert_eq!(&sentence.text[span.range.clone()], written);
        }
        assert_eq!(sentence.slot("A").unwrap().kind, Some(Kind::Person));
        assert!(sentence.slot("B").is_none());
    }

    #[test]
    fn an_event_can_be_a_proper_name() {
        assert_eq!(write("the {Event}.").text, "The Thornby Harvest Fair.");
    }

    #[test]
    fn alternatives_may_nest_be_empty_and_are_all_reached() {
        let mut seen = std::collections::BTreeSet::new();
        let facts = facts();
        let mut rng = generator(4, "test", &[]);
        for _ in 0..400 {
            seen.insert(sentence("\"x[ y[1|2]|]\" z.", &facts, &mut rng).text);
        }
        let expected = ["\"X y1\" z.", "\"X y2\" z.", "\"X\" z."];
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn articles_follow_the_sound() {
        for (word, expected) in [
            ("apple", "an "),
            ("hive", "a "),
            ("hour", "an "),
            ("honey pot", "a "),
            ("one-man band", "a "),
            ("useful", "a "),
            ("unread", "an "),
            ("onion", "an "),
            ("\u{e9}clair", "a "), // Accents begin only names here, and no article stands before those.
        ] {
            assert_eq!(article(word), expected, "{word}");
        }
    }

    #[test]
    fn a_template_mentions_the_slots_it_names() {
        assert!(mentions("The {day} of {n} [x|{m}].", &["m"]));
        assert!(!mentions("The {day} of {things}.", &["thing", "m"]));
    }
}
