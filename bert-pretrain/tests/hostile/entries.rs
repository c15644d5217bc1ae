//! Where this crate reads what strangers wrote. Each entry point takes any bytes, reads all it would read of a good
//! input, and returns whether this was one. The first byte says what the rest is.

#[path = "../../../bert-core/tests/hostile/input.rs"]
mod input;

use bert_core::config::BadRows;
use bert_pretrain::config::{CorpusConfig, Documents as DocumentEnd, PretrainConfig, Sentences};
use bert_pretrain::corpus::{DocumentStore, Documents, each_document};
use input::{empty, put};

/// A configuration file, and overrides after zero bytes.
pub(crate) fn pretrain_config(bytes: &[u8]) -> bool {
    input::configuration::<PretrainConfig>(bytes)
}

/// A corpus: lines or running text, plain or packed, or JSON Lines.
pub(crate) fn corpus(bytes: &[u8]) -> bool {
    let Some((&kind, content)) = bytes.split_first() else {
        return false;
    };
    let directory = empty();
    let name = ["a.txt", "a.txt.gz", "a.txt.zst", "a.jsonl"][usize::from(kind % 4)];
    let paths = vec![put(&directory, name, content).display().to_string()];
    let sentences = match kind & 4 {
        0 => Sentences::Lines,
        _ => Sentences::Split,
    };
    let documents = match kind & 8 {
        0 => DocumentEnd::BlankLine,
        _ => DocumentEnd::File,
    };
    let bad_lines = match kind & 0x40 {
        0 => BadRows::Refuse,
        _ => BadRows::Skip,
    };
    let config = match kind % 4 {
        3 => CorpusConfig::Jsonl {
            paths,
            field: "text".into(),
            sentences,
            bad_lines,
        },
        _ => CorpusConfig::Text {
            paths,
            sentences,
            documents,
            bad_lines,
        },
    };
    let mut documents = Vec::new();
    let read = each_document(&config, 1, &Default::default(), |document| {
        documents.push(document.sentences());
        true
    });
    let Ok(documents) = documents.into_iter().collect::<Result<Vec<_>, _>>() else {
        return false;
    };
    for sentence in documents.iter().flatten().flatten() {
        assert!(!sentence.trim().is_empty());
    }
    read.is_ok() && documents.iter().flatten().next().is_some()
}

/// The three files of a prepared corpus, each after its length in four bytes.
pub(crate) fn shards(bytes: &[u8]) -> bool {
    let directory = empty();
    let mut rest = bytes;
    for part in ["ids", "sentences", "documents"] {
        let (length, after) = rest.split_at(rest.len().min(4));
        let length = length
            .iter()
            .rev()
            .fold(0, |length, byte| length << 8 | usize::from(*byte));
        let (content, after) = after.split_at(length.min(after.len()));
        put(&directory, &format!("train.{part}"), content);
        rest = after;
    }
    let mut good = false;
    for vocab_size in [1000, 100_000] {
        let Ok(store) = Documents::open(&directory, "train", vocab_size) else {
            continue;
        };
        let mut ids = Vec::new();
        for document in 0..store.documents() {
            for sentence in 0..store.sentences(document) {
                assert!(store.sentence_tokens(document, sentence) > 0);
                store.append_sentence(document, sentence, &mut ids);
            }
        }
        assert_eq!(ids.len() as u64, store.tokens());
        assert!(ids.iter().all(|id| (*id as usize) < vocab_size));
        good = true;
    }
    good
}
