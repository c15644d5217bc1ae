//! A document before it is cut into sentences.

use std::sync::Arc;

use bert_core::error::Result;

use super::lines::Place;
use super::row::text_of_row;
use super::sentences::split;
use crate::config::Sentences;

/// A document as it was read. Whoever takes it cuts it into sentences: reading is the work of one thread, and cutting, by
/// which sentences end in many texts, takes longer.
pub struct RawDocument {
    content: Content,
    sentences: Sentences,
}

enum Content {
    Text(String),
    /// A row of JSON with the text in one of its fields.
    Row {
        row: String,
        field: Arc<str>,
        place: Place,
    },
}

impl RawDocument {
    pub(super) fn of_text(text: String, sentences: Sentences) -> Self {
        Self {
            content: Content::Text(text),
            sentences,
        }
    }

    pub(super) fn of_row(
        row: String,
        field: &Arc<str>,
        place: Place,
        sentences: Sentences,
    ) -> Self {
        Self {
            content: Content::Row {
                row,
                field: field.clone(),
                place,
            },
            sentences,
        }
    }

    /// The memory that it takes.
    pub(super) fn bytes(&self) -> usize {
        let (Content::Text(text) | Content::Row { row: text, .. }) = &self.content;
        size_of::<Self>() + text.len()
    }

    /// Its sentences, none of which is only white space; `None` of a row that cannot be used and is left out.
    ///
    /// # Errors
    /// [`bert_core::error::Error::Data`] of such a row where `corpus.bad_lines` refuses it.
    pub fn sentences(&self) -> Result<Option<Vec<String>>> {
        match &self.content {
            Content::Text(text) => Ok(Some(split(text, self.sentences))),
            Content::Row { row, field, place } => match text_of_row(row, field) {
                Ok(text) => Ok(Some(split(&text, self.sentences))),
                Err(problem) => place.bad(problem).map(|()| None),
            },
        }
    }
}
