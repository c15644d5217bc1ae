//! Labelled data: CSV, TSV, JSON Lines, CoNLL, SQuAD.
#![no_main]

#[path = "../../../bert-finetune/tests/hostile/entries.rs"]
#[allow(dead_code)]
mod entries;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    entries::labelled(bytes);
});
