//! Ids of white-space separated pieces, remembered.
//!
//! Everything BERT does to a text before WordPiece acts between white space: cleaning, spaces round ideographs, accents
//! (canonical decomposition never crosses a space), case (character by character), splitting at punctuation. So a text
//! may be cut at space, tab and line ends and its pieces encoded one by one. Only at those four: other control
//! characters that Unicode or ASCII calls white space are *removed* by the normalizer, joining what they separate.
//! Text follows Zipf's law, so nearly every piece has been seen before.

use std::cell::Cell;
use std::collections::HashMap;

/// Pieces per generation. Two generations of 32,768 hold the pieces of a few megabytes of English in about 6 MB.
const GENERATION_PIECES: usize = 1 << 15;
/// Longer pieces are rare and seldom repeat: unspaced scripts, URLs, encoded data.
const LONGEST_PIECE_BYTES: usize = 48;

/// The white space at which a text may be cut.
pub(super) fn is_cut(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

#[derive(Default)]
struct PieceCache {
    /// The tokenizer these ids are of.
    instance: u64,
    recent: HashMap<Box<str>, Box<[u32]>>,
    /// The former `recent`: what is used again moves back, the rest is forgotten at the next change.
    older: HashMap<Box<str>, Box<[u32]>>,
}

thread_local! {
    /// One per thread, so that no thread waits for another at the word "the".
    static CACHE: Cell<Option<Box<PieceCache>>> = const { Cell::new(None) };
}

/// Appends the ids of all pieces of a text; `encode_piece` is asked for those not remembered.
pub(super) fn encode(
    instance: u64,
    text: &str,
    ids: &mut Vec<u32>,
    encode_piece: impl Fn(&str) -> Vec<u32>,
) {
    // Taken out of its cell, so that whatever the library may do on this thread finds the cell free.
    let mut cache = CACHE
        .take()
        .filter(|cache| cache.instance == instance)
        .unwrap_or_else(|| {
            Box::new(PieceCache {
                instance,
                ..PieceCache::default()
            })
        });
    for piece in text.split(is_cut).filter(|piece| !piece.is_empty()) {
        if piece.len() > LONGEST_PIECE_BYTES {
            ids.extend(encode_piece(piece));
        } else if let Some(known) = cache.recent.get(piece) {
            ids.extend_from_slice(known);
        } else {
            let (key, known) = match cache.older.remove_entry(piece) {
                Some(entry) => entry,
                None => (piece.into(), encode_piece(piece).into()),
            };
            ids.extend_from_slice(&known);
            if cache.recent.len() == GENERATION_PIECES {
                cache.older = std::mem::take(&mut cache.recent);
            }
            cache.recent.insert(key, known);
        }
    }
    CACHE.set(Some(cache));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(piece: &str) -> Vec<u32> {
        vec![piece.len() as u32]
    }

    #[test]
    fn more_pieces_than_the_cache_holds_are_still_encoded_right() {
        let words: Vec<String> = (0..3 * GENERATION_PIECES)
            .map(|i| format!("w{}", i * 37))
            .collect();
        for round in 0..2 {
            for chunk in words.chunks(1001) {
                let mut ids = Vec::new();
                encode(u64::MAX, &chunk.join(" "), &mut ids, lengths);
                let expected: Vec<u32> = chunk.iter().map(|word| word.len() as u32).collect();
                assert_eq!(ids, expected, "round {round}");
            }
        }
        let cache = CACHE.take().unwrap();
        assert!(cache.recent.len() <= GENERATION_PIECES);
        assert!(cache.older.len() <= GENERATION_PIECES);
    }

    #[test]
    fn tokenizers_do_not_see_each_others_ids() {
        for (instance, id) in [(u64::MAX, 3), (u64::MAX - 1, 5), (u64::MAX, 3)] {
            let mut ids = Vec::new();
            encode(instance, "same same", &mut ids, |_| vec![id]);
            assert_eq!(ids, [id, id]);
        }
    }

    #[test]
    fn only_the_four_kinds_of_white_space_cut() {
        let mut ids = Vec::new();
        encode(u64::MAX, " a\tbb\r\nccc\u{b}d\u{a0}e  ", &mut ids, lengths);
        assert_eq!(ids, [1, 2, "ccc\u{b}d\u{a0}e".len() as u32]);
    }
}
