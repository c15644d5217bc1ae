//! Safetensors, pytorch_model.bin, an index of shards, config.json.
#![no_main]

#[path = "../../tests/hostile/entries.rs"]
#[allow(dead_code)]
mod entries;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    entries::weights(bytes);
});
