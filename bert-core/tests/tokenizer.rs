//! Our encodings against transformers' fast BERT tokenizer (`golden/generate.py`): ids, token types, offsets in
//! characters, truncation; cased and uncased.

use std::path::{Path, PathBuf};

use bert_core::tokenizer::BertTokenizer;
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    tokenizer: String,
    text: String,
    pair: Option<String>,
    max_tokens: Option<usize>,
    input_ids: Vec<u32>,
    token_type_ids: Vec<u8>,
    offsets: Vec<(usize, usize)>,
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden/tokenizers")
        .join(name)
}

fn cases() -> Vec<Case> {
    let text = std::fs::read_to_string(golden("encodings.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn texts_and_pairs_are_encoded_as_by_transformers() {
    let cases = cases();
    assert!(cases.len() > 400);
    let unknown = cases
        .iter()
        .filter(|case| case.input_ids.contains(&1))
        .count();
    assert!(unknown > 50, "the fixture should have unknown words");
    // The uncased one comes as a tokenizer.json with padding and truncation built in, the cased one as a vocab.txt.
    let [cased, uncased] =
        ["cased", "uncased"].map(|kind| BertTokenizer::load(&golden(kind)).unwrap());
    assert!(!cased.lowercase() && uncased.lowercase());
    for case in &cases {
        let tokenizer = if case.tokenizer == "cased" {
            &cased
        } else {
            &uncased
        };
        let pair = case.pair.as_deref();
        let encoding = match case.max_tokens {
            None => tokenizer.encode(&case.text, pair),
            Some(most) => tokenizer.encode_truncated(&case.text, pair, most),
        }
        .unwrap();
        let what = format!(
            "{} {:?} {:?} {:?}",
            case.tokenizer, case.text, pair, case.max_tokens
        );
        assert_eq!(encoding.input_ids, case.input_ids, "{what}");
        assert_eq!(encoding.token_type_ids, case.token_type_ids, "{what}");
        assert_eq!(encoding.offsets, case.offsets, "{what}");
    }
}

#[test]
fn the_cache_of_words_changes_no_ids() {
    for kind in ["cased", "uncased"] {
        let tokenizer = BertTokenizer::load(&golden(kind)).unwrap();
        for case in cases() {
            if case.tokenizer != kind || case.pair.is_some() || case.max_tokens.is_some() {
                continue;
            }
            let mut ids = Vec::new();
            tokenizer.append_ids(&case.text, &mut ids).unwrap();
            let inside = &case.input_ids[1..case.input_ids.len() - 1];
            assert_eq!(ids, inside, "{kind} {:?}", case.text);
        }
    }
}

#[test]
fn a_saved_tokenizer_encodes_as_before() {
    for kind in ["cased", "uncased"] {
        let tokenizer = BertTokenizer::load(&golden(kind)).unwrap();
        let directory = tempfile::tempdir().unwrap();
        tokenizer.save(directory.path(), None).unwrap();
        let from_json = BertTokenizer::load(directory.path()).unwrap();
        std::fs::remove_file(directory.path().join("tokenizer.json")).unwrap();
        let from_vocabulary = BertTokenizer::load(directory.path()).unwrap();
        for case in cases().iter().filter(|case| case.tokenizer == kind) {
            let encode = |tokenizer: &BertTokenizer| {
                tokenizer.encode(&case.text, case.pair.as_deref()).unwrap()
            };
            assert_eq!(encode(&from_json), encode(&tokenizer));
            assert_eq!(encode(&from_vocabulary), encode(&tokenizer));
        }
    }
}

#[test]
fn what_tokenizer_config_says_about_case_counts() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["tokenizer.json", "vocab.txt"] {
        let from = golden("uncased").join(name);
        std::fs::copy(from, directory.path().join(name)).unwrap();
    }
    let config = directory.path().join("tokenizer_config.json");
    let lowercase = || BertTokenizer::load(directory.path()).unwrap().lowercase();
    assert!(lowercase());
    std::fs::write(&config, r#"{"do_lower_case": false}"#).unwrap();
    assert!(!lowercase());
    std::fs::remove_file(directory.path().join("tokenizer.json")).unwrap();
    assert!(!lowercase());
    std::fs::write(&config, r#"{"strip_accents": false}"#).unwrap();
    assert!(lowercase());
    let tokenizer = BertTokenizer::load(directory.path()).unwrap();
    tokenizer.save(directory.path(), None).unwrap();
    let saved = std::fs::read_to_string(&config).unwrap();
    assert!(saved.contains("\"strip_accents\": false"), "{saved}");
}

#[test]
fn tokens_added_beside_a_vocabulary_are_known() {
    let plain = BertTokenizer::load(&golden("uncased")).unwrap();
    let first = plain.vocab_size() as u32;
    let directory = tempfile::tempdir().unwrap();
    let put = |name: &str, content: String| {
        std::fs::write(directory.path().join(name), content).unwrap();
    };
    std::fs::copy(
        golden("uncased").join("vocab.txt"),
        directory.path().join("vocab.txt"),
    )
    .unwrap();
    put("added_tokens.json", format!(r#"{{"<ent>": {first}}}"#));
    let decoder = format!(
        r#"{{"added_tokens_decoder": {{"{}": {{"content": "qxz", "special": false, "lstrip": false}}}}}}"#,
        first + 1
    );
    put("tokenizer_config.json", decoder);
    let tokenizer = BertTokenizer::load(directory.path()).unwrap();
    let ids = |tokenizer: &BertTokenizer| {
        let mut ids = Vec::new();
        tokenizer.append_ids("qxz <ent>", &mut ids).unwrap();
        ids
    };
    assert_eq!(ids(&tokenizer), [first + 1, first]);
    // They stay where the tokenizer is written anew.
    tokenizer.save(directory.path(), None).unwrap();
    let again = BertTokenizer::load(directory.path()).unwrap();
    assert_eq!(ids(&again), ids(&tokenizer));

    std::fs::remove_file(directory.path().join("tokenizer.json")).unwrap();
    put("added_tokens.json", r#"{"<ent>": 7}"#.into());
    let error = BertTokenizer::load(directory.path()).err().unwrap();
    assert!(error.to_string().contains("cannot have id 7"), "{error}");
}

#[test]
fn too_few_tokens_for_the_special_ones_are_refused() {
    let tokenizer = BertTokenizer::load(&golden("cased")).unwrap();
    assert!(tokenizer.encode_truncated("a", None, 2).is_ok());
    assert!(tokenizer.encode_truncated("a", None, 1).is_err());
    assert!(tokenizer.encode_truncated("a", Some("b"), 2).is_err());
}

/// What is cut is cut before it is tokenized, and must be what is left after.
#[test]
fn a_cut_text_has_the_first_tokens_of_the_whole_one() {
    let parts = [
        "the ",
        "Zoë",
        "cafe\u{301} ",
        "日本",
        "語",
        "don't ",
        "[MASK]",
        "[SEP] ",
        "\u{0}",
        "\u{b}",
        "\u{85}",
        "\u{200b} ",
        "\u{301} ",
        "\u{901} ",
        "…",
        "🦆 ",
        "a\u{a0}b",
        "\u{9fef}",
        "xyzzyxyzzy",
        "\r\n",
        "(",
        "unhappily ",
        "\u{ad}",
        "≠ ",
    ];
    for kind in ["cased", "uncased"] {
        let tokenizer = BertTokenizer::load(&golden(kind)).unwrap();
        let mut state = 7_u64;
        let mut text = |length: u64| -> String {
            let next = || {
                state = state
                    .wrapping_mul(6364136223846793005)
                    .wrapping_add(1442695040888963407);
                parts[(state >> 33) as usize % parts.len()]
            };
            std::iter::repeat_with(next).take(length as usize).collect()
        };
        for round in 0..400 {
            let (first, second) = (text(round % 97), text(round * 31 % 89));
            let whole = tokenizer.encode(&first, None).unwrap();
            let whole_second = tokenizer.encode(&second, None).unwrap();
            let (a, b) = (whole.input_ids.len() - 2, whole_second.input_ids.len() - 2);
            for most in [2, 3, 6, 7, 13, 40] {
                let cut = tokenizer.encode_truncated(&first, None, most).unwrap();
                let room = a.min(most - 2);
                assert_eq!(cut.truncated, a > most - 2, "{first:?}");
                assert_eq!(
                    cut.input_ids[1..=room],
                    whole.input_ids[1..=room],
                    "{first:?}"
                );
                assert_eq!(cut.offsets[1..=room], whole.offsets[1..=room], "{first:?}");
                assert_eq!(cut.words[1..=room], whole.words[1..=room], "{first:?}");
                assert_eq!(cut.input_ids.len(), room + 2);

                let most = most + 1;
                let pair = tokenizer
                    .encode_truncated(&first, Some(&second), most)
                    .unwrap();
                assert_eq!(pair.truncated, a + b > most - 3);
                let kept = pair.token_type_ids.iter().filter(|id| **id == 0).count() - 2;
                let shorter = a.min(b).min((most - 3) / 2);
                let expected = match (a + b > most - 3, a > b) {
                    (false, _) => a,
                    (true, true) => most - 3 - shorter,
                    (true, false) => shorter,
                };
                assert_eq!(kept, expected, "{first:?} {second:?} {most}");
            }
        }
    }
}
