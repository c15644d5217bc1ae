use std::fs;
use std::io::{Cursor, Write};

use flate2::{Compression, write::GzEncoder};

use super::*;
use bert_core::files::open;

const LAST: Columns = Columns {
    word: 0,
    tag: None,
    tags_wanted: true,
};

const WORDS: Columns = Columns {
    word: 0,
    tag: None,
    tags_wanted: false,
};

fn read(columns: Columns, text: impl AsRef<[u8]>) -> Sentences {
    let input = Cursor::new(text.as_ref().to_vec());
    Sentences::from_reader(Path::new("f"), columns, Box::new(input)).unwrap()
}

fn shown(sentence: Result<Sentence>) -> String {
    match sentence {
        Ok(sentence) => format!(
            "{}: {} | {}",
            sentence.line,
            sentence.words.join(" "),
            sentence.tags.join(" ")
        ),
        Err(error) => error.to_string(),
    }
}

/// Each sentence as its line, words and tags, each error as its message.
fn all(columns: Columns, text: impl AsRef<[u8]>) -> Vec<String> {
    read(columns, text).map(shown).collect()
}

#[test]
fn blank_lines_and_document_starts_end_sentences() {
    let text = "-DOCSTART- -X- O O\n\nEU NNP B-NP B-ORG\nrejects VBZ B-VP O\n \t\n\n\
                Peter NNP B-NP B-PER\n-DOCSTART- -X- O O\nLast NNP B-NP O";
    let wanted = ["3: EU rejects | B-ORG O", "7: Peter | B-PER", "9: Last | O"];
    assert_eq!(all(LAST, text), wanted);
    assert_eq!(all(LAST, text.replace('\n', "\r\n")), wanted);
}

#[test]
fn an_input_without_words_has_no_sentences() {
    assert!(all(LAST, "").is_empty());
    assert!(all(LAST, "\n\n-DOCSTART- O\n\n").is_empty());
}

#[test]
fn a_line_with_a_tab_is_split_at_tabs_alone() {
    assert_eq!(all(LAST, "New York\tB-LOC\n"), ["1: New York | B-LOC"]);
    assert_eq!(all(LAST, "New   O \n"), ["1: New | O"]);
    assert_eq!(all(LAST, "a\tO \n"), ["1: a | O"]);
}

#[test]
fn the_columns_can_be_chosen() {
    let columns = Columns {
        word: 1,
        tag: Some(0),
        tags_wanted: true,
    };
    assert_eq!(all(columns, "O\tEU\tNNP\n"), ["1: EU | O"]);
}

#[test]
fn words_alone_are_enough_where_tags_are_not_wanted() {
    assert_eq!(
        all(WORDS, "EU\nrejects\n\nx\n"),
        ["1: EU rejects | ", "4: x | "]
    );
    assert_eq!(
        all(LAST, "EU\nrejects\n\nx\n"),
        [
            "f:1: column 1 has the words, and no other the tags",
            "f:4: column 1 has the words, and no other the tags"
        ]
    );
}

#[test]
fn comments_are_skipped_and_the_word_number_sign_is_not() {
    let text = "# newdoc\n# sent_id = 1\n# text = A # b\n1\tA\tX\n2\t#\tY\n";
    let columns = Columns { word: 1, ..LAST };
    assert_eq!(all(columns, text), ["4: A # | X Y"]);
    assert_eq!(all(LAST, "# O\n#1 O\n"), ["1: # #1 | O O"]);
}

#[test]
fn a_ragged_line_is_one_error_for_its_sentence_and_reading_goes_on() {
    let text = "a O\nb\nc O O\nd O\n\ne O\n\nf x O\n";
    let wanted = [
        "f:2: the line has 1 columns and the first word of the file 2",
        "6: e | O",
        "f:8: the line has 3 columns and the first word of the file 2",
    ];
    assert_eq!(all(LAST, text), wanted);
}

#[test]
fn a_column_that_is_not_there_or_is_empty_is_an_error() {
    let columns = Columns {
        tag: Some(4),
        ..LAST
    };
    assert_eq!(
        all(columns, "a O\n"),
        ["f:1: there is no tag in column 5: the line has 2"]
    );
    assert_eq!(
        all(LAST, "a\tO\n\tO\n\na\t\n"),
        [
            "f:2: the word in column 1 is empty",
            "f:4: the tag in column 2 is empty"
        ]
    );
}

#[test]
fn carriage_returns_alone_are_no_line_ends() {
    assert_eq!(
        all(LAST, "a O\rb O\r"),
        ["f:1: the line has a carriage return inside"]
    );
}

#[test]
fn invalid_utf_8_is_an_error_of_its_sentence_alone() {
    assert_eq!(
        all(LAST, b"a O\n\xff O\n\nb O\n"),
        ["f:2: this is not UTF-8 after \"\"", "4: b | O"]
    );
}

#[test]
fn a_sentence_over_the_limit_is_one_error_and_reading_goes_on() {
    let text = format!("{}\nb O\n", "a O\n".repeat(10));
    let mut sentences = read(LAST, &text);
    sentences.lines.limit = 20;
    let found: Vec<String> = sentences.map(shown).collect();
    assert_eq!(
        found,
        ["f:6: the record here has more than 20 bytes", "12: b | O"]
    );
    let text = format!("a {}\nb O\n\nc O\n", "x".repeat(30));
    let mut sentences = read(LAST, &text);
    sentences.lines.limit = 20;
    let found: Vec<String> = sentences.map(shown).collect();
    assert_eq!(
        found,
        ["f:1: the record here has more than 20 bytes", "4: c | O"]
    );
}

#[test]
fn a_packed_file_with_a_byte_order_mark_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.conll.gz");
    let mut encoder = GzEncoder::new(fs::File::create(&path).unwrap(), Compression::fast());
    encoder.write_all("\u{feff}é O\n".as_bytes()).unwrap();
    encoder.finish().unwrap();
    let found: Vec<String> = Sentences::from_reader(&path, LAST, open(&path).unwrap())
        .unwrap()
        .map(shown)
        .collect();
    assert_eq!(found, ["1: é | O"]);
}

#[test]
fn a_cut_gzip_file_is_an_io_error_and_not_a_shorter_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.conll.gz");
    let mut encoder = GzEncoder::new(Vec::new(), Compression::none());
    encoder
        .write_all("a O\n".repeat(60_000).as_bytes())
        .unwrap();
    let packed = encoder.finish().unwrap();
    fs::write(&path, &packed[..packed.len() / 2]).unwrap();
    let found: Vec<_> = Sentences::from_reader(&path, LAST, open(&path).unwrap())
        .unwrap()
        .collect();
    assert!(matches!(found[..], [Err(Error::Io { .. })]));
}

#[test]
fn sentences_can_be_read_on_another_thread() {
    fn sent(_: impl Send) {}
    sent(read(LAST, ""));
}

#[test]
fn columns_are_told_from_texts() {
    let looks = |text: &str| looks_like_columns(text.as_bytes());
    for columns in [
        "EU\nrejects\n.\n\nPeter\n",
        "EU NNP B-ORG\nrejects VBZ O\n",
        "EU NNP\nrejects VBZ\n\nPeter NNP\nsays VBZ\n",
        "-DOCSTART- -X- O\n\nEU B-ORG\n",
        "# text = EU rejects\nEU B-ORG\n",
        "",
    ] {
        assert!(looks(columns), "{columns}");
    }
    for texts in [
        "John Smith lives in Paris .\nMary Jones works in Rome today\n",
        "John Smith lives in Paris .\n\nMary Jones works in Rome today\n",
        "John lives in Paris.\nSo does Mary.\n",
        "\u{c9}mile rit.\n",
        "Paris\nRome\n\nOslo\n",
        "\u{4ed6}\u{5728}\u{4e0a}\u{6d77}\u{3002}\n\u{6211}\u{6765}\u{3002}\n\n\u{597d}\u{3002}\n",
        "index\tsentence\n0\tJohn lives in Paris.\n",
    ] {
        assert!(!looks(texts), "{texts}");
    }
}

#[test]
fn lines_of_other_columns_before_a_sentence_are_comments() {
    // As in GermEval 2014, MultiCoNER and CoNLL-2012; a word may be # too.
    for (text, words) in [
        ("#\thttp://a [b]\n1\tEU\tO\n#\tx\ty\n\n#\tc\n1\t#\tO\n", 3),
        (
            "# id 3a-1\tdomain=en\nEU _ _ B-X\n\n# id 3a-2\tdomain=en\n# _ _ O\n",
            2,
        ),
        (
            "#begin document (x); part 000\nEU x B-X\n\n#end document\n",
            1,
        ),
    ] {
        let sentences: Vec<Sentence> = read(LAST, text).map(Result::unwrap).collect();
        let count: usize = sentences.iter().map(|sentence| sentence.words.len()).sum();
        assert_eq!(count, words, "{text}: {sentences:?}");
    }
    let within = read(LAST, "EU O\n# is no comment here\n").next().unwrap();
    assert!(within.unwrap_err().to_string().contains("f:2"));
}
