//! The built-in corpus and labelled sets: generated from a grammar and word lists of our own, so that everything
//! can be tried without fetching anything. It is honest about that: the prose is made of templates, and a score on
//! it says that the pipeline works, not how good a model is on real text.
//!
//! Everything is a function of a seed and an index.
//!
//! `topics` and `lexicon` hold the words, `facts` draws what is true in one document, `grammar` writes a sentence
//! with these facts, and `articles` puts sentences together. The labelled sets are made of the same parts.

mod articles;
mod continuations;
mod entities;
mod facts;
mod fields;
mod grammar;
mod lexicon;
mod pairs;
mod questions;
mod rows;
mod sentiment;
mod similarity;
mod statements;
#[cfg(test)]
mod tests;
mod topics;
mod write;

pub use articles::{Document, document};
pub use continuations::{Continuation, continuations};
pub use entities::{TaggedSentence, Token, entities};
pub use fields::{LabelledText, fields};
pub use pairs::{PAIR_LABELS, Pair, pairs};
pub use questions::{Answer, Article, Paragraph, Question, QuestionFile, question_file, questions};
pub use rows::Splits;
pub use sentiment::{Review, SENTIMENT_LABELS, sentiment};
pub use similarity::{ScoredPair, similarity};
pub use write::{DEFAULT_DOCUMENTS, LABELLED, Written, corpus, corpus_text, write, write_labelled};
