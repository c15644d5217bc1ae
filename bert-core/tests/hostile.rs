//! No file makes this crate panic, hang or eat the machine.

#[path = "hostile/entries.rs"]
mod entries;
#[path = "hostile/harness.rs"]
mod harness;

use std::path::Path;

use harness::withstands;

/// A file below `tests/golden`, after a byte that says what it is.
fn golden(kind: u8, name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    let mut bytes = vec![kind];
    bytes.extend(std::fs::read(path).unwrap());
    bytes
}

#[test]
fn configurations() {
    let model = golden(0, "models/gelu/config.json").split_off(1);
    let mut with_overrides = model.clone();
    with_overrides.extend(b"\0hidden_size=24\0a.b={\"d\": [1, 2]}\0a.b.d.1=3");
    withstands(entries::config, &[model, with_overrides]);
}

#[test]
fn tokenizers() {
    let seeds = [
        golden(0, "tokenizers/uncased/tokenizer.json"),
        golden(1, "tokenizers/uncased/vocab.txt"),
        golden(2, "tokenizers/uncased/tokenizer_config.json"),
    ];
    withstands(entries::tokenizer, &seeds);
}

#[test]
fn weights() {
    let seeds = [
        golden(0, "formats/f16/model.safetensors"),
        golden(1, "formats/bin-views/pytorch_model.bin"),
        golden(1, "formats/bin-old/pytorch_model.bin"),
        golden(2, "formats/sharded/model.safetensors.index.json"),
        golden(3, "formats/sharded/config.json"),
    ];
    withstands(entries::weights, &seeds);
}
