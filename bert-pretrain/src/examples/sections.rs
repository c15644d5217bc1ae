//! Runs of sentences of one document: the unit of shuffling and of parallel work.

use bert_core::error::{Error, Result};

use crate::corpus::DocumentStore;

/// A run of sentences of one document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) document: usize,
    pub(super) first_sentence: usize,
    pub(super) sentences: usize,
}

/// All sections of a store, in its order. A section's place takes 12 bytes: there are millions of them.
#[derive(Debug, Clone)]
pub(super) struct Sections(Vec<[u32; 3]>);

impl Sections {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn get(&self, index: usize) -> Section {
        let [document, first_sentence, sentences] = self.0[index].map(|n| n as usize);
        Section {
            document,
            first_sentence,
            sentences,
        }
    }

    /// The average number of tokens of a section, from up to `samples` of them evenly spread over the store.
    pub(super) fn average_tokens<S: DocumentStore>(&self, store: &S, samples: usize) -> f64 {
        let samples = samples.clamp(1, self.len().max(1)).min(self.len());
        let tokens: usize = (0..samples)
            .map(|sample| self.get(sample * self.len() / samples))
            .map(|section| {
                (section.first_sentence..section.first_sentence + section.sentences)
                    .map(|sentence| store.sentence_tokens(section.document, sentence))
                    .sum::<usize>()
            })
            .sum();
        tokens as f64 / samples.max(1) as f64
    }
}

/// Cuts every document into the fewest runs of at most `max_sentences` (3 or more), of nearly equal numbers.
///
/// Most documents are one section. Only a long one, such as a book, is cut, so that its examples need not all be
/// made at once and do not all fall into the same pool; no example reaches over a cut. A document of two or more
/// sentences has no section of one.
///
/// # Errors
/// [`Error::Usage`] for a store of more than 2^32 documents or a document of more than 2^32 sentences.
pub(super) fn sections<S: DocumentStore>(store: &S, max_sentences: usize) -> Result<Sections> {
    debug_assert!(max_sentences >= 3);
    let too_many = |_| Error::Usage {
        problem: "the corpus has more than 4294967295 documents, or sentences in one document"
            .into(),
        help: "train on a part of it: give fewer files in corpus.paths".into(),
    };
    let mut sections = Vec::with_capacity(store.documents());
    for document in 0..store.documents() {
        let sentences = store.sentences(document);
        let parts = sentences.div_ceil(max_sentences);
        let number = u32::try_from(document).map_err(too_many)?;
        for part in 0..parts {
            let first = part * sentences / parts;
            let end = (part + 1) * sentences / parts;
            sections.push([
                number,
                u32::try_from(first).map_err(too_many)?,
                u32::try_from(end - first).map_err(too_many)?,
            ]);
        }
    }
    Ok(Sections(sections))
}

#[cfg(test)]
mod tests {
    use super::super::testing::Store;
    use super::*;

    #[test]
    fn sections_cover_every_sentence_once_and_none_is_left_alone() {
        let lengths: Vec<Vec<usize>> = (1..40).map(|sentences| vec![3; sentences]).collect();
        let documents: Vec<&[usize]> = lengths.iter().map(Vec::as_slice).collect();
        let store = Store::of_lengths(&documents);
        for max_sentences in [3, 4, 7, 100] {
            let sections = sections(&store, max_sentences).expect("small");
            let mut next = vec![0; store.documents()];
            for index in 0..sections.len() {
                let section = sections.get(index);
                assert_eq!(section.first_sentence, next[section.document]);
                let whole = store.sentences(section.document);
                assert!(section.sentences <= max_sentences);
                assert!(section.sentences >= 2 || whole == 1);
                next[section.document] += section.sentences;
            }
            let all: Vec<usize> = (0..store.documents()).map(|d| store.sentences(d)).collect();
            assert_eq!(next, all);
        }
    }

    #[test]
    fn the_average_is_exact_when_every_section_is_sampled() {
        let store = Store::of_lengths(&[&[3, 4], &[11], &[5, 6, 7]]);
        let sections = sections(&store, 100).expect("small");
        assert_eq!(sections.average_tokens(&store, 64), 12.0);
        assert_eq!(sections.average_tokens(&store, 1), 7.0);
    }
}
