use std::collections::HashSet;

use bert_core::data::random::generator;

use super::super::sections::sections;
use super::super::testing::{Store, config};
use super::*;

/// What [`for_each`] emits, owned.
#[derive(Debug, Clone, PartialEq)]
struct Made {
    document: usize,
    a: Vec<u32>,
    b: Option<Vec<u32>>,
    label: Option<u8>,
    first_sentence: usize,
    random_document: Option<usize>,
}

fn settings(pairs: Pairs, max_seq_length: usize, short_seq_probability: f64) -> ExampleSettings {
    let mut config = config(pairs);
    config.max_seq_length = max_seq_length;
    config.short_seq_probability = short_seq_probability;
    ExampleSettings::new(&config).expect("valid settings")
}

fn make(settings: &ExampleSettings, store: &Store, max_sentences: usize, seed: u64) -> Vec<Made> {
    let sections = sections(store, max_sentences).expect("small");
    let mut made = Vec::new();
    for index in 0..sections.len() {
        let section = sections.get(index);
        let mut random = generator(seed, "test", &[index as u64]);
        for_each(settings, store, section, &mut random, |segments| {
            made.push(Made {
                document: section.document,
                a: segments.a.to_vec(),
                b: segments.b.map(<[u32]>::to_vec),
                label: segments.label,
                first_sentence: segments.first_sentence,
                random_document: segments.random_document,
            });
        });
    }
    made
}

/// The document of every sentence of a numbered store.
fn documents_of_sentences(store: &Store) -> Vec<usize> {
    (0..store.documents())
        .flat_map(|document| std::iter::repeat_n(document, store.sentences(document)))
        .collect()
}

#[test]
fn examples_are_never_too_long_and_have_both_segments() {
    let store = Store::random(200, 1);
    for max_seq_length in [5, 6, 17, 61, 128] {
        for (pairs, special) in [(Pairs::Nsp, 3), (Pairs::Sop, 3), (Pairs::None, 2)] {
            let is_single = matches!(pairs, Pairs::None);
            let made = make(&settings(pairs, max_seq_length, 0.1), &store, 512, 1);
            assert!(made.len() > 100);
            let mut longest = 0;
            for example in &made {
                assert!(!example.a.is_empty());
                assert_eq!(example.b.is_none(), is_single);
                assert_eq!(example.label.is_none(), is_single);
                let b = example.b.as_ref().map_or(0, Vec::len);
                assert!(is_single || b > 0);
                longest = longest.max(example.a.len() + b + special);
            }
            assert_eq!(longest, max_seq_length);
        }
    }
}

#[test]
fn next_sentences_follow_or_come_from_another_document() {
    let store = Store::random(300, 2).numbered();
    let documents = documents_of_sentences(&store);
    // Long enough that nothing is truncated: at most 57 tokens are aimed at and a sentence has up to 30.
    let mut settings = settings(Pairs::Nsp, 300, 1.0);
    settings.short_seq_probability = 0.0;
    let settings = ExampleSettings {
        max_seq_length: 5_000,
        ..settings
    };
    for example in make(&settings, &store, 512, 2) {
        let b = example.b.expect("a pair");
        assert!(
            example
                .a
                .iter()
                .all(|&s| documents[s as usize] == example.document)
        );
        // Sentences are whole and in a row, in A, in B and, if B follows, from A to B.
        assert!(example.a.windows(2).all(|w| w[1] - w[0] <= 1));
        assert!(b.windows(2).all(|w| w[1] - w[0] <= 1));
        match example.label {
            Some(0) => {
                assert_eq!(example.random_document, None);
                assert_eq!(b[0], example.a[example.a.len() - 1] + 1);
                assert_eq!(documents[b[0] as usize], example.document);
            }
            Some(1) => {
                let other = example.random_document.expect("named");
                assert_ne!(other, example.document);
                assert!(b.iter().all(|&s| documents[s as usize] == other));
            }
            label => panic!("label {label:?}"),
        }
    }
}

#[test]
fn half_of_the_chunks_with_a_choice_get_a_random_next_sentence() {
    // 600 sentences of 7 tokens and length for 8 of them: only a chunk at the end can be a single sentence.
    let document = vec![7; 600];
    let store = Store::of_lengths(&[&document[..]; 21]);
    let made = make(&settings(Pairs::Nsp, 59, 0.0), &store, 1_000, 3);
    let random = made.iter().filter(|e| e.label == Some(1)).count();
    let share = random as f64 / made.len() as f64;
    // About 2100 examples: a standard deviation of 0.011.
    assert!((share - 0.5).abs() < 0.04, "{share} of {}", made.len());
}

#[test]
fn a_single_sentence_takes_a_random_next_one() {
    let store = Store::of_lengths(&[&[9], &[5, 6], &[7]]);
    let made = make(&settings(Pairs::Nsp, 61, 0.0), &store, 512, 4);
    for example in made.iter().filter(|e| e.document != 1) {
        assert_eq!(example.label, Some(1));
    }
}

#[test]
fn strangers_are_drawn_from_all_other_documents_alike() {
    let store = Store::of_lengths(&[&[4, 4, 4], &[4], &[4, 4], &[4, 4, 4, 4, 4]]);
    let mut counts = [[0u32; 4]; 4];
    for own in 0..4 {
        let mut random = generator(5, "test", &[own as u64]);
        for _ in 0..6_000 {
            let mut ids = Vec::new();
            counts[own][append_stranger(&store, own, 1, &mut ids, &mut random)] += 1;
            assert_eq!(ids.len(), 4);
        }
    }
    for (own, counts) in counts.iter().enumerate() {
        for (other, &count) in counts.iter().enumerate() {
            if own == other {
                assert_eq!(count, 0);
            } else {
                assert!((1_800..2_200).contains(&count), "{own} {other} {count}");
            }
        }
    }
}

#[test]
fn a_stranger_begins_anywhere_and_fills_what_is_left() {
    let store = Store::of_lengths(&[&[2], &[5, 5, 5, 5, 5, 5, 5]]).numbered();
    let mut random = generator(6, "test", &[]);
    let mut starts = HashSet::new();
    for _ in 0..200 {
        let mut ids = Vec::new();
        append_stranger(&store, 0, 11, &mut ids, &mut random);
        starts.insert(ids[0]);
        let left = 7 - (ids[0] as usize - 1);
        assert_eq!(ids.len(), 5 * left.min(3));
    }
    assert_eq!(starts.len(), 7);
}

#[test]
fn every_sentence_is_used_once_when_nothing_is_truncated() {
    // The put-back rule: of true text, everything appears, once, in order (but for the repeated one of `sop`).
    let store = Store::random(150, 3).numbered();
    for pairs in [Pairs::Nsp, Pairs::Sop, Pairs::None] {
        let made = make(&settings(pairs, 5_000, 1.0), &store, 512, 7);
        let is_swapped = |e: &Made| matches!(pairs, Pairs::Sop) && e.label == Some(1);
        let mut used: Vec<u32> = Vec::new();
        let mut previous = None;
        for example in &made {
            let mut text = example.a.clone();
            if example.random_document.is_none() {
                let b = example.b.clone().unwrap_or_default();
                text = if is_swapped(example) {
                    [b, text].concat()
                } else {
                    [text, b].concat()
                };
            }
            assert!(text.is_sorted());
            // A sentence that is used again (`sop`, at the end of a document) is counted once.
            text.retain(|&sentence| {
                !matches!(pairs, Pairs::Sop) || previous.is_none_or(|previous| sentence > previous)
            });
            previous = text.last().copied().or(previous);
            used.extend(text);
        }
        let mut expected = Vec::new();
        for document in 0..store.documents() {
            let sentences = store.sentences(document);
            if sentences > 1 || !matches!(pairs, Pairs::Sop) {
                (0..sentences).for_each(|s| store.append_sentence(document, s, &mut expected));
            }
        }
        assert_eq!(used, expected);
    }
}

#[test]
fn the_first_sentence_is_the_one_the_text_begins_with() {
    let store = Store::random(60, 4).numbered();
    let documents = documents_of_sentences(&store);
    let first_of = |document| {
        documents
            .iter()
            .position(|&d| d == document)
            .expect("there")
    };
    for pairs in [Pairs::Nsp, Pairs::Sop, Pairs::None] {
        // Sections of 16 sentences: they count from the beginning of the document too.
        for example in make(&settings(pairs, 5_000, 1.0), &store, 16, 8) {
            let swapped = matches!(pairs, Pairs::Sop) && example.label == Some(1);
            let begins = if swapped {
                example.b.as_ref().expect("a pair")[0]
            } else {
                example.a[0]
            };
            assert_eq!(
                begins as usize,
                first_of(example.document) + example.first_sentence
            );
        }
    }
}

#[test]
fn sentence_order_swaps_half_and_never_leaves_the_document() {
    let store = Store::random(400, 5).numbered();
    let documents = documents_of_sentences(&store);
    let made = make(&settings(Pairs::Sop, 61, 0.1), &store, 512, 9);
    let mut swapped = 0;
    for example in &made {
        let b = example.b.as_ref().expect("a pair");
        let (first, second) = match example.label {
            Some(0) => (&example.a, b),
            _ => (b, &example.a),
        };
        swapped += usize::from(example.label == Some(1));
        assert!(first[first.len() - 1] < second[0]);
        assert_eq!(documents[first[0] as usize], example.document);
        assert_eq!(
            documents[second[second.len() - 1] as usize],
            example.document
        );
        assert_eq!(example.random_document, None);
    }
    // Some 2000 examples: a standard deviation of 0.011.
    let share = swapped as f64 / made.len() as f64;
    assert!((share - 0.5).abs() < 0.04, "{share}");
    // Two sentences make an example, even if the first is longer than the target; one does not.
    let store = Store::of_lengths(&[&[90, 3], &[30]]);
    let made = make(&settings(Pairs::Sop, 61, 0.0), &store, 512, 9);
    assert_eq!(made.len(), 1);
    let lengths = HashSet::from([made[0].a.len(), made[0].b.as_ref().map_or(0, Vec::len)]);
    assert_eq!(lengths, HashSet::from([55, 3]));
}

#[test]
fn full_sentences_are_packed_to_the_length_and_long_ones_are_cut() {
    let store = Store::of_lengths(&[&[4, 3, 5, 9, 1, 25, 2], &[6]]);
    let made = make(&settings(Pairs::None, 12, 0.0), &store, 512, 1);
    let lengths: Vec<usize> = made.iter().map(|e| e.a.len()).collect();
    // 4+3 (5 more would be 12), 5, 9+1, then 25 as 10+10+5 with the 2 behind it; then the next document.
    assert_eq!(lengths, [7, 5, 10, 10, 10, 7, 6]);
    let first: Vec<usize> = made.iter().map(|e| e.first_sentence).collect();
    assert_eq!(first, [0, 2, 3, 5, 5, 5, 0]);
    assert_eq!(made[6].document, 1);
}

#[test]
fn short_targets_come_at_their_share_and_are_uniform() {
    let settings = settings(Pairs::Nsp, 61, 0.1);
    let mut random = generator(10, "test", &[]);
    let mut counts = [0u32; 59];
    for _ in 0..57_000 {
        counts[target_tokens(&settings, 58, &mut random)] += 1;
    }
    assert_eq!(counts[..2], [0, 0]);
    // 5700 short ones over 57 lengths: 100 each, with a standard deviation of 10.
    let short: u32 = counts[2..58].iter().sum();
    assert!((5_200..6_000).contains(&short), "{short}");
    assert!(counts[2..58].iter().all(|n| (50..150).contains(n)));
}

#[test]
fn truncation_takes_from_the_longer_side_front_and_back() {
    let a: Vec<u32> = (100..141).collect();
    let b: Vec<u32> = (200..213).collect();
    let mut random = generator(11, "test", &[]);
    let (mut fronts, mut backs) = (0, 0);
    for _ in 0..500 {
        // 54 tokens into 31: A gives 23 of its 41 and stays the longer one.
        let (cut, whole) = truncate(&a, &b, 31, &mut random);
        assert_eq!((cut.len(), whole), (18, &b[..]));
        assert!(cut.windows(2).all(|w| w[1] == w[0] + 1));
        fronts += cut[0] - 100;
        backs += 140 - cut[cut.len() - 1];
    }
    // 11 500 tokens, half from either end: a standard deviation of 54.
    assert_eq!(fronts + backs, 500 * 23);
    assert!((5_500..6_000).contains(&fronts), "{fronts}");
    let (a, b) = truncate(&b, &a, 20, &mut random);
    assert_eq!((a.len(), b.len()), (10, 10));
    let (a, b) = truncate(a, b, 2, &mut random);
    assert_eq!((a.len(), b.len()), (1, 1));
}
