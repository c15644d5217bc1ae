use std::collections::{HashMap, HashSet};

use super::super::testing::{FIRST_ORDINARY, SPECIAL, Store, config, vocabulary};
use super::*;
use crate::config::Pairs;

const BATCH_TOKENS: usize = 509;

fn stream_of(store: Store, config: &ExamplesConfig, seed: u64) -> BatchStream<Store> {
    let vocabulary = Arc::new(vocabulary());
    BatchStream::new(Arc::new(store), config, vocabulary, seed, BATCH_TOKENS).expect("a stream")
}

fn stream(seed: u64) -> BatchStream<Store> {
    stream_of(Store::random(700, 1), &config(Pairs::Nsp), seed)
}

/// The batches of the next whole epoch.
fn epoch(stream: &mut BatchStream<Store>) -> Vec<Vec<Example>> {
    let epoch = stream.cursor().epoch;
    let mut batches = Vec::new();
    while stream.cursor().epoch == epoch {
        batches.push(stream.next_batch().0);
    }
    batches
}

/// An order that does not depend on batches.
fn sorted(batches: &[Vec<Example>]) -> Vec<Example> {
    let mut examples: Vec<Example> = batches.concat();
    examples.sort_by_key(|e| {
        (
            e.origin.document,
            e.origin.first_sentence,
            e.input_ids.clone(),
        )
    });
    examples
}

#[test]
fn an_epoch_visits_every_document_and_each_epoch_is_drawn_afresh() {
    let mut stream = stream(1);
    assert!(stream.pools > 1);
    let first = epoch(&mut stream);
    let second = epoch(&mut stream);
    for batches in [&first, &second] {
        let documents: HashSet<usize> = batches
            .iter()
            .flatten()
            .map(|e| e.origin.document)
            .collect();
        assert_eq!(documents.len(), 700);
    }
    let masks = |batches: &[Vec<Example>]| -> HashSet<(usize, Vec<u32>)> {
        let key = |e: &Example| (e.origin.document, e.input_ids.clone());
        batches.iter().flatten().map(key).collect()
    };
    let (one, two) = (masks(&first), masks(&second));
    assert!(one.intersection(&two).count() * 50 < one.len());
    assert_eq!(first, epoch(&mut self::stream(1)));
    assert_ne!(first, epoch(&mut self::stream(2)));
}

#[test]
fn examples_do_not_depend_on_how_they_are_batched() {
    let other = BatchStream::new(
        Arc::new(Store::random(700, 1)),
        &config(Pairs::Nsp),
        Arc::new(vocabulary()),
        1,
        3 * BATCH_TOKENS,
    );
    let mut other = other.expect("a stream");
    assert_eq!(sorted(&epoch(&mut other)), sorted(&epoch(&mut stream(1))));
}

#[test]
fn batches_do_not_depend_on_the_number_of_threads() {
    let with_threads = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let pool = pool.build().expect("threads");
        pool.install(|| epoch(&mut stream(3)))
    };
    assert_eq!(with_threads(1), with_threads(5));
}

#[test]
fn resuming_from_any_cursor_gives_the_same_batches() {
    let mut whole = stream(4);
    let mut places = Vec::new();
    let mut batches = Vec::new();
    while whole.cursor().epoch < 2 {
        places.push(whole.cursor());
        let (batch, place) = whole.next_batch();
        assert_eq!(Some(&place), places.last());
        batches.push(batch);
    }
    assert!(batches.len() > 100);
    // Every place once, and some batches behind it; a stream that has been elsewhere serves as well as a new one.
    let mut resumed = stream(4);
    for start in (0..places.len()).rev().step_by(7) {
        let text = serde_json::to_string(&places[start]).expect("plain data");
        let place = serde_json::from_str(&text).expect("what was written");
        assert!(resumed.go_to(place));
        for (batch, place) in batches.iter().zip(&places).skip(start).take(9) {
            assert_eq!(resumed.next_batch(), (batch.clone(), *place));
        }
    }
    // The beginning, after a few batches of the same pool were handed out.
    let mut resumed = stream(4);
    let first = resumed.next_batch().0;
    assert!(resumed.go_to(Cursor::default()));
    assert_eq!(resumed.next_batch().0, first);
}

#[test]
fn from_a_place_of_another_corpus_the_next_epoch_follows() {
    let pools = stream(1).pools;
    for (pool, batch) in [(pools, 0), (0, 100_000), (u64::MAX, u64::MAX)] {
        let cursor = Cursor {
            epoch: 1,
            pool,
            batch,
        };
        let mut stream = stream(1);
        assert!(!stream.go_to(cursor));
        let (_, place) = stream.next_batch();
        assert_eq!((place.epoch, place.pool, place.batch), (2, 0, 0));
    }
}

#[test]
fn batches_keep_the_budget_and_have_similar_lengths() {
    let batches = epoch(&mut stream(5));
    let mut waste = 0;
    let mut tokens = 0;
    for batch in &batches {
        let lengths: Vec<usize> = batch.iter().map(|e| e.input_ids.len()).collect();
        let sum: usize = lengths.iter().sum();
        assert!(!batch.is_empty() && (sum <= BATCH_TOKENS || batch.len() == 1));
        tokens += sum;
        waste += lengths.iter().max().unwrap_or(&0) * batch.len() - sum;
    }
    assert!(waste * 50 < tokens, "{waste} of {tokens}");
    // Nearly full: pools of about 64 batches lose less than one of them.
    assert!(tokens as f64 / (batches.len() * BATCH_TOKENS) as f64 > 0.93);
    // Short batches are among the others, not all at one end.
    let short =
        |batches: &[Vec<Example>]| batches.iter().filter(|b| b[0].input_ids.len() < 50).count();
    let (front, back) = batches.split_at(batches.len() / 2);
    let (front, back) = (short(front) as f64, short(back) as f64);
    assert!(front / back > 0.5 && front / back < 2.0, "{front} {back}");
}

#[test]
fn what_is_cut_away_of_long_sentences_is_counted() {
    for (pairs, length, expected) in [
        (Pairs::Nsp, 5, 0.0..0.1),
        (Pairs::Nsp, 200, 0.7..0.9),
        (Pairs::Sop, 5, 0.0..0.1),
        (Pairs::Sop, 200, 0.8..0.9),
        (Pairs::None, 200, 0.0..f64::MIN_POSITIVE),
    ] {
        let mut config = config(pairs);
        config.short_seq_probability = 0.0;
        let documents = vec![vec![length; 40]; 30];
        let documents: Vec<&[usize]> = documents.iter().map(Vec::as_slice).collect();
        let stream = stream_of(Store::of_lengths(&documents), &config, 1);
        let share = stream.cut_share();
        assert!(expected.contains(&share), "{pairs:?} {length}: {share}");
    }
    // Every token of the text is in an example or counted as cut away.
    let store = Store::random(200, 3);
    let tokens = store.tokens();
    let mut stream = stream_of(store, &config(Pairs::Nsp), 3);
    let examples = epoch(&mut stream).concat();
    let own = |e: &Example| match e.origin.random_document {
        Some(_) => e.token_type_ids.iter().filter(|id| **id == 0).count() - 2,
        None => e.input_ids.len() - 3,
    };
    let counted = examples.iter().map(|e| own(e) + e.origin.cut_tokens);
    assert_eq!(counted.sum::<usize>(), tokens);
}

#[test]
fn a_batch_mixes_documents() {
    // Two books and nothing else but their sections; then many short documents.
    let mut short = stream(6);
    let batches = epoch(&mut short);
    let examples: usize = batches.iter().map(Vec::len).sum();
    let documents = |batch: &Vec<Example>| -> usize {
        let documents: HashSet<usize> = batch.iter().map(|e| e.origin.document).collect();
        documents.len()
    };
    let different: usize = batches.iter().map(documents).sum();
    assert!(different * 10 > examples * 8, "{different} of {examples}");
}

#[test]
fn labels_positions_and_shares_are_as_the_paper_says() {
    let mut stream = stream_of(Store::random(1500, 7), &config(Pairs::Nsp), 7);
    let (mut tokens, mut masked, mut hidden) = (0, 0, 0);
    let mut labels: HashMap<Option<u8>, usize> = HashMap::new();
    for example in epoch(&mut stream).concat() {
        let ids = &example.input_ids;
        assert!(ids.len() <= 61 && ids.len() == example.token_type_ids.len());
        assert_eq!((ids[0], ids[ids.len() - 1]), (SPECIAL.cls, SPECIAL.sep));
        let separator = ids.iter().position(|&id| id == SPECIAL.sep).expect("one");
        for (position, &kind) in example.token_type_ids.iter().enumerate() {
            assert_eq!(kind, u8::from(position > separator));
        }
        assert_eq!(ids.iter().filter(|&&id| id == SPECIAL.sep).count(), 2);
        assert!(example.masked_positions.is_sorted_by(|a, b| a < b));
        assert!(example.masked_labels.iter().all(|&id| id >= FIRST_ORDINARY));
        for &position in &example.masked_positions {
            let id = ids[position as usize];
            assert!(id >= FIRST_ORDINARY || id == SPECIAL.mask);
            hidden += usize::from(id == SPECIAL.mask);
        }
        let predicted = example.masked_positions.len();
        assert_eq!(
            predicted,
            ((ids.len() as f64 * 0.15).round() as usize).max(1)
        );
        tokens += ids.len();
        masked += predicted;
        *labels.entry(example.next_sentence_label).or_default() += 1;
    }
    assert!((masked as f64 / tokens as f64 - 0.15).abs() < 0.004);
    assert!((hidden as f64 / masked as f64 - 0.8).abs() < 0.01);
    assert_eq!(labels.len(), 2);
    let share = labels[&Some(1)] as f64 / (labels[&Some(0)] + labels[&Some(1)]) as f64;
    // Above one half by the chunks of a single sentence, which are few here.
    assert!((0.49..0.6).contains(&share), "{share}");
}

#[test]
fn without_pairs_there_is_one_segment_and_every_token_is_used_once() {
    let mut config = config(Pairs::None);
    config.masked_fraction = 1e-9; // one a sequence
    let store = Store::random(200, 8);
    let all = store.tokens();
    let mut stream = stream_of(store, &config, 8);
    let examples = epoch(&mut stream).concat();
    let text: usize = examples.iter().map(|e| e.input_ids.len() - 2).sum();
    assert_eq!(text, all);
    for example in &examples {
        assert!(example.token_type_ids.iter().all(|&kind| kind == 0));
        assert_eq!(example.next_sentence_label, None);
        assert_eq!(example.masked_positions.len(), 1);
    }
}

#[test]
fn pools_without_examples_are_passed_over() {
    // Of 400 documents one has two sentences: the pools of the others are empty for `sop`.
    let mut documents: Vec<&[usize]> = vec![&[300]; 400];
    documents[123] = &[20, 30];
    let mut stream = stream_of(Store::of_lengths(&documents), &config(Pairs::Sop), 9);
    assert!(stream.pools > 1);
    for epoch in 0..5 {
        let (batch, place) = stream.next_batch();
        assert_eq!((batch.len(), batch[0].origin.document), (1, 123));
        assert_eq!((place.epoch, place.batch), (epoch, 0));
    }
}

#[test]
fn a_stream_without_examples_is_refused() {
    let refused = |store: Store, pairs, batch_tokens| {
        let vocabulary = Arc::new(vocabulary());
        let stream = BatchStream::new(Arc::new(store), &config(pairs), vocabulary, 1, batch_tokens);
        let error = stream.err().expect("must be refused");
        assert!(error.help().is_some());
        error.to_string()
    };
    let mut unknown = Store::of_lengths(&[&[5, 6], &[7, 8]]);
    unknown.fill(0, SPECIAL.unk);
    unknown.fill(1, SPECIAL.unk);
    assert!(refused(unknown, Pairs::Nsp, 100).contains("unknown"));
    let store = || Store::of_lengths(&[&[5, 6]]);
    assert!(refused(store(), Pairs::Nsp, 100).contains("one document"));
    assert!(refused(store(), Pairs::None, 0).contains("batch_tokens"));
}

#[test]
fn a_stream_can_move_to_another_thread() {
    let mut stream = stream(10);
    let here = self::stream(10).next_batch().0;
    let there = std::thread::spawn(move || stream.next_batch().0).join();
    assert_eq!(there.expect("no panic"), here);
}
