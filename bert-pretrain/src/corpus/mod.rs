//! Text in, tokenized documents out: streamed, split, without duplicates, cached, memory-mapped.

mod ascii;
mod document;
mod lines;
mod prepare;
mod row;
mod sentences;
mod shards;
mod sources;

pub use document::RawDocument;
pub use lines::Reading;
pub use prepare::{Prepared, Settings, Statistics, learn_or_load_tokenizer, prepare};
pub use shards::{Corpus, Documents};
pub use sources::each_document;

/// Documents as lists of sentences, sentences as lists of word ids.
pub trait DocumentStore: Send + Sync {
    /// The number of documents.
    fn documents(&self) -> usize;
    /// The number of sentences of a document, at least 1.
    fn sentences(&self, document: usize) -> usize;
    /// The number of tokens of a sentence, at least 1.
    fn sentence_tokens(&self, document: usize, sentence: usize) -> usize;
    /// Appends the ids of a sentence.
    fn append_sentence(&self, document: usize, sentence: usize, ids: &mut Vec<u32>);
}
