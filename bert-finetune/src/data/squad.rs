//! Questions with their answers in a context: SQuAD 1.1 and 2.0.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;

use super::characters::Characters;
use super::message::{quoted, syntax};
use super::whole::{self, line_feeds};
use bert_core::error::{Error, Result};
use bert_core::files::open;

/// One question about a context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Its line, counted from 1: that of its id, or of its text where the id is a number; where the file writes both with
    /// escapes, that of a question before it.
    pub line: u64,
    /// What predictions are named by; unlike that of any other question of the file.
    pub id: String,
    /// Its text.
    pub question: String,
    /// The text that answers it, shared among the questions about it.
    pub context: Arc<str>,
    /// The answers given; none where it is impossible, or where the file gives none to be learnt from.
    pub answers: Vec<Answer>,
    /// Whether the context does not answer it.
    pub is_impossible: bool,
}

/// An answer that its context has at this place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its text, not empty.
    pub text: String,
    /// Where it begins: Unicode scalar values into the context, counted from 0.
    pub start: usize,
}

impl Answer {
    /// Where it begins and ends, as far as places can be counted.
    pub fn place(&self) -> (usize, usize) {
        let length = self.text.chars().count();
        (self.start, self.start.saturating_add(length))
    }
}

/// The questions of a file, which is read whole, with their answers where these are wanted. `-` is standard input.
///
/// # Errors
///
/// [`Error::Io`] where the file cannot be read, [`Error::Data`] where it is not JSON in the shape of
/// SQuAD. In place of a single question that cannot be used there is an [`Error::Data`].
pub fn questions(path: &Path, answers: bool) -> Result<Vec<Result<Question>>> {
    let text = &whole::text(path, open(path)?)?;
    let file: RawFile = serde_json::from_str(text).map_err(|error| structural(path, &error))?;
    Ok(checked(path, text, file, answers))
}

#[derive(Deserialize)]
#[serde(expecting = "an object with `data`")]
struct RawFile<'a> {
    #[serde(borrow)]
    data: Vec<RawArticle<'a>>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object with `paragraphs`")]
struct RawArticle<'a> {
    #[serde(borrow)]
    paragraphs: Vec<RawParagraph<'a>>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object with `context` and `qas`")]
struct RawParagraph<'a> {
    context: String,
    #[serde(borrow)]
    qas: Vec<RawQuestion<'a>>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object with `id` and `question`")]
struct RawQuestion<'a> {
    #[serde(borrow)]
    id: TextOrNumber<'a>,
    #[serde(borrow)]
    question: Cow<'a, str>,
    answers: Option<Vec<RawAnswer>>,
    is_impossible: Option<bool>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object with `text` and `answer_start`")]
struct RawAnswer {
    text: String,
    answer_start: i64,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a string or a number")]
enum TextOrNumber<'a> {
    #[serde(borrow)]
    Text(Cow<'a, str>),
    Number(serde_json::Number),
}

impl fmt::Display for TextOrNumber<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => number.fmt(f),
        }
    }
}

/// What is wrong with a question, and what can be done about it.
type Fault = (String, String);

fn checked(path: &Path, text: &str, file: RawFile<'_>, wanted: bool) -> Vec<Result<Question>> {
    let mut questions = Vec::new();
    let mut seen = HashSet::new();
    let mut position = Position {
        text,
        at: 0,
        line: 1,
    };
    let articles = file.data.into_iter();
    for paragraph in articles.flat_map(|article| article.paragraphs) {
        let context: Arc<str> = paragraph.context.into();
        let characters = Characters::new(&context);
        for raw in paragraph.qas {
            let line = position.line_of(&raw);
            let id = raw.id.to_string();
            let answers = if seen.insert(id.clone()) {
                usable_answers(&characters, &raw, wanted)
            } else {
                Err((
                    "another question has the same id".into(),
                    "give every question its own id".into(),
                ))
            };
            questions.push(match answers {
                Ok(answers) => Ok(Question {
                    line,
                    id,
                    question: raw.question.into_owned(),
                    context: context.clone(),
                    answers,
                    is_impossible: raw.is_impossible.unwrap_or(false),
                }),
                Err((problem, help)) => Err(Error::Data {
                    path: path.to_path_buf(),
                    line: Some(line),
                    problem: format!("question {}: {problem}", quoted(&id)),
                    help,
                }),
            });
        }
    }
    questions
}

fn usable_answers(
    context: &Characters<'_>,
    raw: &RawQuestion<'_>,
    wanted: bool,
) -> Result<Vec<Answer>, Fault> {
    let fault = |problem: &str, help: &str| Err((problem.to_owned(), help.to_owned()));
    if context.text().trim().is_empty() {
        return fault("its context is empty", "remove the paragraph");
    }
    if raw.question.trim().is_empty() {
        return fault("its text is empty", "remove the question");
    }
    let Some(answers) = raw.answers.as_ref().filter(|_| wanted) else {
        return Ok(Vec::new());
    };
    match (raw.is_impossible.unwrap_or(false), answers.is_empty()) {
        (false, true) => fault(
            "it has no answer and is not marked impossible",
            "give it an answer or `\"is_impossible\": true`; where answers are not known leave out `answers`",
        ),
        (true, false) => fault(
            "it is marked impossible and has an answer",
            "remove its answers, or correct `is_impossible`",
        ),
        _ => answers
            .iter()
            .map(|answer| located(context, answer))
            .collect(),
    }
}

fn located(context: &Characters<'_>, answer: &RawAnswer) -> Result<Answer, Fault> {
    let text = &answer.text;
    if text.is_empty() {
        return Err((
            "an answer is empty".into(),
            "remove the answer, or mark the question with `\"is_impossible\": true`".into(),
        ));
    }
    if let Ok(start) = usize::try_from(answer.answer_start)
        && context.from(start).starts_with(text)
    {
        let text = text.clone();
        return Ok(Answer { text, start });
    }
    let problem = format!(
        "the context does not have the answer {} at character {}",
        quoted(text),
        answer.answer_start
    );
    let mut places = context
        .text()
        .match_indices(text.as_str())
        .map(|(at, _)| at);
    let help = match (places.next(), places.next()) {
        (None, _) => "the context has this text nowhere: correct the answer".into(),
        (Some(at), None) => format!(
            "the context has this text once, at character {}: correct `answer_start`, which counts \
             characters from 0, not bytes",
            context.number_at(at)
        ),
        _ => "the context has this text at several other places: correct `answer_start`, which \
              counts characters from 0, not bytes"
            .into(),
    };
    Err((problem, help))
}

/// Line numbers in a text, asked for in ascending order.
struct Position<'a> {
    text: &'a str,
    at: usize,
    line: u64,
}

impl Position<'_> {
    /// A string without escapes is a part of the file's text, so that its address tells its place.
    fn line_of(&mut self, raw: &RawQuestion<'_>) -> u64 {
        let part = match (&raw.id, &raw.question) {
            (TextOrNumber::Text(Cow::Borrowed(id)), _) => id,
            (_, Cow::Borrowed(question)) => question,
            _ => return self.line,
        };
        let begin = self.text.as_ptr().addr();
        let passed = (part.as_ptr().addr().checked_sub(begin))
            .and_then(|at| Some((at, self.text.as_bytes().get(self.at..at)?)));
        if let Some((at, passed)) = passed {
            self.line += line_feeds(passed);
            self.at = at;
        }
        self.line
    }
}

fn structural(path: &Path, error: &serde_json::Error) -> Error {
    Error::Data {
        path: path.to_path_buf(),
        line: (error.line() > 0).then_some(error.line() as u64),
        problem: format!("{} at column {}", syntax(error), error.column()),
        help: "SQuAD is {\"data\": [{\"paragraphs\": [{\"context\": \"...\", \"qas\": [{\"id\": \
               \"...\", \"question\": \"...\", \"answers\": [{\"text\": \"...\", \
               \"answer_start\": 0}]}]}]}]}"
            .into(),
    }
}

#[cfg(test)]
mod tests;
