//! Facts that can be said in several ways, denied, and asked after: what the pair and question sets are made of,
//! and part of every article.

/// One fact of a document.
pub(super) struct Statement {
    /// Ways to say the same; each mentions every slot of `keys`.
    pub(super) said: &'static [&'static str],
    /// A way to say the opposite.
    pub(super) denied: &'static str,
    /// The slots whose change makes it another, incompatible statement.
    pub(super) keys: &'static [&'static str],
    /// What can be asked, each with the slot that answers it.
    pub(super) questions: &'static [(&'static str, &'static str)],
    /// A question that has no answer once this slot of it is altered.
    pub(super) stray: Option<(&'static str, &'static str)>,
}

pub(super) const STATEMENTS: &[Statement] = &[
    Statement {
        said: &[
            "The {event} in {town} took place at {place} on {day}.",
            "On {day} the {event} came to {place} in {town}.",
            "It was at {place} in {town} that the {event} took place on {day}.",
        ],
        denied: "Nothing at all happened at {place} in {town} on {day}.",
        keys: &["day", "town"],
        questions: &[
            ("On which day did the {event} take place?", "day"),
            ("Where in {town} did the {event} take place?", "place"),
            ("In which town did the {event} take place?", "town"),
        ],
        stray: None,
    },
    Statement {
        said: &[
            "The {leader} of {town} is {A}.",
            "{A} is the {leader} of {town}.",
            "In {town} the post of {leader} is held by {A}.",
        ],
        denied: "{town} has never had @ {leader}.",
        keys: &["A"],
        questions: &[("Who is the {leader} of {town}?", "A")],
        stray: Some(("Who is the {leader} of {town}?", "town")),
    },
    Statement {
        said: &[
            "{B}, @ {helper}, had come all the way from {other}.",
            "From {other} came {B}, @ {helper}.",
            "@ {helper} called {B} had travelled from {other}.",
        ],
        denied: "{B}, @ {helper}, has never set foot in {other}.",
        keys: &["other"],
        questions: &[
            ("Where had {B} come from?", "other"),
            ("Who had come from {other}?", "B"),
            ("What is the trade of {B}?", "helper"),
        ],
        stray: Some(("Where had {B} come from?", "B")),
    },
    Statement {
        said: &[
            "{As} counted {n} {items} in {town}.",
            "In {town} {n} {items} were counted by {As}.",
            "The {items} in {town} came to {n} when {As} counted them.",
        ],
        denied: "{As} could not find a single {item} to count in {town}.",
        keys: &["n"],
        questions: &[
            ("How many {items} were counted?", "n"),
            ("What did {As} count?", "items"),
        ],
        stray: Some(("How many {items} were counted?", "item")),
    },
    Statement {
        said: &[
            "The {org} paid {m} pounds for the {item}.",
            "The {item} was sold to the {org} for {m} pounds.",
            "For {m} pounds the {item} was bought by the {org}.",
        ],
        denied: "The {org} would not pay a penny for the {item}.",
        keys: &["m"],
        questions: &[
            ("How many pounds were paid for the {item}?", "m"),
            ("Who bought the {item}?", "org"),
        ],
        stray: Some(("Who bought the {item}?", "item")),
    },
    Statement {
        said: &[
            "{C}, aged {age}, found the {item} in {street}.",
            "The {item} was found in {street} by {C}, aged {age}.",
            "In {street} {C}, who is {age} years old, came upon the {item}.",
        ],
        denied: "{C}, aged {age}, never found the {item} in {street}.",
        keys: &["street", "C", "age"],
        questions: &[
            ("Who found the {item}?", "C"),
            ("Where was the {item} found?", "street"),
            ("How old is {C}?", "age"),
        ],
        stray: Some(("How old is {C}?", "C")),
    },
    Statement {
        said: &[
            "The {event} in {town} began at {hour} o'clock.",
            "At {hour} o'clock the {event} in {town} began.",
            "It was {hour} o'clock when the {event} in {town} began.",
        ],
        denied: "The {event} in {town} never began at all.",
        keys: &["hour"],
        questions: &[("At what hour did the {event} begin?", "hour")],
        stray: None,
    },
    Statement {
        said: &[
            "The {event} was watched by {k} people from {other}.",
            "{k} people from {other} watched the {event}.",
            "From {other} came {k} people to watch the {event}.",
        ],
        denied: "Nobody from {other} watched the {event}.",
        keys: &["k"],
        questions: &[
            ("How many people from {other} watched?", "k"),
            ("What did the people from {other} watch?", "event"),
        ],
        stray: Some(("How many people from {other} watched?", "other")),
    },
];

#[cfg(test)]
mod tests {
    use super::super::grammar::mentions;
    use super::*;

    #[test]
    fn every_wording_says_everything_the_statement_is_about() {
        for statement in STATEMENTS {
            assert!(statement.said.len() >= 3);
            for wording in statement.said {
                for slot in statement
                    .keys
                    .iter()
                    .chain(statement.questions.iter().map(|(_, slot)| slot))
                {
                    assert!(mentions(wording, &[slot]), "{wording} lacks {slot}");
                }
            }
        }
    }

    #[test]
    fn a_stray_question_mentions_what_makes_it_stray() {
        for (question, slot) in STATEMENTS.iter().filter_map(|statement| statement.stray) {
            let mentioned = if slot == "item" {
                &["item", "items"][..]
            } else {
                &[slot][..]
            };
            assert!(mentions(question, mentioned), "{question}");
        }
    }

    #[test]
    fn no_question_gives_its_answer_away() {
        for (question, slot) in STATEMENTS.iter().flat_map(|statement| statement.questions) {
            assert!(!mentions(question, &[slot]), "{question}");
        }
    }
}
