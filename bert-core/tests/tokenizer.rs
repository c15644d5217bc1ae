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

/// A text or a pair, how many tokens are allowed, and ids, offsets and words of what is left.
type Cut<'a> = (
    &'a str,
    Option<&'a str>,
    usize,
    &'a [u32],
    &'a [(usize, usize)],
    Vec<Option<u32>>,
);

/// By transformers 5.24, `truncation_side="left"`.
#[test]
fn texts_are_cut_on_the_side_that_the_files_name() {
    let fox = "Unhappily the quick brown fox; cafe\u{301}, again!";
    let short = "the other one is unhappily short";
    let (sep, cls) = (None, None);
    let cases: [Cut; 2] = [
        (
            fox,
            None,
            8,
            &[2, 11, 34, 201, 192, 299, 5, 3],
            &[
                (0, 0),
                (36, 37),
                (38, 39),
                (39, 40),
                (40, 41),
                (41, 43),
                (43, 44),
                (0, 0),
            ],
            vec![
                cls,
                Some(7),
                Some(8),
                Some(8),
                Some(8),
                Some(8),
                Some(9),
                sep,
            ],
        ),
        (
            fox,
            Some(short),
            11,
            &[2, 201, 192, 299, 5, 3, 208, 340, 194, 609, 3],
            &[
                (0, 0),
                (39, 40),
                (40, 41),
                (41, 43),
                (43, 44),
                (0, 0),
                (22, 23),
                (23, 25),
                (25, 26),
                (27, 32),
                (0, 0),
            ],
            vec![
                cls,
                Some(8),
                Some(8),
                Some(8),
                Some(9),
                sep,
                Some(4),
                Some(4),
                Some(4),
                Some(5),
                sep,
            ],
        ),
    ];
    let directory = tempfile::tempdir().unwrap();
    let json = std::fs::read_to_string(golden("uncased").join("tokenizer.json")).unwrap();
    let json = json.replacen("\"direction\": \"Right\"", "\"direction\": \"Left\"", 1);
    std::fs::write(directory.path().join("tokenizer.json"), json).unwrap();
    let load = || BertTokenizer::load(directory.path()).unwrap();
    let check = |tokenizer: &BertTokenizer| {
        for (text, pair, most, ids, offsets, words) in &cases {
            let cut = tokenizer.encode_truncated(text, *pair, *most).unwrap();
            assert!(cut.truncated);
            assert_eq!(&cut.input_ids, ids);
            assert_eq!(&cut.offsets, offsets);
            assert_eq!(&cut.words, words);
            assert!(
                !tokenizer
                    .encode_truncated(text, *pair, 99)
                    .unwrap()
                    .truncated
            );
        }
    };
    check(&load());
    // It is kept, and what tokenizer_config.json says counts before tokenizer.json.
    let saved = tempfile::tempdir().unwrap();
    load().save(saved.path(), None).unwrap();
    check(&BertTokenizer::load(saved.path()).unwrap());
    std::fs::remove_file(saved.path().join("tokenizer.json")).unwrap();
    check(&BertTokenizer::load(saved.path()).unwrap());
    let config = directory.path().join("tokenizer_config.json");
    std::fs::write(&config, r#"{"truncation_side": "right"}"#).unwrap();
    let cut = load().encode_truncated(fox, None, 4).unwrap();
    assert_eq!(cut.words, [cls, Some(0), Some(0), sep]);
    std::fs::write(&config, r#"{"truncation_side": "top"}"#).unwrap();
    let error = BertTokenizer::load(directory.path()).unwrap_err();
    assert!(error.to_string().contains("truncation_side"), "{error}");
}

#[test]
fn ids_become_text_again() {
    let tokenizer = BertTokenizer::load(&golden("uncased")).unwrap();
    let ids = tokenizer.encode("Unhappily, the quick fox", None).unwrap();
    let ids = ids.input_ids;
    let text = "unhappily, the quick fox";
    assert_eq!(tokenizer.decode(&ids, true).unwrap(), text);
    let whole = format!("[CLS] {text} [SEP]");
    assert_eq!(tokenizer.decode(&ids, false).unwrap(), whole);
    let beyond = tokenizer.vocab_size() as u32;
    assert!(tokenizer.decode(&[beyond], false).is_err());
    for id in 0..beyond {
        assert_eq!(tokenizer.id(tokenizer.token(id).unwrap()), Some(id));
    }
    assert_eq!(tokenizer.id("##no such"), None);
    let shown = format!("{tokenizer:?}");
    let expected = format!("BertTokenizer {{ vocab_size: {beyond}, lowercase: true, .. }}");
    assert_eq!(shown, expected);
}

#[test]
fn special_tokens_beyond_the_five_stay_special() {
    let directory = tempfile::tempdir().unwrap();
    let vocabulary = golden("uncased").join("vocab.txt");
    std::fs::copy(vocabulary, directory.path().join("vocab.txt")).unwrap();
    let first = BertTokenizer::load(directory.path()).unwrap().vocab_size();
    let (second, third) = (first + 1, first + 2);
    let added = format!(
        r#"{{"added_tokens_decoder": {{"{first}": {{"content": "<f>", "special": true}},
            "{second}": {{"content": "<word>"}}, "{third}": {{"content": "<e>", "special": true}}}}}}"#
    );
    std::fs::write(directory.path().join("tokenizer_config.json"), added).unwrap();
    let tokenizer = BertTokenizer::load(directory.path()).unwrap();
    let saved = tempfile::tempdir().unwrap();
    tokenizer.save(saved.path(), None).unwrap();
    for name in ["tokenizer_config.json", "special_tokens_map.json"] {
        let text = std::fs::read_to_string(saved.path().join(name)).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let expected = serde_json::json!(["<f>", "<e>"]);
        assert_eq!(value["additional_special_tokens"], expected, "{name}");
    }
    let ids = [first as u32, third as u32, second as u32];
    assert_eq!(tokenizer.decode(&ids, true).unwrap(), "<word>");
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
