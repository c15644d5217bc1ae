//! What is to be answered, and where in the data its parts stand.

use std::collections::HashSet;

use bert_core::config::{FromSection, FromValue, Section};
use serde::Serialize;

/// A task, with the columns of tables or the keys of JSON Lines.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum TaskConfig {
    /// One answer for a text or a pair.
    Sequence(SequenceConfig),
    /// A tag for every word.
    Tokens(TokensConfig),
    /// An answer within a passage.
    Questions(QuestionsConfig),
    /// One of several answers.
    Choice(ChoiceConfig),
}

/// One answer for a text or a pair.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SequenceConfig {
    /// What it is.
    #[serde(flatten)]
    pub answer: SequenceAnswer,
    /// The text.
    pub text: String,
    /// The second text of a pair.
    pub text_pair: Option<String>,
    /// Whether a row may have a [second text](DEFAULT_PAIR) where none is asked for: nothing says whether the model takes
    /// texts or pairs.
    #[serde(skip)]
    pub may_be_pair: bool,
    /// The answer.
    pub label: String,
}

/// The name of the second text where none is given.
pub const DEFAULT_PAIR: &str = "text_pair";

/// The answer for a text or a pair.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum SequenceAnswer {
    /// One class.
    Classification {
        /// The names of the classes in the order of their numbers, by which data may give them; `None` for those of the data.
        label_names: Option<Vec<String>>,
    },
    /// Any number of labels.
    MultiLabel {
        /// Their names, as of classes.
        label_names: Option<Vec<String>>,
        /// What stands between two labels where they are a string, not an array.
        separator: String,
        /// The probability from which on a label is given.
        threshold: f64,
    },
    /// A number.
    Regression,
}

impl SequenceAnswer {
    /// The names that are given to its labels.
    pub fn label_names(&self) -> Option<&[String]> {
        match self {
            Self::Classification { label_names } | Self::MultiLabel { label_names, .. } => {
                label_names.as_deref()
            }
            Self::Regression => None,
        }
    }

    /// The same, with the names that a model gives its labels.
    pub(crate) fn without_names(mut self) -> Self {
        if let Self::Classification { label_names } | Self::MultiLabel { label_names, .. } =
            &mut self
        {
            *label_names = None;
        }
        self
    }
}

/// A tag for every word.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename = "tokens")]
pub struct TokensConfig {
    /// The names of the tags in the order of their numbers, by which data may give them; `None` for those of the data.
    pub label_names: Option<Vec<String>>,
    /// How tags mark entities.
    pub scheme: Scheme,
    /// The column of words in files of columns, from 0.
    pub word_column: usize,
    /// The column of tags in files of columns, from 0; `None` for the last.
    pub tag_column: Option<usize>,
    /// The key, or column, of plain text in rows that are to be answered.
    pub text: String,
    /// The key, or column, of the array of words in rows.
    pub words: String,
    /// The key, or column, of the array of tags in rows.
    pub tags: String,
}

/// An answer within a passage.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename = "question_answering")]
pub struct QuestionsConfig {
    /// The key, or column, of the question in rows.
    pub question: String,
    /// That of the passage.
    pub context: String,
    /// That of the right answers.
    pub answers: String,
    /// Tokens from the start of one window of the passage to the start of the next.
    pub doc_stride: usize,
    /// "" is the answer where its score is that much above the best answer's.
    pub null_threshold: f64,
    /// The longest answer, in tokens.
    pub max_answer_tokens: usize,
    /// The longest question, in tokens; the rest of it is cut.
    pub max_query_tokens: usize,
    /// How many answers are listed.
    pub n_best: usize,
    /// Whether a question may have no answer; `None` for what the training data say.
    pub unanswerable: Option<bool>,
}

/// One of several answers.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename = "multiple_choice")]
pub struct ChoiceConfig {
    /// What all choices are about: the first segment.
    pub question: String,
    /// A passage before the question: the first segment then, and the question begins the second.
    pub context: Option<String>,
    /// The key of the array of choices, or the columns they stand in, separated by commas.
    pub choices: String,
    /// The right one: its text, its number from 0, or its letter.
    pub label: String,
}

macro_rules! is_a_task {
    ($($config:ident: $variant:ident),*) => {
        $(impl From<$config> for TaskConfig {
            fn from(config: $config) -> Self {
                Self::$variant(config)
            }
        })*
    };
}

is_a_task!(SequenceConfig: Sequence, TokensConfig: Tokens, QuestionsConfig: Questions, ChoiceConfig: Choice);

/// How tags mark entities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    /// What the tags of the training data look like.
    Auto,
    /// `B-` only between neighbours of one type.
    Iob1,
    /// `B-` at the start of each entity.
    Iob2,
    /// `B-`, `I-`, `E-` and `S-`.
    Iobes,
    /// Types without prefixes; neighbours of one type are one entity.
    Raw,
    /// No entities: each word's tag counts by itself, as parts of speech do.
    Words,
}

const SCHEMES: [(&str, Scheme); 6] = [
    ("auto", Scheme::Auto),
    ("iob1", Scheme::Iob1),
    ("iob2", Scheme::Iob2),
    ("iobes", Scheme::Iobes),
    ("raw", Scheme::Raw),
    ("words", Scheme::Words),
];

impl TaskConfig {
    /// Its name in configurations.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sequence(config) => match config.answer {
                SequenceAnswer::Classification { .. } => "classification",
                SequenceAnswer::MultiLabel { .. } => "multi_label",
                SequenceAnswer::Regression => "regression",
            },
            Self::Tokens(_) => "tokens",
            Self::Questions(_) => "question_answering",
            Self::Choice(_) => "multiple_choice",
        }
    }

    /// Whether one of several classes is right, so that they can be weighed and targets smoothed.
    pub fn has_classes(&self) -> bool {
        match self {
            Self::Sequence(config) => {
                matches!(config.answer, SequenceAnswer::Classification { .. })
            }
            Self::Tokens(_) => true,
            Self::Questions(_) | Self::Choice(_) => false,
        }
    }

    /// Tokens of a sequence that says something: `[CLS] a [SEP]`, or of a pair `[CLS] a [SEP] b [SEP]`.
    pub(crate) fn least_tokens(&self) -> usize {
        let is_pair = match self {
            Self::Sequence(config) => config.text_pair.is_some(),
            Self::Tokens(_) => false,
            Self::Questions(_) | Self::Choice(_) => true,
        };
        if is_pair { 5 } else { 3 }
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Classification,
    Pair,
    MultiLabel,
    Regression,
    Tokens,
    QuestionAnswering,
    MultipleChoice,
}

const KINDS: [(&str, Kind); 7] = [
    ("classification", Kind::Classification),
    ("pair", Kind::Pair),
    ("multi_label", Kind::MultiLabel),
    ("regression", Kind::Regression),
    ("tokens", Kind::Tokens),
    ("question_answering", Kind::QuestionAnswering),
    ("multiple_choice", Kind::MultipleChoice),
];

impl FromSection for TaskConfig {
    fn from_section(section: &mut Section) -> Self {
        match section.choice("type", &KINDS, Kind::Classification) {
            Kind::Classification => {
                let label_names = label_names(section, 2);
                let pair = section.optional_name("text_pair");
                let answer = SequenceAnswer::Classification { label_names };
                sequence(section, answer, pair, "label")
            }
            // Classification with another default.
            Kind::Pair => {
                let label_names = label_names(section, 2);
                let pair = section.name("text_pair", DEFAULT_PAIR);
                let answer = SequenceAnswer::Classification { label_names };
                sequence(section, answer, Some(pair), "label")
            }
            Kind::MultiLabel => {
                let separator = section.or("separator", ",".to_string());
                section.check(!separator.is_empty(), "separator", "must not be empty");
                let answer = SequenceAnswer::MultiLabel {
                    label_names: label_names(section, 1),
                    separator,
                    threshold: section.fraction("threshold", 0.5),
                };
                let pair = section.optional_name("text_pair");
                sequence(section, answer, pair, "labels")
            }
            Kind::Regression => {
                let pair = section.optional_name("text_pair");
                sequence(section, SequenceAnswer::Regression, pair, "label")
            }
            Kind::Tokens => Self::Tokens(TokensConfig {
                label_names: label_names(section, 2),
                scheme: section.choice("scheme", &SCHEMES, Scheme::Auto),
                word_column: section.or("word_column", 0),
                tag_column: section.or("tag_column", None),
                text: section.name("text", "text"),
                words: section.name("words", "tokens"),
                tags: section.name("tags", "tags"),
            }),
            Kind::QuestionAnswering => {
                const MOST: usize = 1 << 20;
                Self::Questions(QuestionsConfig {
                    question: section.name("question", "question"),
                    context: section.name("context", "context"),
                    answers: section.name("answers", "answers"),
                    doc_stride: section.number("doc_stride", 128, 1..=MOST),
                    null_threshold: section.or("null_threshold", 0.0),
                    max_answer_tokens: section.number("max_answer_tokens", 30, 1..=MOST),
                    max_query_tokens: section.number("max_query_tokens", 64, 1..=MOST),
                    n_best: section.number("n_best", 20, 1..=1000),
                    unanswerable: section.or("unanswerable", None),
                })
            }
            Kind::MultipleChoice => Self::Choice(ChoiceConfig {
                question: section.name("question", "question"),
                context: section.optional_name("context"),
                choices: section.name("choices", "choices"),
                label: section.name("label", "label"),
            }),
        }
    }
}

/// The names of labels, of which a task needs so many.
fn label_names(section: &mut Section, least: usize) -> Option<Vec<String>> {
    let value = section
        .value("label_names")
        .filter(|value| !value.is_null())?;
    let names = Vec::<String>::from_value(&value).filter(|names| {
        let different: HashSet<&String> = names.iter().collect();
        different.len() == names.len() && names.len() >= least
    });
    if names.is_none() {
        section.problem(
            "label_names",
            format!("must be null, or an array of {least} or more names, each once"),
        );
    }
    names
}

fn sequence(
    section: &mut Section,
    answer: SequenceAnswer,
    text_pair: Option<String>,
    label: &str,
) -> TaskConfig {
    TaskConfig::Sequence(SequenceConfig {
        answer,
        text: section.name("text", "text"),
        text_pair,
        may_be_pair: false,
        label: section.name("label", label),
    })
}
