//! Questions about short articles, in the form of SQuAD 2.0: some have no answer.

use std::collections::HashSet;

use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::articles::{MIDDLES, random_facts};
use super::grammar::{mentions, sentence};
use super::rows::Splits;
use super::statements::STATEMENTS;

/// A SQuAD 2.0 file.
#[derive(Debug, Clone, Serialize)]
pub struct QuestionFile<'a> {
    /// "v2.0".
    pub version: &'static str,
    /// The articles.
    pub data: &'a [Article],
}

/// A titled article; here always of one paragraph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Article {
    /// What happened and where.
    pub title: String,
    /// Its paragraphs.
    pub paragraphs: Vec<Paragraph>,
}

/// A text and what is asked about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Paragraph {
    /// The text.
    pub context: String,
    /// The questions.
    pub qas: Vec<Question>,
}

/// A question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Question {
    /// Unique in the set.
    pub id: String,
    /// The question.
    pub question: String,
    /// One answer, or none if `is_impossible`.
    pub answers: Vec<Answer>,
    /// Whether the text does not answer it.
    pub is_impossible: bool,
}

/// A stretch of the context.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// Its text.
    pub text: String,
    /// Where it begins in the context, in characters.
    pub answer_start: usize,
}

/// What a paragraph says of [`STATEMENTS`], and how many questions of each sort it gets.
const STATED: usize = 4;
const ASKED: usize = 4;
const UNSTATED_ASKED: usize = 1;
const STRAY_ASKED: usize = 1;
/// Sentences between that answer nothing.
const FILLERS: usize = 3;

/// Slots that a filler must not have, lest it answer a question that is meant to have no answer.
const TELLING: &[&str] = &[
    "n", "m", "age", "hour", "day", "C", "leader", "helper", "other", "org", "street", "item",
    "items",
];

/// The question set of a seed.
pub fn questions(seed: u64) -> Splits<Article> {
    let sizes = [700, 90, 90];
    let mut splits = Splits::draw(
        seed,
        "sample questions",
        sizes,
        |_, rng| draw(rng),
        |article| article.paragraphs[0].context.clone(),
    );
    let all = splits
        .train
        .iter_mut()
        .chain(&mut splits.valid)
        .chain(&mut splits.test);
    for (at, article) in all.enumerate() {
        for (number, question) in article.paragraphs[0].qas.iter_mut().enumerate() {
            question.id = format!("sample-{at}-{number}");
        }
    }
    splits
}

/// The shape a question file has in JSON.
pub fn question_file(articles: &[Article]) -> QuestionFile<'_> {
    QuestionFile {
        version: "v2.0",
        data: articles,
    }
}

fn draw(rng: &mut ChaCha8Rng) -> Option<Article> {
    let facts = random_facts(rng);
    let mut statements: Vec<_> = STATEMENTS.iter().collect();
    statements.shuffle(rng);
    let (stated, unstated) = statements.split_at(STATED);

    // Sentences in their final order, the stated ones with the index of their statement.
    let own = facts.topic.sentences.iter().chain(MIDDLES);
    let silent: Vec<_> = own
        .filter(|template| !mentions(template, TELLING))
        .collect();
    let mut order: Vec<(Option<usize>, &'static str)> = silent
        .choose_multiple(rng, FILLERS)
        .map(|template| (None, **template))
        .collect();
    for (index, statement) in stated.iter().enumerate() {
        order.push((Some(index), statement.said.choose(rng)?));
    }
    order.shuffle(rng);

    let mut context = String::new();
    let mut answerable = Vec::new();
    for (index, template) in order {
        let written = sentence(template, &facts, rng);
        if !context.is_empty() {
            context.push(' ');
        }
        let before = context.chars().count();
        if let Some(index) = index {
            for (question, slot) in stated[index].questions {
                let range = written.slot(slot)?.range.clone();
                let answer = Answer {
                    text: written.text[range.clone()].to_owned(),
                    answer_start: before + written.text[..range.start].chars().count(),
                };
                answerable.push((sentence(question, &facts, rng).text, Some(answer)));
            }
        }
        context.push_str(&written.text);
    }
    answerable.shuffle(rng);
    answerable.truncate(ASKED);
    let mut asked = answerable;

    for statement in unstated.choose_multiple(rng, UNSTATED_ASKED) {
        let (question, _) = statement.questions[0];
        asked.push((sentence(question, &facts, rng).text, None));
    }
    let strays: Vec<_> = stated
        .iter()
        .filter_map(|statement| statement.stray)
        .collect();
    for (question, slot) in strays.choose_multiple(rng, STRAY_ASKED) {
        let altered = facts.altered(slot, rng);
        asked.push((sentence(question, &altered, rng).text, None));
    }
    asked.shuffle(rng);
    let different: HashSet<_> = asked.iter().map(|(question, _)| question).collect();
    if different.len() < asked.len() {
        return None;
    }

    let title = sentence("{Event}", &facts, rng).text;
    let qas = asked
        .into_iter()
        .map(|(question, answer)| Question {
            id: String::new(),
            question,
            is_impossible: answer.is_none(),
            answers: answer.into_iter().collect(),
        })
        .collect();
    let paragraphs = vec![Paragraph { context, qas }];
    Some(Article { title, paragraphs })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_questions(articles: &[Article]) -> impl Iterator<Item = (&str, &Question)> {
        let paragraphs = articles.iter().flat_map(|article| &article.paragraphs);
        paragraphs.flat_map(|paragraph| {
            paragraph
                .qas
                .iter()
                .map(|question| (paragraph.context.as_str(), question))
        })
    }

    #[test]
    fn every_answer_is_at_its_offset_in_characters() {
        let mut shifted = 0;
        for (_, articles) in questions(1).named() {
            for (context, question) in all_questions(articles) {
                assert_eq!(question.is_impossible, question.answers.is_empty());
                for answer in &question.answers {
                    let found: String = context
                        .chars()
                        .skip(answer.answer_start)
                        .take(answer.text.chars().count())
                        .collect();
                    assert_eq!(found, answer.text);
                    shifted += u32::from(
                        !context.is_char_boundary(answer.answer_start) || {
                            !context[answer.answer_start..].starts_with(&answer.text)
                        },
                    );
                }
            }
        }
        assert!(
            shifted > 0,
            "some names before answers have accents, or bytes and characters would not differ"
        );
    }

    #[test]
    fn ids_differ_and_about_a_third_of_the_questions_have_no_answer() {
        let splits = questions(2);
        let mut ids = HashSet::new();
        for (name, articles) in splits.named() {
            let (total, impossible) =
                all_questions(articles).fold((0, 0), |(total, impossible), (_, question)| {
                    assert!(ids.insert(question.id.clone()));
                    (total + 1, impossible + u32::from(question.is_impossible))
                });
            assert!(
                (0.25..0.36).contains(&(f64::from(impossible) / f64::from(total))),
                "{name}"
            );
        }
    }

    #[test]
    fn the_splits_share_no_text() {
        let splits = questions(3);
        let mut seen = HashSet::new();
        for (_, articles) in splits.named() {
            for article in articles {
                assert!(seen.insert(&article.paragraphs[0].context));
            }
        }
    }

    #[test]
    fn the_file_has_the_keys_of_squad() {
        let splits = questions(4);
        let json = serde_json::to_value(question_file(&splits.valid[..1])).unwrap();
        assert_eq!(json["version"], "v2.0");
        let question = &json["data"][0]["paragraphs"][0]["qas"][0];
        let keys: Vec<_> = question
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(keys, ["id", "question", "answers", "is_impossible"]);
    }
}
