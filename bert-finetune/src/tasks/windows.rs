//! Texts that are longer than the model: windows that overlap, each part taken from the one that shows most around it.

use std::ops::Range;

/// A window over words: those it shows, and those it answers for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WordWindow {
    /// The words it shows.
    pub words: Range<usize>,
    /// The words whose tags it decides; every word is in one window's.
    pub decides: Range<usize>,
}

/// Windows of whole words over a sentence whose words have so many pieces each, none of them above `room`.
///
/// A window takes as many words as fit, and about half of them stand in the next one too; the middle of what two
/// windows share divides the words they decide.
pub fn word_windows(pieces: &[usize], room: usize) -> Vec<WordWindow> {
    let end_of = |start: usize| {
        let mut taken = 0;
        let fits = pieces[start..].iter().take_while(|&&pieces| {
            taken += pieces;
            taken <= room
        });
        start + fits.count().max(1)
    };
    let mut windows: Vec<WordWindow> = Vec::new();
    let (mut start, mut decided) = (0, 0);
    while decided < pieces.len() {
        let end = end_of(start);
        if end >= pieces.len() {
            windows.push(WordWindow {
                words: start..pieces.len(),
                decides: decided..pieces.len(),
            });
            break;
        }
        // The next window begins where the second half of this one does.
        let mut behind = 0;
        let shared = (start..end).rev().take_while(|&word| {
            behind += pieces[word];
            behind <= room / 2
        });
        let next = (end - shared.count()).max(start + 1);
        let middle = next.midpoint(end);
        // With long words two windows may share nearly everything: one of them is enough.
        if middle > decided {
            windows.push(WordWindow {
                words: start..end,
                decides: decided..middle,
            });
        }
        (start, decided) = (next, middle);
    }
    windows
}

/// Windows over a passage of so many tokens, as google-research/bert makes them: each of `room` tokens, each beginning
/// `stride` tokens after the one before (a step, not an overlap as `stride` of transformers is).
pub fn passage_windows(tokens: usize, room: usize, stride: usize) -> Vec<Range<usize>> {
    let mut windows = Vec::new();
    let mut start = 0;
    loop {
        let end = tokens.min(start + room);
        windows.push(start..end);
        if end == tokens {
            return windows;
        }
        start += stride.min(room);
    }
}

/// Whether a window is the one that shows most around a token of its: the least of what stands to the left and to the
/// right, and then the longer window; the first of equal ones. Windows begin, and end, one after the other.
pub fn has_most_context(windows: &[Range<usize>], window: usize, token: usize) -> bool {
    let context = |window: &Range<usize>| {
        let around = (token - window.start).min(window.end - 1 - token);
        around as f64 + 0.01 * window.len() as f64
    };
    let own = context(&windows[window]);
    let first = windows.partition_point(|other| other.end <= token);
    let showing = (first..).zip(&windows[first..]);
    let mut showing = showing.take_while(|(_, other)| other.start <= token);
    showing.all(|(index, other)| {
        let context = context(other);
        index == window || context < own || (context == own && index > window)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_that_fits_is_one_window() {
        let whole = WordWindow {
            words: 0..3,
            decides: 0..3,
        };
        assert_eq!(word_windows(&[1, 2, 3], 6), [whole]);
        assert!(word_windows(&[], 6).is_empty());
    }

    #[test]
    fn every_word_is_decided_once_by_a_window_that_shows_it_and_fits() {
        for (count, room) in [(7, 2), (100, 9), (61, 30), (500, 17), (31, 30)] {
            let most = room.min(7);
            let pieces: Vec<usize> = (0..count).map(|word| 1 + word * 5 % most).collect();
            let windows = word_windows(&pieces, room);
            let mut next = 0;
            for window in &windows {
                assert_eq!(window.decides.start, next);
                assert!(!window.decides.is_empty());
                next = window.decides.end;
                assert!(window.words.start <= window.decides.start);
                assert!(window.words.end >= window.decides.end);
                assert!(pieces[window.words.clone()].iter().sum::<usize>() <= room);
            }
            assert_eq!(next, count, "{windows:?}");
        }
    }

    #[test]
    fn a_decided_word_has_about_a_quarter_of_a_window_on_either_side() {
        let windows = word_windows(&[1; 100], 20);
        for window in &windows[1..windows.len() - 1] {
            assert!(window.decides.start - window.words.start >= 5);
            assert!(window.words.end - window.decides.end >= 5);
        }
    }

    #[test]
    fn a_stride_is_the_step_from_window_to_window() {
        let windows = passage_windows(11, 5, 3);
        assert_eq!(windows, [0..5, 3..8, 6..11]);
        let whole = |tokens| std::iter::once(0..tokens).collect::<Vec<_>>();
        assert_eq!(passage_windows(4, 5, 3), whole(4));
        assert_eq!(passage_windows(0, 5, 3), whole(0));
        // A stride beyond the room would leave tokens out.
        assert_eq!(passage_windows(7, 5, 9), [0..5, 5..7]);
    }

    #[test]
    fn each_token_has_most_context_in_one_window() {
        let windows = passage_windows(11, 5, 3);
        for token in 0..11 {
            let showing = (0..3).filter(|&w| windows[w].contains(&token));
            let most: Vec<usize> = showing
                .filter(|&w| has_most_context(&windows, w, token))
                .collect();
            assert_eq!(most.len(), 1, "token {token}");
        }
        // Token 4 stands at the end of the first window and second in the second.
        assert!(has_most_context(&windows, 1, 4));
    }
}
