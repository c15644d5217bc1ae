//! What is to be answered, and where in the data its parts stand.

use bert_core::config::{FromSection, Section};
use serde::Serialize;

/// A task, with the columns of tables or the keys of JSON Lines.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum TaskConfig {
    /// One class for a text or a pair.
    Classification {
        /// The text.
        text: String,
        /// The second text of a pair.
        text_pair: Option<String>,
        /// The class.
        label: String,
    },
    /// Any number of labels for a text or a pair.
    MultiLabel {
        /// The text.
        text: String,
        /// The second text of a pair.
        text_pair: Option<String>,
        /// The labels: an array, or a string with `separator` between them.
        label: String,
        /// What stands between two labels in a string.
        separator: String,
        /// The probability from which on a label is given.
        threshold: f64,
    },
    /// A number for a text or a pair.
    Regression {
        /// The text.
        text: String,
        /// The second text of a pair.
        text_pair: Option<String>,
        /// The number.
        label: String,
    },
    /// A tag for every word.
    Tokens {
        /// How tags mark entities.
        scheme: Scheme,
        /// The column of words in files of columns, from 0.
        word_column: usize,
        /// The column of tags in files of columns, from 0; `None` for the last.
        tag_column: Option<usize>,
        /// The key of the array of words in JSON Lines.
        words: String,
        /// The key of the array of tags in JSON Lines.
        tags: String,
    },
    /// An answer within a passage.
    QuestionAnswering {
        /// Tokens from the start of one window of the passage to the start of the next.
        doc_stride: usize,
        /// "" is the answer where its score is that much above the best answer's.
        null_threshold: f64,
        /// The longest answer, in tokens.
        max_answer_tokens: usize,
        /// The longest question, in tokens; the rest of it is cut.
        max_query_tokens: usize,
        /// How many answers are listed.
        n_best: usize,
        /// Whether a question may have no answer; `None` for what the training data say.
        unanswerable: Option<bool>,
    },
    /// One of several answers.
    MultipleChoice {
        /// What all choices are about: the first segment.
        question: String,
        /// A passage before the question: the first segment then, and the question begins the second.
        context: Option<String>,
        /// The key of the array of choices, or the columns they stand in, separated by commas.
        choices: String,
        /// The right one: its text, its number from 0, or its letter.
        label: String,
    },
}

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
            Self::Classification { .. } => "classification",
            Self::MultiLabel { .. } => "multi_label",
            Self::Regression { .. } => "regression",
            Self::Tokens { .. } => "tokens",
            Self::QuestionAnswering { .. } => "question_answering",
            Self::MultipleChoice { .. } => "multiple_choice",
        }
    }

    /// Whether one of several classes is right, so that they can be weighed and targets smoothed.
    pub fn has_classes(&self) -> bool {
        matches!(self, Self::Classification { .. } | Self::Tokens { .. })
    }

    /// Whether a question may have no answer, where that is said.
    pub fn unanswerable(&self) -> Option<bool> {
        match self {
            Self::QuestionAnswering { unanswerable, .. } => *unanswerable,
            _ => None,
        }
    }

    /// Tokens of a sequence that say something.
    pub(super) fn least_tokens(&self) -> usize {
        match self {
            // [CLS] question [SEP] passage [SEP]
            Self::QuestionAnswering {
                max_query_tokens, ..
            } => max_query_tokens + 4,
            Self::MultipleChoice { .. } => 5,
            _ => 3,
        }
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
        let text = |section: &mut Section| section.name("text", "text");
        let text_pair = |section: &mut Section| section.optional_name("text_pair");
        let label = |section: &mut Section| section.name("label", "label");
        match section.choice("type", &KINDS, Kind::Classification) {
            Kind::Classification => Self::Classification {
                text: text(section),
                text_pair: text_pair(section),
                label: label(section),
            },
            // Classification with another default.
            Kind::Pair => Self::Classification {
                text: text(section),
                text_pair: Some(section.name("text_pair", "text_pair")),
                label: label(section),
            },
            Kind::MultiLabel => {
                let separator = section.or("separator", ",".to_string());
                section.check(!separator.is_empty(), "separator", "must not be empty");
                Self::MultiLabel {
                    text: text(section),
                    text_pair: text_pair(section),
                    label: section.name("label", "labels"),
                    separator,
                    threshold: section.fraction("threshold", 0.5),
                }
            }
            Kind::Regression => Self::Regression {
                text: text(section),
                text_pair: text_pair(section),
                label: label(section),
            },
            Kind::Tokens => Self::Tokens {
                scheme: section.choice("scheme", &SCHEMES, Scheme::Auto),
                word_column: section.or("word_column", 0),
                tag_column: section.or("tag_column", None),
                words: section.name("words", "tokens"),
                tags: section.name("tags", "tags"),
            },
            Kind::QuestionAnswering => {
                const MOST: usize = 1 << 20;
                Self::QuestionAnswering {
                    doc_stride: section.number("doc_stride", 128, 1..=MOST),
                    null_threshold: section.or("null_threshold", 0.0),
                    max_answer_tokens: section.number("max_answer_tokens", 30, 1..=MOST),
                    max_query_tokens: section.number("max_query_tokens", 64, 1..=MOST),
                    n_best: section.number("n_best", 20, 1..=1000),
                    unanswerable: section.or("unanswerable", None),
                }
            }
            Kind::MultipleChoice => Self::MultipleChoice {
                question: section.name("question", "question"),
                context: section.optional_name("context"),
                choices: section.name("choices", "choices"),
                label: label(section),
            },
        }
    }
}
