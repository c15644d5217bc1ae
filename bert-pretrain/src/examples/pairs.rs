//! Cuts a section into segments A and B, or into single texts.
//!
//! All three objectives take whole sentences until a target length is reached and go on where they stopped, so every
//! sentence has its turn in every epoch; what of a pair is longer than an example is cut away. The target is the full
//! length or, with `short_seq_probability`, uniform in 2..=maximum, drawn for each example. (google-research/bert draws
//! it once per document, which turns a long document into hundreds of tiny examples now and then; here the share holds
//! for examples.)

use std::ops::Range;

use rand::Rng;

use super::ExampleSettings;
use super::sections::Section;
use crate::config::Pairs;
use crate::corpus::DocumentStore;

/// The text of one example, without special tokens.
#[derive(Debug, Clone)]
pub(super) struct Segments<'t> {
    pub(super) a: &'t [u32],
    pub(super) b: Option<&'t [u32]>,
    /// 0: B follows A; 1: B is a stranger or the two are swapped.
    pub(super) label: Option<u8>,
    /// Of the document, in the true order.
    pub(super) first_sentence: usize,
    pub(super) random_document: Option<usize>,
    /// Tokens of the document's own sentences that had no room.
    pub(super) cut_tokens: usize,
}

/// Calls `emit` with every example's text, in the order of the document.
pub(super) fn for_each<S: DocumentStore>(
    settings: &ExampleSettings,
    store: &S,
    section: Section,
    generator: &mut impl Rng,
    emit: impl FnMut(Segments<'_>),
) {
    let text = Text::load(store, section);
    match settings.pairs {
        Pairs::Nsp => next_sentence(settings, store, &text, generator, emit),
        Pairs::Sop => sentence_order(settings, &text, generator, emit),
        Pairs::None => full_sentences(settings, &text, generator, emit),
    }
}

/// Next-sentence prediction: B is what follows A or, half the time, a run of sentences of another document, and then
/// the true sentences are put back and used next. A chunk of one sentence has nothing to follow, so its B is random:
/// the share of random ones is therefore somewhat above one half.
///
/// # Reference
/// Devlin et al. 2019, section 3.1, task 2.
fn next_sentence<S: DocumentStore>(
    settings: &ExampleSettings,
    store: &S,
    text: &Text,
    generator: &mut impl Rng,
    mut emit: impl FnMut(Segments<'_>),
) {
    let maximum = settings.max_text_tokens();
    let mut stranger = Vec::new();
    let mut first = 0;
    while first < text.sentences() {
        let target = target_tokens(settings, maximum, generator);
        let end = text.chunk_end(first, target, 1);
        let split = match end - first {
            1 => end,
            sentences => first + generator.random_range(1..sentences),
        };
        let a = text.tokens(first..split);
        let is_random = split == end || generator.random_bool(0.5);
        let mut random_document = None;
        let b = if is_random {
            stranger.clear();
            let wanted = target.saturating_sub(a.len());
            let own = text.section.document;
            random_document = Some(append_stranger(
                store,
                own,
                wanted,
                &mut stranger,
                generator,
            ));
            &stranger
        } else {
            text.tokens(split..end)
        };
        let own = |a: &[u32], b: &[u32]| a.len() + if is_random { 0 } else { b.len() };
        let whole = own(a, b);
        let (a, b) = truncate(a, b, maximum, generator);
        emit(Segments {
            a,
            b: Some(b),
            label: Some(u8::from(is_random)),
            first_sentence: text.section.first_sentence + first,
            random_document,
            cut_tokens: whole - own(a, b),
        });
        first = if is_random { split } else { end };
    }
}

/// Sentence-order prediction: A and B follow each other in the text, and half the time they are swapped.
///
/// A chunk has two sentences at least, whatever the target. A last sentence left alone is paired with the one before
/// it, which is then used twice; a document of one sentence has no order and gives no example. (ALBERT's code gives
/// both a B of another document, which is the easy question that this objective is to replace.)
///
/// # Reference
/// Lan et al. 2020 (ALBERT), section 3.1.
fn sentence_order(
    settings: &ExampleSettings,
    text: &Text,
    generator: &mut impl Rng,
    mut emit: impl FnMut(Segments<'_>),
) {
    let sentences = text.sentences();
    if sentences < 2 {
        return;
    }
    let maximum = settings.max_text_tokens();
    let mut next = 0;
    while next < sentences {
        let first = next.min(sentences - 2);
        let target = target_tokens(settings, maximum, generator);
        let end = text.chunk_end(first, target, 2);
        let split = first + generator.random_range(1..end - first);
        let (a, b) = truncate(
            text.tokens(first..split),
            text.tokens(split..end),
            maximum,
            generator,
        );
        let cut_tokens = text.tokens(first..end).len() - a.len() - b.len();
        let is_swapped = generator.random_bool(0.5);
        let (a, b) = if is_swapped { (b, a) } else { (a, b) };
        emit(Segments {
            a,
            b: Some(b),
            label: Some(u8::from(is_swapped)),
            first_sentence: text.section.first_sentence + first,
            random_document: None,
            cut_tokens,
        });
        next = end;
    }
}

/// No pairs: sentences packed as long as they fit whole, never over the end of a document.
///
/// This is RoBERTa's DOC-SENTENCES, which it found slightly better than running on into the next document; it uses
/// the latter only because its batches are padded, and ours are not. A sentence longer than an example is cut into
/// pieces that all are used.
///
/// # Reference
/// Liu et al. 2019 (RoBERTa), section 4.2.
fn full_sentences(
    settings: &ExampleSettings,
    text: &Text,
    generator: &mut impl Rng,
    mut emit: impl FnMut(Segments<'_>),
) {
    let maximum = settings.max_text_tokens();
    let starts = &text.starts;
    let mut token = 0;
    while token < text.ids.len() {
        let target = target_tokens(settings, maximum, generator);
        // The first sentence that begins after `token`: the one before it holds `token`.
        let after = starts.partition_point(|&start| start <= token);
        let fitting = starts[starts.partition_point(|&start| start <= token + target) - 1];
        let end = if fitting > token {
            fitting
        } else {
            starts[after].min(token + maximum)
        };
        emit(Segments {
            a: &text.ids[token..end],
            b: None,
            label: None,
            first_sentence: text.section.first_sentence + after - 1,
            random_document: None,
            cut_tokens: 0,
        });
        token = end;
    }
}

/// The length that an example is filled up to.
fn target_tokens(settings: &ExampleSettings, maximum: usize, generator: &mut impl Rng) -> usize {
    if generator.random_bool(settings.short_seq_probability) {
        generator.random_range(2..=maximum)
    } else {
        maximum
    }
}

/// Appends sentences of another document, from a random one on until there are `wanted` tokens or the document ends.
/// Every other document is as likely as every other.
fn append_stranger<S: DocumentStore>(
    store: &S,
    own: usize,
    wanted: usize,
    ids: &mut Vec<u32>,
    generator: &mut impl Rng,
) -> usize {
    // One draw among the others: the last document stands in for our own. (google-research/bert draws up to ten
    // times and may end up with the same document.)
    let last = store.documents() - 1;
    let drawn = generator.random_range(0..last);
    let document = if drawn == own { last } else { drawn };
    let sentences = store.sentences(document);
    for sentence in generator.random_range(0..sentences)..sentences {
        store.append_sentence(document, sentence, ids);
        if ids.len() >= wanted {
            break;
        }
    }
    document
}

/// Takes tokens from the longer segment, each from its front or its back at random, until both together fit.
/// Neither becomes empty if neither was and `maximum` is 2 or more.
fn truncate<'t>(
    mut a: &'t [u32],
    mut b: &'t [u32],
    maximum: usize,
    generator: &mut impl Rng,
) -> (&'t [u32], &'t [u32]) {
    while a.len() + b.len() > maximum {
        let longer = if a.len() > b.len() { &mut a } else { &mut b };
        let shorter_by_one = longer.len() - 1;
        *longer = if generator.random::<bool>() {
            &longer[1..]
        } else {
            &longer[..shorter_by_one]
        };
    }
    (a, b)
}

/// The tokens of a section and where its sentences begin.
struct Text {
    section: Section,
    ids: Vec<u32>,
    /// Of every sentence, and the end of the last.
    starts: Vec<usize>,
}

impl Text {
    fn load<S: DocumentStore>(store: &S, section: Section) -> Self {
        let mut ids = Vec::new();
        let mut starts = Vec::with_capacity(section.sentences + 1);
        starts.push(0);
        for sentence in section.first_sentence..section.first_sentence + section.sentences {
            store.append_sentence(section.document, sentence, &mut ids);
            starts.push(ids.len());
        }
        Self {
            section,
            ids,
            starts,
        }
    }

    fn sentences(&self) -> usize {
        self.starts.len() - 1
    }

    fn tokens(&self, sentences: Range<usize>) -> &[u32] {
        &self.ids[self.starts[sentences.start]..self.starts[sentences.end]]
    }

    /// The end of the shortest run of sentences from `first` on with `target` tokens and `least` sentences, or the
    /// end of the section.
    fn chunk_end(&self, first: usize, target: usize, least: usize) -> usize {
        let enough = self.starts[first] + target;
        self.starts
            .partition_point(|&start| start < enough)
            .max(first + least)
            .min(self.sentences())
    }
}

#[cfg(test)]
#[path = "pairs_tests.rs"]
mod tests;
