//! No file makes this crate panic, hang or eat the machine.

#[path = "hostile/entries.rs"]
mod entries;
#[path = "../../bert-core/tests/hostile/harness.rs"]
mod harness;

use std::io::Write;
use std::path::Path;

use harness::withstands;

#[test]
fn configurations() {
    let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/pretrain");
    let read = |name: &str| std::fs::read(configs.join(name)).unwrap();
    let mut with_overrides = read("quickstart.json");
    with_overrides
        .extend(b"\0training.steps=7000\0corpus={\"type\": \"text\", \"paths\": [\"a\"]}\0seed=9");
    let seeds = [
        read("quickstart.json"),
        read("base-512.json"),
        with_overrides,
    ];
    withstands(entries::pretrain_config, &seeds);
}

#[test]
fn corpora() {
    let text = "One sentence. Another, \u{201c}quoted\u{201d}.\r\nA line.\n\n \nA second document\nends here";
    let mut gz = flate2::write::GzEncoder::new(vec![1], flate2::Compression::default());
    gz.write_all(text.as_bytes()).unwrap();
    let mut zst = vec![2];
    zst.extend(zstd::encode_all(text.as_bytes(), 1).unwrap());
    let rows = "\u{3}{\"text\": \"One. Two.\"}\n\n{\"text\": \"\\u00e9\", \"n\": [1, {}]}\n";
    let mut seeds = vec![gz.finish().unwrap(), zst, rows.into()];
    for kind in [0, 4, 8, 12] {
        let mut seed = vec![kind];
        seed.extend(text.as_bytes());
        seeds.push(seed);
    }
    withstands(entries::corpus, &seeds);
}

#[test]
fn prepared_corpora() {
    let part = |bytes: Vec<u8>| [&(bytes.len() as u32).to_le_bytes()[..], &bytes].concat();
    let ends = |ends: &[u64]| part(ends.iter().flat_map(|end| end.to_le_bytes()).collect());
    let narrow = part(
        [5_u16, 6, 7, 8, 9]
            .iter()
            .flat_map(|id| id.to_le_bytes())
            .collect(),
    );
    let wide = part(
        [5_u32, 70_000, 7, 8, 9]
            .iter()
            .flat_map(|id| id.to_le_bytes())
            .collect(),
    );
    let rest = [ends(&[3, 4, 5]), ends(&[2, 3])].concat();
    withstands(
        entries::shards,
        &[[narrow, rest.clone()].concat(), [wide, rest].concat()],
    );
}
