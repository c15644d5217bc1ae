//! Corpora of text and JSON Lines, packed or not, and prepared ones.
#![no_main]

#[path = "../../../bert-pretrain/tests/hostile/entries.rs"]
#[allow(dead_code)]
mod entries;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    match bytes.split_first() {
        Some((255, content)) => entries::shards(content),
        _ => entries::corpus(bytes),
    };
});
