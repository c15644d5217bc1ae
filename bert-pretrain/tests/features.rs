//! `features` and `convert`, on models that transformers made (`bert-core/tests/golden`) and on one of our own.
#![cfg(feature = "ndarray")]

mod program;

use std::fs;
use std::path::{Path, PathBuf};

use bert_core::weights::{Checkpoint, write_safetensors};
use program::run;
use serde_json::{Value, json};

fn succeed(directory: &Path, arguments: &[&str]) -> String {
    let output = run(directory, arguments);
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {message}");
    String::from_utf8(output.stdout).unwrap()
}

/// The message of a command that must end with this code.
fn fail(directory: &Path, code: i32, arguments: &[&str]) -> String {
    let output = run(directory, arguments);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {message}");
    message
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../bert-core/tests/golden")
        .join(name)
}

/// A copy of a model that knows the first token type only.
fn one_token_type(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
    let config = fs::read_to_string(from.join("config.json")).unwrap();
    let config = config.replace("\"type_vocab_size\": 2", "\"type_vocab_size\": 1");
    fs::write(to.join("config.json"), config).unwrap();
    let weights = Checkpoint::open(from).unwrap();
    let shape = |name: &str| {
        let mut shape = weights.shape(name).unwrap().to_vec();
        if name.contains("token_type") {
            shape[0] = 1;
        }
        (name.to_string(), shape)
    };
    let layout: Vec<(String, Vec<usize>)> = weights.names().map(shape).collect();
    write_safetensors(&to.join("model.safetensors"), layout.clone(), |file| {
        for (name, shape) in &layout {
            let values = weights.read(name)?.unwrap();
            file.write(&values[..shape.iter().product()])?;
        }
        Ok(())
    })
    .unwrap();
}

fn rows(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn numbers(value: &Value) -> Vec<f32> {
    match value {
        Value::Array(items) => items.iter().flat_map(numbers).collect(),
        other => vec![other.as_f64().unwrap() as f32],
    }
}

fn assert_close(what: &str, ours: &[f32], theirs: &[f32]) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let scale = theirs
        .iter()
        .fold(0.0_f32, |most, value| most.max(value.abs()));
    for (ours, theirs) in ours.iter().zip(theirs) {
        assert!(
            (ours - theirs).abs() <= 1e-5 * scale,
            "{what}: {ours} is not {theirs}"
        );
    }
}

#[test]
fn what_a_mask_hides_is_not_there_and_keys_that_mean_nothing_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let model = golden("models/gelu").display().to_string();
    let padded =
        json!({"input_ids": [1, 5, 9, 0, 0], "attention_mask": [1, 1, 1, 0, 0], "textpair": 7});
    let plain = json!({"input_ids": [1, 5, 9], "token_type_ids": [0, 0, 0]});
    fs::write(root.join("in.jsonl"), format!("{padded}\n{plain}\n")).unwrap();
    let arguments = ["features", "--model", &model, "--input", "in.jsonl"];
    let output = run(
        root,
        &[
            &arguments[..],
            &["--output", "out.jsonl", "--pooling", "mean"],
        ]
        .concat(),
    );
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{message}");
    assert!(message.contains("not read: textpair"), "{message}");
    let vectors = rows(&root.join("out.jsonl"));
    assert_eq!(vectors[0], vectors[1]);
}

#[test]
fn features_of_ids_are_those_of_pytorch() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let expected =
        Checkpoint::open_safetensors(&golden("models/gelu/expected.safetensors")).unwrap();
    let expect = |name: &str| expected.read(name).unwrap().unwrap();
    let (ids, types) = (expect("input_ids"), expect("token_type_ids"));
    let lengths: Vec<usize> = expect("lengths")
        .iter()
        .map(|&length| length as usize)
        .collect();
    let whole = |values: &[f32]| -> Vec<u32> { values.iter().map(|&id| id as u32).collect() };
    let (mut start, mut lines) = (0, String::new());
    for length in &lengths {
        let tokens = start..start + length;
        let row = json!({
            "input_ids": whole(&ids[tokens.clone()]),
            "token_type_ids": whole(&types[tokens.clone()]),
        });
        lines += &format!("{row}\n");
        start = tokens.end;
    }
    fs::write(root.join("in.jsonl"), lines).unwrap();
    let model = golden("models/gelu").display().to_string();
    let features = |output: &str, extra: &[&str]| {
        let mut arguments = vec![
            "features", "--model", &model, "--input", "in.jsonl", "--output", output,
        ];
        arguments.extend(extra);
        succeed(root, &arguments)
    };

    // In batches of one sequence and of all: rows come in the order of the input.
    for batch_tokens in ["5", "4096"] {
        let heads = ["--heads", "mlm,nsp", "--batch-tokens", batch_tokens];
        features("out.safetensors", &heads);
        features("out.jsonl", &heads);
        let tensors = Checkpoint::open_safetensors(&root.join("out.safetensors")).unwrap();
        let lines = rows(&root.join("out.jsonl"));
        assert_eq!(lines.len(), lengths.len());
        let mut start = 0;
        for (row, length) in lengths.iter().enumerate() {
            let part =
                |name: &str, width: usize| expect(name)[start * width..][..length * width].to_vec();
            let nsp = expect("nsp_logits")[2 * row..][..2].to_vec();
            for (name, shape, theirs) in [
                ("hidden", vec![*length, 12], part("hidden.2", 12)),
                ("mlm_logits", vec![*length, 37], part("mlm_logits", 37)),
                ("nsp_logits", vec![2], nsp),
            ] {
                let key = format!("{row}.{name}");
                assert_eq!(tensors.shape(&key), Some(shape.as_slice()), "{key}");
                let ours = tensors.read(&key).unwrap().unwrap();
                assert_close(&key, &ours, &theirs);
                assert_eq!(numbers(&lines[row][name]), ours, "{key}");
            }
            start += length;
        }
    }

    // Other layers, and the ways to pool.
    for (layer, name) in [
        ("0", "hidden.0"),
        ("1", "hidden.1"),
        ("-2", "hidden.1"),
        ("-3", "hidden.0"),
    ] {
        features("layer.jsonl", &["--layer", layer]);
        let lines = rows(&root.join("layer.jsonl"));
        let ours: Vec<f32> = lines
            .iter()
            .flat_map(|row| numbers(&row["hidden"]))
            .collect();
        assert_close(name, &ours, &expect(name));
    }
    features("pooler.safetensors", &["--pooling", "pooler"]);
    features("cls.jsonl", &["--pooling", "cls", "--layer", "1"]);
    features("mean.jsonl", &["--pooling", "mean"]);
    features("unit.jsonl", &["--pooling", "mean", "--normalize"]);
    let pooler = Checkpoint::open_safetensors(&root.join("pooler.safetensors")).unwrap();
    let [cls, mean, unit] =
        ["cls", "mean", "unit"].map(|name| rows(&root.join(format!("{name}.jsonl"))));
    let mut start = 0;
    for (row, length) in lengths.iter().enumerate() {
        let ours = pooler.read(&format!("{row}.pooled")).unwrap().unwrap();
        assert_close("pooled", &ours, &expect("pooled")[12 * row..][..12]);
        assert_close(
            "cls",
            &numbers(&cls[row]["pooled"]),
            &expect("hidden.1")[12 * start..][..12],
        );
        let states = expect("hidden.2")[12 * start..][..12 * length].to_vec();
        let average: Vec<f32> = (0..12)
            .map(|i| states.iter().skip(i).step_by(12).sum::<f32>() / *length as f32)
            .collect();
        assert_close("mean", &numbers(&mean[row]["pooled"]), &average);
        let norm = average
            .iter()
            .map(|value| value * value)
            .sum::<f32>()
            .sqrt();
        let scaled: Vec<f32> = average.iter().map(|value| value / norm).collect();
        assert_close("unit", &numbers(&unit[row]["pooled"]), &scaled);
        start += length;
    }
}

#[test]
fn rows_that_cannot_be_are_refused_with_their_line() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let model = golden("models/gelu").display().to_string();
    let refuse = |code: i32, row: &str, extra: &[&str]| {
        fs::write(
            root.join("in.jsonl"),
            format!("{{\"input_ids\": [1]}}\n\n{row}\n"),
        )
        .unwrap();
        let mut arguments = vec![
            "features",
            "--model",
            &model,
            "--input",
            "in.jsonl",
            "--output",
            "out.jsonl",
        ];
        arguments.extend(extra);
        let message = fail(root, code, &arguments);
        assert!(!root.join("out.jsonl").exists());
        message
    };
    for (row, problem) in [
        (
            "{\"input_ids\": [1, 37]}",
            "id 37 is beyond the vocabulary of 37",
        ),
        ("{\"input_ids\": []}", "0 input_ids"),
        (
            "{\"input_ids\": [1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9]}",
            "18 input_ids",
        ),
        (
            "{\"input_ids\": [1, 2], \"token_type_ids\": [0]}",
            "2 input_ids and 1 token_type_ids",
        ),
        (
            "{\"input_ids\": [1], \"token_type_ids\": [2]}",
            "token type 2 is not below the model's 2",
        ),
        (
            "{\"input_ids\": [1], \"token_type_ids\": [300]}",
            "token type",
        ),
        ("{\"input_ids\": [-1]}", "integer"),
        (
            "{\"input_ids\": [1, 2], \"attention_mask\": [1]}",
            "differ in length",
        ),
        (
            "{\"input_ids\": [1, 2], \"attention_mask\": [0, 0]}",
            "0 input_ids",
        ),
        (
            "{\"text\": \"a\", \"attention_mask\": [1]}",
            "either a text or ids",
        ),
        (
            "{\"input_ids\": [1], \"text\": \"a\"}",
            "either a text or ids",
        ),
        ("{\"text_pair\": \"a\"}", "either a text or ids"),
        ("{}", "either a text or ids"),
        ("nonsense", "expected"),
    ] {
        let message = refuse(1, row, &[]);
        assert!(
            message.contains("in.jsonl:3") && message.contains(problem),
            "{message}"
        );
    }
    let good = "{\"input_ids\": [1]}";
    for (extra, problem) in [
        (
            vec!["--layer", "3"],
            "--layer 3 is not in this model of 2 layers",
        ),
        (vec!["--layer", "-4"], "--layer -4 is not"),
        (
            vec!["--layer", "1", "--pooling", "pooler"],
            "the pooler belongs to the last layer",
        ),
        (vec!["--normalize"], "nothing is pooled"),
        (vec!["--output", "out.txt"], ".jsonl or .safetensors"),
    ] {
        let extra: Vec<&str> = extra;
        if extra[0] == "--output" {
            let arguments = [
                "features", "--model", &model, "--input", "in.jsonl", "--output", "out.txt",
            ];
            assert!(fail(root, 2, &arguments).contains(problem));
        } else {
            let message = refuse(2, good, &extra);
            assert!(message.contains(problem), "{message}");
        }
    }
    // Parts that the model lacks.
    let encoder = golden("formats/encoder").display().to_string();
    for (extra, part) in [("mlm", "masked-LM head"), ("nsp", "next-sentence head")] {
        let message = fail(
            root,
            1,
            &[
                "features",
                "--model",
                &encoder,
                "--input",
                "in.jsonl",
                "--output",
                "out.jsonl",
                "--heads",
                extra,
            ],
        );
        assert!(message.contains(part), "{message}");
    }
    // A text needs a tokenizer; ids did not.
    let message = refuse(2, "{\"text\": \"a\"}", &[]);
    assert!(message.contains("holds no tokenizer"), "{message}");
}

const CONFIG: &str = r#"{
    "run_dir": "run", "cache_dir": "cache",
    "model": {"hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 20,
              "max_position_embeddings": 40},
    "tokenizer": {"type": "train", "vocab_size": 300},
    "corpus": {"type": "sample", "documents": 60},
    "examples": {"max_seq_length": 33, "valid_fraction": 0.2},
    "training": {"steps": 2, "batch_tokens": 300}
}"#;

#[test]
fn texts_heads_and_the_other_commands_agree() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    fs::write(root.join("c.json"), CONFIG).unwrap();
    succeed(root, &["train", "c.json", "--dashboard", "none"]);
    let text = "The striker headed the [MASK] into the net.";
    let long = "The clover has been sweet. ".repeat(20);
    let input = [
        json!({"text": text}),
        json!({"text": text, "text_pair": "He was glad."}),
    ];
    let lines: String = input.iter().map(|row| format!("{row}\n")).collect();
    fs::write(root.join("in.jsonl"), lines).unwrap();
    let arguments = [
        "features",
        "--model",
        "run/model",
        "--input",
        "in.jsonl",
        "--output",
        "out.jsonl",
    ];
    succeed(root, &[&arguments[..], &["--heads", "mlm,nsp"]].concat());
    let features = rows(&root.join("out.jsonl"));

    // The scores of [MASK] are those of fill-mask.
    let filled = succeed(
        root,
        &[
            "fill-mask",
            "--model",
            "run/model",
            "--top-k",
            "3",
            "--json",
            text,
        ],
    );
    let filled: Value = serde_json::from_str(&filled).unwrap();
    let tokens = features[0]["mlm_logits"].as_array().unwrap();
    let of_mask = tokens.iter().map(numbers).find(|logits| {
        let exp: Vec<f64> = logits.iter().map(|&x| f64::from(x).exp()).collect();
        let sum: f64 = exp.iter().sum();
        let guesses = filled["predictions"].as_array().unwrap();
        guesses.iter().all(|guess| {
            let id = guess["id"].as_u64().unwrap() as usize;
            (exp[id] / sum - guess["probability"].as_f64().unwrap()).abs() < 1e-6
        })
    });
    assert!(of_mask.is_some());
    let next = succeed(
        root,
        &[
            "next-sentence",
            "--model",
            "run/model",
            "--json",
            text,
            "He was glad.",
        ],
    );
    let next: Value = serde_json::from_str(&next).unwrap();
    assert_close(
        "nsp",
        &numbers(&features[1]["nsp_logits"]),
        &numbers(&next["logits"]),
    );

    // A text that is too long is refused, or cut where that is asked for.
    fs::write(
        root.join("in.jsonl"),
        format!("{}\n", json!({"text": long})),
    )
    .unwrap();
    let message = fail(root, 1, &arguments);
    assert!(
        message.contains("in.jsonl:1") && message.contains("--truncate"),
        "{message}"
    );
    let report = succeed(root, &[&arguments[..], &["--truncate", "--json"]].concat());
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(
        (&report["truncated"], &report["tokens"]),
        (&json!(1), &json!(40))
    );

    // A model that has seen one token type only cannot take a pair.
    one_token_type(&root.join("run/model"), &root.join("one-type"));
    let message = fail(root, 2, &["next-sentence", "--model", "one-type", "a", "b"]);
    assert!(message.contains("one token type only"), "{message}");

    // The tokenizer must fit the weights.
    let from_encoder = golden("formats/encoder").display().to_string();
    succeed(
        root,
        &["convert", "--model", &from_encoder, "--output", "encoder"],
    );
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        fs::copy(
            root.join("run/model").join(name),
            root.join("encoder").join(name),
        )
        .unwrap();
    }
    let set = |value: &str| ["--set".to_string(), value.to_string()];
    let go_on = [
        set("run_dir=on"),
        set("model={\"path\":\"encoder\"}"),
        set("tokenizer={\"type\":\"load\",\"path\":\"run/model\"}"),
        set("examples.max_seq_length=17"),
    ]
    .concat();
    let go_on: Vec<&str> = go_on.iter().map(String::as_str).collect();
    let message = fail(
        root,
        2,
        &[&["train", "c.json", "--dashboard", "none"], &go_on[..]].concat(),
    );
    assert!(
        message.contains("the tokenizer has 300 tokens, the model 37 word embeddings"),
        "{message}"
    );
}

#[test]
fn training_goes_on_from_an_encoder_and_says_what_it_lacks() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    fs::write(root.join("c.json"), CONFIG).unwrap();
    succeed(root, &["train", "c.json", "--dashboard", "none"]);
    // Our own model without its heads.
    let model = Checkpoint::open(&root.join("run/model")).unwrap();
    let encoder = root.join("encoder");
    fs::create_dir(&encoder).unwrap();
    for name in ["config.json", "tokenizer.json", "tokenizer_config.json"] {
        fs::copy(root.join("run/model").join(name), encoder.join(name)).unwrap();
    }
    let names: Vec<String> = model
        .names()
        .filter(|name| name.starts_with("bert."))
        .map(String::from)
        .collect();
    let layout = names
        .iter()
        .map(|name| (name.clone(), model.shape(name).unwrap().to_vec()));
    bert_core::weights::write_safetensors(
        &encoder.join("model.safetensors"),
        layout.collect(),
        |writer| {
            names
                .iter()
                .try_for_each(|name| writer.write(&model.read(name)?.unwrap()))
        },
    )
    .unwrap();
    let arguments = [
        "train",
        "c.json",
        "--dashboard",
        "none",
        "--set",
        "run_dir=on",
        "--set",
        "model={\"path\":\"encoder\"}",
        "--set",
        "tokenizer={\"type\":\"load\",\"path\":\"encoder\"}",
    ];
    let output = run(root, &arguments);
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{message}");
    for part in ["masked-LM head", "next-sentence head"] {
        assert!(message.contains(&format!("the {part}")), "{message}");
    }
    assert!(root.join("on/model/model.safetensors").is_file());
}

#[test]
fn a_converted_model_has_the_same_tensors_and_what_was_absent_stays_absent() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let reference = Checkpoint::open(&golden("models/gelu")).unwrap();
    for (form, architecture, tensors) in [
        ("bin-old", "BertForPreTraining", 46),
        ("sharded", "BertForPreTraining", 46),
        ("masked-lm", "BertForMaskedLM", 42),
        ("encoder", "BertModel", 39),
    ] {
        let model = golden("formats").join(form).display().to_string();
        let report = succeed(
            root,
            &[
                "convert",
                "--model",
                &model,
                "--output",
                form,
                "--json",
                "--backend",
                "ndarray",
            ],
        );
        let report: Value = serde_json::from_str(&report).unwrap();
        assert_eq!(report["architecture"], architecture);
        let config = fs::read_to_string(root.join(form).join("config.json")).unwrap();
        let config: Value = serde_json::from_str(&config).unwrap();
        assert_eq!(config["architectures"], json!([architecture]));
        let converted = Checkpoint::open(&root.join(form)).unwrap();
        assert_eq!(converted.names().count(), tensors, "{form}");
        for name in converted.names() {
            assert_eq!(
                converted.read(name).unwrap(),
                reference.read(name).unwrap(),
                "{form} {name}"
            );
        }
        let again = fail(root, 2, &["convert", "--model", &model, "--output", form]);
        assert!(again.contains("is there already"), "{again}");
    }
    let classifier = golden("formats/classifier").display().to_string();
    let message = fail(
        root,
        2,
        &["convert", "--model", &classifier, "--output", "x"],
    );
    assert!(message.contains("classifier.bias"), "{message}");
}

#[test]
fn a_row_that_is_not_utf_8_is_refused_with_its_line() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let rows = b"{\"input_ids\": [1]}\n\n{\"text\": \"\xff\"}\n";
    fs::write(root.join("in.jsonl"), rows).unwrap();
    let model = golden("models/gelu").display().to_string();
    let arguments = ["features", "--model", &model, "--input", "in.jsonl"];
    let message = fail(
        root,
        1,
        &[&arguments[..], &["--output", "out.jsonl"]].concat(),
    );
    assert!(
        message.contains("in.jsonl:3: this is not UTF-8"),
        "{message}"
    );

    let none = ["--output", "out.jsonl", "--batch-tokens", "0"];
    let message = fail(root, 2, &[&arguments[..], &none].concat());
    assert!(message.contains("--batch-tokens"), "{message}");
}

#[test]
fn rows_may_be_packed_and_begin_with_a_byte_order_mark() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let model = golden("models/gelu");
    let of = |name: &str, bytes: &[u8]| {
        fs::write(root.join(name), bytes).unwrap();
        let model = model.to_str().unwrap();
        let arguments = [
            "features", "--model", model, "--input", name, "--output", "o.jsonl",
        ];
        succeed(root, &arguments);
        fs::read(root.join("o.jsonl")).unwrap()
    };
    let plain = b"{\"input_ids\": [2, 5, 3]}\n";
    let expected = of("a.jsonl", plain);
    assert_eq!(
        of("b.jsonl", &[b"\xef\xbb\xbf", &plain[..]].concat()),
        expected
    );
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, plain).unwrap();
    assert_eq!(of("c.jsonl.gz", &packed.finish().unwrap()), expected);
}
