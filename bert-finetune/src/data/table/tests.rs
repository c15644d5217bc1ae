use std::fs;
use std::io::{Cursor, Write};

use flate2::{Compression, write::GzEncoder};

use super::*;

fn read(format: TableFormat, text: impl AsRef<[u8]>) -> Result<Rows> {
    let input = Cursor::new(text.as_ref().to_vec());
    Rows::from_reader(Path::new("f"), format, Box::new(input))
}

/// Each row as its line and values, each error as its message.
fn all(format: TableFormat, text: impl AsRef<[u8]>) -> Vec<String> {
    let rows = read(format, text).unwrap();
    rows.map(|row| match row {
        Ok(row) => {
            let values: Vec<_> = row
                .fields
                .0
                .iter()
                .map(|(_, value)| value.to_string())
                .collect();
            format!("{}: {}", row.line, values.join(" "))
        }
        Err(error) => error.to_string(),
    })
    .collect()
}

fn refusal(format: TableFormat, text: impl AsRef<[u8]>) -> String {
    read(format, text).err().unwrap().to_string()
}

#[test]
fn the_format_is_told_by_the_extension() {
    for (name, format) in [
        ("a.jsonl", Some(TableFormat::JsonLines)),
        ("a.NDJSON.gz", Some(TableFormat::JsonLines)),
        ("a.json", Some(TableFormat::JsonLines)),
        ("a.csv.gz", Some(TableFormat::Csv)),
        ("a.tsv", Some(TableFormat::Tsv)),
        ("a.txt", None),
        ("a.gz", None),
    ] {
        assert_eq!(TableFormat::of(Path::new(name)), format, "{name}");
    }
}

#[test]
fn json_lines_keep_types_and_order_and_blank_lines_are_skipped() {
    let text = "{\"b\": 1, \"a\": \"x\"}\r\n \t\n\n{\"c\": null, \"d\": [1.5]}";
    assert_eq!(
        all(TableFormat::JsonLines, text),
        ["1: 1 \"x\"", "4: null [1.5]"]
    );
    assert!(all(TableFormat::JsonLines, "").is_empty());
}

#[test]
fn a_line_that_is_no_json_object_is_an_error_and_reading_goes_on() {
    let deep = "[".repeat(100_000);
    let text = format!("{{\"a\": \n[1]\n{deep}\n{{}} {{}}\n{{\"a\": 1}}\n");
    let found = all(TableFormat::JsonLines, text);
    assert!(found[0].starts_with("f:1: invalid JSON: EOF while parsing a value at column "));
    assert_eq!(found[1], "f:2: the line is an array, not a JSON object");
    assert!(found[2].starts_with("f:3: invalid JSON: recursion limit"));
    assert_eq!(
        found[3],
        "f:4: invalid JSON: trailing characters at column 4"
    );
    assert_eq!(found[4], "5: 1");
    assert_eq!(found.len(), 5);
}

#[test]
fn rows_may_be_the_elements_of_one_array() {
    let found = all(
        TableFormat::JsonLines,
        " [{\"a\": 1},\n2,\n{\"a\": \"x\"}]\n",
    );
    assert_eq!(
        found,
        [
            "1: 1",
            "f:2: the element is a number, not an object",
            "3: \"x\""
        ]
    );
    let refused = refusal(TableFormat::JsonLines, "[{\"a\": 1}\n{\"a\": 2}]");
    assert!(refused.starts_with("f:2: invalid JSON: '{' where"));
}

#[test]
fn invalid_utf_8_is_an_error_of_its_row_alone() {
    let json = all(TableFormat::JsonLines, b"{\"a\": \"\xff\"}\n{\"a\": 1}\n");
    assert_eq!(json[0], "f:1: this is not UTF-8 after \"{\\\"a\\\": \\\"\"");
    assert_eq!(json[1], "2: 1");
    let csv = all(TableFormat::Csv, b"a,b\n\"\xff\n\",2\n3,4\n");
    assert_eq!(csv[0], "f:2: this is not UTF-8 after \"\"");
    assert_eq!(csv[1], "4: \"3\" \"4\"");
    let tsv = all(TableFormat::Tsv, b"a\tb\n\xc3\t2\n3\t4\n");
    assert_eq!(tsv[0], "f:2: this is not UTF-8 after \"\"");
    assert_eq!(tsv[1], "3: \"3\" \"4\"");
}

#[test]
fn csv_lines_are_right_after_quoted_line_ends_and_empty_lines() {
    let text = "\n\"text\",label\n\"one\ntwo, \"\"x\"\"\",1\n\n\nthree,2\n";
    let wanted = ["3: \"one\\ntwo, \\\"x\\\"\" \"1\"", "7: \"three\" \"2\""];
    assert_eq!(all(TableFormat::Csv, text), wanted);
    let windows = text.replace('\n', "\r\n");
    let wanted = ["3: \"one\\r\\ntwo, \\\"x\\\"\" \"1\"", "7: \"three\" \"2\""];
    assert_eq!(all(TableFormat::Csv, windows), wanted);
}

#[test]
fn a_ragged_row_is_an_error_and_reading_goes_on() {
    for (format, text) in [
        (TableFormat::Csv, "a,b\n1,2,3\n1\n4,5"),
        (TableFormat::Tsv, "a\tb\r\n1\t2\t3\r\n1\r\n4\t5\r\n"),
    ] {
        let wanted = [
            "f:2: the row has 3 cells and the header 2",
            "f:3: the row has 1 cells and the header 2",
            "4: \"4\" \"5\"",
        ];
        assert_eq!(all(format, text), wanted);
    }
    let mut rows = read(TableFormat::Tsv, "a\tb\n1\n").unwrap();
    let help = rows.next().unwrap().unwrap_err().help().unwrap();
    assert!(help.contains("tab"), "{help}");
}

#[test]
fn text_after_a_closing_quote_is_an_error_at_its_line_and_reading_goes_on() {
    let found = all(TableFormat::Csv, "a,b\n\"x\ny\"z,1\n3,4\n");
    assert_eq!(
        found[0],
        "f:3: a closing quote is followed by more text, in the row that begins at line 2"
    );
    assert_eq!(found[1], "4: \"3\" \"4\"");
}

#[test]
fn a_quote_that_is_never_closed_is_an_error_where_its_row_begins() {
    let found = all(TableFormat::Csv, "a,b\n1,2\n\"x,1\n3,4\n");
    assert_eq!(found[0], "2: \"1\" \"2\"");
    assert_eq!(
        found[1],
        "f:3: a quoted cell of this row is never closed: it runs on to line 4, the end of the file"
    );
    assert_eq!(found.len(), 2);
}

#[test]
fn a_csv_row_over_the_limit_is_an_error_before_it_is_all_read() {
    let text = format!("a,b\n\"{}", "long\n".repeat(100));
    let mut rows = read(TableFormat::Csv, text).unwrap();
    rows.lines.limit = 50;
    let error = rows.next().unwrap().unwrap_err();
    assert_eq!(
        error.to_string(),
        "f:2: the record here has more than 50 bytes"
    );
    assert_eq!(rows.lines.number(), 11);
}

#[test]
fn tsv_rows_are_lines_and_lone_quotes_are_text() {
    let text = "text\tlabel\n\"a \"\"b\"\"\"\t1\n\n\"lone\t2\n5\" pipe\t\"\n \t\n";
    let wanted = [
        r#"2: "a \"b\"" "1""#,
        r#"4: "\"lone" "2""#,
        r#"5: "5\" pipe" "\"""#,
        r#"6: " " """#,
    ];
    assert_eq!(all(TableFormat::Tsv, text), wanted);
}

#[test]
fn a_column_without_a_name_is_passed_over() {
    assert_eq!(all(TableFormat::Csv, ",a,\n0,x,y\n"), ["2: \"x\""]);
}

#[test]
fn a_header_must_be_there_and_name_no_two_columns_alike() {
    let csv = TableFormat::Csv;
    assert_eq!(refusal(csv, "\n\r\n"), "f: the file has no header row");
    assert_eq!(
        refusal(TableFormat::Tsv, ""),
        "f: the file has no header row"
    );
    assert_eq!(
        refusal(csv, "\na,b,a\n"),
        "f:2: two columns have the name \"a\""
    );
    assert_eq!(
        refusal(csv, "a,b\r1,2\r"),
        "f:1: the column name \"b\\r1\" has a line end"
    );
    assert_eq!(
        refusal(csv, b"\xff\xfea\0,\0"),
        "f:1: this is not UTF-8 after \"\""
    );
}

#[test]
fn a_header_alone_is_a_table_without_rows() {
    assert!(all(TableFormat::Csv, "a,b").is_empty());
}

#[test]
fn a_missing_field_lists_those_there_and_the_nearest() {
    let text = r#"{"sentence": "x", "lable": 3}"#;
    let row = read(TableFormat::JsonLines, text)
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let path = Path::new("f");
    assert_eq!(row.text("sentence"), Some("x"));
    assert_eq!(row.text("lable"), None);
    let error = row.missing(path, "label");
    assert_eq!(
        error.to_string(),
        r#"f:1: there is no "label" among "sentence", "lable""#
    );
    assert_eq!(error.help().unwrap(), "did you mean \"lable\"?");
    let error = row.missing(path, "lable");
    assert_eq!(error.to_string(), r#"f:1: "lable" is a number, not text"#);
    let error = row.missing(path, "premise");
    assert!(error.help().unwrap().starts_with("name one of those"));
}

#[test]
fn a_packed_file_with_a_byte_order_mark_reads_as_the_plain_one() {
    let dir = tempfile::tempdir().unwrap();
    let text = "\u{feff}a,b\r\n1,2\r\n";
    let plain = dir.path().join("t.csv");
    fs::write(&plain, text).unwrap();
    let packed = dir.path().join("t.csv.gz");
    let mut encoder = GzEncoder::new(fs::File::create(&packed).unwrap(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap();
    for path in [plain, packed] {
        let rows = rows(&path, TableFormat::of(&path).unwrap()).unwrap();
        let rows: Vec<Row> = rows.collect::<Result<_>>().unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!(
            (rows[0].line, rows[0].text("a"), rows[0].text("b")),
            (2, Some("1"), Some("2"))
        );
    }
}

#[test]
fn a_cut_gzip_file_gives_its_rows_then_one_io_error_then_ends() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.jsonl.gz");
    let mut encoder = GzEncoder::new(Vec::new(), Compression::none());
    for number in 0..20_000 {
        writeln!(encoder, "{{\"a\": {number}}}").unwrap();
    }
    let packed = encoder.finish().unwrap();
    fs::write(&path, &packed[..packed.len() / 2]).unwrap();
    let found: Vec<_> = rows(&path, TableFormat::JsonLines).unwrap().collect();
    let (last, before) = found.split_last().unwrap();
    assert!(matches!(last, Err(Error::Io { .. })));
    assert!(!before.is_empty() && before.iter().all(Result::is_ok));
}

#[test]
fn rows_can_be_read_on_another_thread() {
    fn sent(_: impl Send) {}
    sent(read(TableFormat::JsonLines, "").unwrap());
}

#[test]
fn rows_share_the_names_of_their_columns() {
    for (format, text) in [
        (TableFormat::Csv, "a,,b\n1,2,3\n4,5,6\n"),
        (TableFormat::Tsv, "a\t\tb\n1\t2\t3\n4\t5\t6\n"),
    ] {
        let rows: Vec<Row> = read(format, text).unwrap().map(Result::unwrap).collect();
        let names: Vec<&str> = rows[0].fields.names().collect();
        assert_eq!(names, ["a", "b"]);
        for (one, other) in rows[0].fields.0.iter().zip(&rows[1].fields.0) {
            assert!(Arc::ptr_eq(&one.0, &other.0));
        }
    }
}

#[test]
fn a_row_of_json_that_would_fill_the_memory_is_refused_with_its_line() {
    let zeros = "0,".repeat(5 << 20);
    let text = format!("{{\"a\": 1}}\n{{\"a\": 2, \"x\": [{zeros}0]}}\n{{\"a\": 3}}\n");
    let found = all(TableFormat::JsonLines, text);
    let refusal = "f:2: the record here has more than 8388608 bytes";
    assert_eq!(found, ["1: 1", refusal, "3: 3"]);
}
