//! tokenizer.json, vocab.txt and tokenizer_config.json.
#![no_main]

#[path = "../../tests/hostile/entries.rs"]
#[allow(dead_code)]
mod entries;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    entries::tokenizer(bytes);
});
