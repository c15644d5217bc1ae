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
    let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/finetune");
    let read = |name: &str| std::fs::read(configs.join(name)).unwrap();
    let mut with_overrides = read("sentiment.json");
    with_overrides.extend(b"\0training.epochs=7\0training.class_weights={\"positive\": 2}\0seed=9");
    let seeds = [
        read("sentiment.json"),
        read("xquad.json"),
        read("fields.json"),
        with_overrides,
    ];
    withstands(entries::finetune_config, &seeds);
}

/// A file after a byte that says what it is.
fn seed(kind: u8, text: &str) -> Vec<u8> {
    [&[kind], text.as_bytes()].concat()
}

#[test]
fn tables() {
    let seeds = [
        seed(0, "text,label\r\nthe a,x\n\"b \"\"c\"\", a\nb\",y\nabc,x\n"),
        seed(1, "text\ttext_pair\tlabel\na\tb\tx\nthe\tc c\ty\n"),
        seed(
            2,
            "{\"text\": \"a b\", \"labels\": [\"x\", \"y\"]}\n{\"text\": \"c\", \"labels\": []}\n",
        ),
        seed(
            3,
            "{\"text\": \"a b\", \"label\": 1.5}\n\n{\"text\": \"c\", \"label\": -2}\n",
        ),
        seed(
            3,
            "[{\"text\": \"a b\", \"label\": 1.5},\n {\"text\": \"c\", \"label\": -2}]\n",
        ),
        seed(
            7,
            "{\"question\": \"a b\", \"choices\": [\"c\", \"a b\"], \"label\": 1}\n{\"question\": \"c\", \"choices\": [\"a\", \"b\"], \"label\": 0}\n",
        ),
    ];
    withstands(entries::labelled, &seeds);
}

#[test]
fn sentences_of_tagged_words() {
    let columns =
        "-DOCSTART- -X- O\n\nthe DT O\nab NN B-PER\nc NN I-PER\n\n# id = 1\na X B-LOC\nabc X O\n";
    let mut packed = flate2::write::GzEncoder::new(vec![0x84], flate2::Compression::default());
    packed.write_all(columns.as_bytes()).unwrap();
    let rows = "{\"tokens\": [\"a\", \"b\"], \"tags\": [\"O\", \"B-X\"]}\n{\"tokens\": [\"c\"], \"tags\": [\"O\"]}\n";
    withstands(
        entries::labelled,
        &[seed(4, columns), packed.finish().unwrap(), seed(5, rows)],
    );
}

#[test]
fn questions() {
    let file = r#"{"version": "v2.0", "data": [{"title": "t", "paragraphs": [
        {"context": "the a b c. a \u00e9 b c the a b c a b c a b c the b", "qas": [
            {"id": "1", "question": "the a?", "answers": [{"text": "b c", "answer_start": 6}]},
            {"id": 2, "question": "b", "answers": [], "is_impossible": true}]}]}]}"#;
    let rows = r#"[{"question": "the a?", "context": "the a b c. a b", "answers": {"text": ["b c"], "answer_start": [6]}}]"#;
    let row = &rows[1..rows.len() - 1];
    let lines = format!("{row}\n{row}\n");
    withstands(
        entries::labelled,
        &[seed(6, file), seed(6, rows), seed(6, &lines)],
    );
}
