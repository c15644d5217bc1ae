//! The program as scripts see it: exit codes, messages, files, resuming, streams.
#![cfg(feature = "ndarray")]

mod program;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use program::{configure, model, rows, run, stderr};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::{Value, json};

const ROWS: &str = "label,text\nyes,the sun\nno,cold rain\nyes,warm milk\nno,it was late\n\
                    yes,we won\nno,he lost it all\n";

/// A directory with a model, `d.csv` and a configuration of a short training on it.
fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    model(root);
    std::fs::write(root.join("d.csv"), ROWS).unwrap();
    let data = json!({"train": "d.csv", "valid": "d.csv"});
    configure(
        root,
        json!({"type": "classification"}),
        data,
        json!({"epochs": 6}),
    );
    directory
}

fn train(root: &Path, more: &[&str]) -> Output {
    let mut arguments = vec!["train", "c.json", "--dashboard", "plain"];
    arguments.extend(more);
    run(root, &arguments)
}

fn refused(output: &Output, code: i32, parts: &[&str]) {
    let message = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{message}");
    let line = message.lines().last().unwrap();
    assert!(line.starts_with("error: "), "{message}");
    for part in parts {
        assert!(message.contains(part), "{message} lacks {part}");
    }
    assert!(!message.contains("panicked"), "{message}");
}

#[test]
fn a_resumed_run_ends_with_the_bits_of_one_that_went_straight_through() {
    let directory = directory();
    let root = directory.path();
    let steady = [
        "--set",
        "training.evaluate_every_epochs=2",
        "--set",
        "training.keep_checkpoints=9",
    ];
    let straight = train(root, &steady);
    assert!(straight.status.success(), "{}", stderr(&straight));
    let other = [&steady[..], &["--set", "run_dir=other"]].concat();
    assert!(train(root, &other).status.success());
    // As if it had been killed after its first checkpoint.
    let checkpoints = root.join("other/checkpoints");
    let mut steps: Vec<_> = std::fs::read_dir(&checkpoints)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    steps.sort();
    assert_eq!(steps.len(), 3);
    for later in &steps[1..] {
        std::fs::remove_dir_all(later).unwrap();
    }
    std::fs::remove_dir_all(root.join("other/model")).unwrap();
    let resumed = train(root, &[&other[..], &["--resume"]].concat());
    assert!(resumed.status.success(), "{}", stderr(&resumed));
    let weights =
        |run: &str| std::fs::read(root.join(run).join("model/model.safetensors")).unwrap();
    assert_eq!(weights("run"), weights("other"));
    refused(
        &train(root, &steady),
        2,
        &["already holds a run", "--resume"],
    );
}

#[test]
fn every_bad_row_is_named_with_its_line_before_training_and_may_be_skipped() {
    let directory = directory();
    let root = directory.path();
    let bad = format!("{ROWS}yes,\nno,one,two\nmaybe,well\n");
    std::fs::write(root.join("bad.csv"), bad).unwrap();
    let valid = ["--set", "data.valid=bad.csv"];
    let output = train(root, &valid);
    refused(
        &output,
        1,
        &[
            "bad.csv:8",
            "\"text\" is empty",
            "bad.csv:9",
            "2 more",
            "maybe",
        ],
    );
    assert!(!root.join("run/checkpoints").exists());

    let output = train(
        root,
        &[&valid[..], &["--set", "data.bad_rows=skip"]].concat(),
    );
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("3 bad rows left out"),
        "{}",
        stderr(&output)
    );

    let evaluate = ["evaluate", "--model", "run/model", "--data", "bad.csv"];
    refused(&run(root, &evaluate), 1, &["bad.csv:8"]);
    let output = run(root, &[&evaluate[..], &["--skip-bad-rows"]].concat());
    let metrics = rows(&output).remove(0);
    assert_eq!(
        (&metrics["rows"], &metrics["skipped_rows"]),
        (&json!(6), &json!(3))
    );
}

#[test]
fn what_is_asked_for_wrongly_is_said_with_what_to_do() {
    let directory = directory();
    let root = directory.path();
    let cases: [(&[&str], i32, &[&str]); 11] = [
        (
            &["--set", "task.text=txet"],
            1,
            &["d.csv:2", "\"txet\"", "text"],
        ),
        (&["--set", "task.type=token"], 2, &["task.type", "tokens"]),
        (
            &["--set", "training.epoch=3"],
            2,
            &["did you mean \"epochs\""],
        ),
        (
            &["--set", "model.path=nowhere"],
            2,
            &["nowhere is not a model directory"],
        ),
        (
            &["--set", "data.train=nowhere.csv"],
            2,
            &["nowhere.csv", "check the path"],
        ),
        (
            &["--set", "training.best_metric=f2"],
            2,
            &["training.best_metric", "f1_macro"],
        ),
        (
            &["--set", "training.max_seq_length=99"],
            2,
            &["40 positions"],
        ),
        (
            &[
                "--set",
                r#"task={"type": "pair", "text_pair": "text"}"#,
                "--set",
                "training.max_seq_length=4",
            ],
            2,
            &["training.max_seq_length: must be at least 5"],
        ),
        (
            &["--set", "training.class_weights={\"perhaps\": 2}"],
            2,
            &["\"perhaps\"", "no, yes"],
        ),
        (&["--set", "training.freeze_layers=5"], 2, &["2 layers"]),
        (
            &[
                "--set",
                "task={\"type\": \"regression\"}",
                "--set",
                "training.label_smoothing=0.1",
            ],
            2,
            &["label_smoothing", "no classes"],
        ),
    ];
    for (arguments, code, parts) in cases {
        refused(&train(root, arguments), code, parts);
    }
    let predict = ["predict", "--model", "base", "--input", "d.csv"];
    refused(
        &run(root, &predict),
        1,
        &["not fine-tuned", "BertForPreTraining"],
    );
}

#[test]
fn rows_come_back_in_order_from_files_and_one_by_one_from_the_standard_input() {
    let directory = directory();
    let root = directory.path();
    assert!(train(root, &[]).status.success());
    // Lengths that mix, so that batches do.
    let texts: Vec<String> = (0..50)
        .map(|i| "the sun ".repeat(1 + (i * 7) % 11))
        .collect();
    let lines: Vec<String> = (texts.iter().enumerate())
        .map(|(id, text)| json!({"id": id, "text": text}).to_string())
        .collect();
    std::fs::write(root.join("in.jsonl"), lines.join("\n")).unwrap();
    let arguments = ["predict", "--model", "run/model", "--input", "in.jsonl"];
    let arguments = [
        &arguments[..],
        &["--output", "out.jsonl", "--batch-tokens", "100"],
    ]
    .concat();
    let output = run(root, &arguments);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = std::fs::read_to_string(root.join("out.jsonl")).unwrap();
    let answers: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let ids: Vec<u64> = answers
        .iter()
        .map(|row| row["id"].as_u64().unwrap())
        .collect();
    assert_eq!(ids, (0..50).collect::<Vec<_>>());

    let mut program = Command::new(env!("CARGO_BIN_EXE_bert-finetune"))
        .current_dir(root)
        .args(["predict", "--model", "run/model", "--input", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = program.stdin.take().unwrap();
    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
    for (line, expected) in [
        (texts[3].clone(), Some(&answers[3])),
        (
            json!({"text": texts[8], "id": 8}).to_string(),
            Some(&answers[8]),
        ),
        (json!({"txt": "no text"}).to_string(), None),
        (texts[2].clone(), Some(&answers[2])),
    ] {
        // The answer comes before the next line is written.
        writeln!(input, "{line}").unwrap();
        let answer: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        match expected {
            Some(expected) => {
                assert_eq!(answer["label"], expected["label"]);
                let difference =
                    answer["logits"][0].as_f64().unwrap() - expected["logits"][0].as_f64().unwrap();
                assert!(difference.abs() < 1e-5);
            }
            None => assert!(
                answer["error"].as_str().unwrap().contains("text"),
                "{answer}"
            ),
        }
    }
    drop(input);
    assert!(program.wait().unwrap().success());
}

#[test]
fn frozen_layers_stay_and_the_head_and_the_layers_above_them_do_not() {
    let directory = directory();
    let root = directory.path();
    let output = train(root, &["--set", "training.freeze_layers=1"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let read = |path: &str, name: &str| {
        let bytes = std::fs::read(root.join(path).join("model.safetensors")).unwrap();
        let (start, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
        let info = header.info(name).unwrap();
        let (from, to) = info.data_offsets;
        bytes[8 + start + from..8 + start + to].to_vec()
    };
    let is_same = |name: &str| read("base", name) == read("run/model", name);
    assert!(is_same("bert.embeddings.word_embeddings.weight"));
    assert!(is_same("bert.encoder.layer.0.output.dense.weight"));
    assert!(!is_same("bert.encoder.layer.1.output.dense.weight"));
    assert!(!is_same("bert.pooler.dense.weight"));
}

#[test]
fn early_stopping_ends_a_run_that_gets_no_better_and_keeps_its_best_model() {
    let directory = directory();
    let root = directory.path();
    // No learning: the first evaluation stays the best.
    let settings = [
        "--set",
        "training.early_stopping_evaluations=2",
        "--set",
        "training.evaluate_every_epochs=1",
        "--set",
        "training.epochs=30",
        "--set",
        "optimizer.learning_rate=1e-30",
    ];
    let output = train(root, &settings);
    assert!(output.status.success(), "{}", stderr(&output));
    let metrics = std::fs::read_to_string(root.join("run/metrics.jsonl")).unwrap();
    let evaluations = metrics
        .lines()
        .filter(|line| line.contains("\"valid\""))
        .count();
    assert_eq!(evaluations, 3);
    let file = |of: &str| std::fs::read(root.join(of).join("model.safetensors")).unwrap();
    assert_eq!(file("run/model"), file("run/best"));
}

#[test]
fn ids_are_answered_and_where_the_right_answer_is_wanted_refused() {
    let directory = directory();
    let root = directory.path();
    let row = r#"{"input_ids": [2, 61, 3], "answers": {"text": [], "answer_start": []}}"#;
    std::fs::write(root.join("ids.jsonl"), row).unwrap();
    let task = "task={\"type\": \"question_answering\", \"max_query_tokens\": 9}";
    let settings = ["--set", task, "--set", "data.train=ids.jsonl"];
    refused(&train(root, &settings), 1, &["ids.jsonl:1", "right answer"]);
}

#[test]
fn a_part_of_the_training_rows_is_held_out_where_no_file_is_given() {
    let directory = directory();
    let root = directory.path();
    let settings = [
        "--set",
        "data={\"train\": \"d.csv\", \"valid_fraction\": 0.34}",
    ];
    let output = train(root, &settings);
    assert!(output.status.success(), "{}", stderr(&output));
    let message = stderr(&output);
    assert!(message.contains("train      4 rows"), "{message}");
    assert!(message.contains("valid      2 rows"), "{message}");
}

#[test]
fn a_batch_of_no_tokens_is_refused() {
    let directory = directory();
    let root = directory.path();
    for (command, file) in [("predict", "--input"), ("evaluate", "--data")] {
        let arguments = [
            command,
            "--model",
            "base",
            file,
            "d.csv",
            "--batch-tokens",
            "0",
        ];
        let output = run(root, &arguments);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains("--batch-tokens"));
    }
}

#[test]
fn a_column_without_repeated_values_is_no_label() {
    let directory = directory();
    let root = directory.path();
    let rows = (0..11_000).map(|row| format!("row {row},the sun\n"));
    std::fs::write(
        root.join("d.csv"),
        format!("label,text\n{}", rows.collect::<String>()),
    )
    .unwrap();
    let more = [
        "--set",
        "data={\"train\": \"d.csv\", \"valid_fraction\": 0}",
    ];
    refused(
        &train(root, &more),
        2,
        &["11000 different labels", "task.label"],
    );
}

fn predict(root: &Path, input: &str, more: &[&str]) -> Output {
    let arguments = ["predict", "--model", "run/model", "--input", input];
    run(root, &[&arguments[..], more].concat())
}

#[test]
fn rows_to_answer_need_no_label_and_may_be_passed_over() {
    let directory = directory();
    let root = directory.path();
    assert!(train(root, &[]).status.success());
    let test = "{\"text\": \"the sun\", \"label\": -1}\n{\"text\": \"\"}\n{\"text\": \"rain\"}\n";
    std::fs::write(root.join("test.jsonl"), test).unwrap();
    refused(&predict(root, "test.jsonl", &[]), 1, &["test.jsonl:2"]);
    let onto_itself = ["--skip-bad-rows", "--output", "./test.jsonl"];
    let problem = "--output is the input";
    refused(&predict(root, "test.jsonl", &onto_itself), 2, &[problem]);
    assert_eq!(
        std::fs::read_to_string(root.join("test.jsonl")).unwrap(),
        test
    );
    let answers = rows(&predict(root, "test.jsonl", &["--skip-bad-rows"]));
    let labelled: Vec<bool> = answers
        .iter()
        .map(|row| row.get("label").is_some())
        .collect();
    assert_eq!(labelled, [true, false, true]);
    assert!(
        answers[1]["error"]
            .as_str()
            .unwrap()
            .contains("test.jsonl:2")
    );
}

#[test]
fn classes_may_be_numbers_in_data_to_evaluate_on() {
    let directory = directory();
    let root = directory.path();
    assert!(train(root, &[]).status.success());
    let numbered = ROWS.replace("yes,", "1,").replace("no,", "0,");
    std::fs::write(root.join("n.csv"), numbered).unwrap();
    let evaluate = |data: &str| {
        let output = run(root, &["evaluate", "--model", "run/model", "--data", data]);
        assert!(stderr(&output).contains("labels     0 no, 1 yes"));
        rows(&output).remove(0)
    };
    assert_eq!(evaluate("n.csv"), evaluate("d.csv"));
    // In a training they are labels that its rows do not have.
    let data = "data={\"train\": \"d.csv\", \"valid\": \"n.csv\"}";
    let output = train(root, &["--set", "run_dir=other", "--set", data]);
    refused(&output, 1, &["n.csv:2", "the label \"1\""]);
}

#[test]
fn several_labels_and_tags_may_be_numbers_too() {
    let directory = directory();
    let root = directory.path();
    let evaluate = |data: &str| {
        let output = run(root, &["evaluate", "--model", "run/model", "--data", data]);
        assert!(output.status.success(), "{}", stderr(&output));
        rows(&output).remove(0)
    };
    let task = "task={\"type\": \"multi_label\", \"label\": \"label\"}";
    let more = ["--set", task, "--set", "training.epochs=30"];
    assert!(train(root, &more).status.success());
    let numbered = ROWS.replace("yes,", "1,").replace("no,", "0,");
    std::fs::write(root.join("n.csv"), numbered).unwrap();
    assert_eq!(evaluate("n.csv"), evaluate("d.csv"));
    assert_eq!(evaluate("n.csv")["subset_accuracy"], 1.0);
    let listed = ROWS
        .replace("yes,", "['yes'],")
        .replace("no,", r#""[""no""]","#);
    std::fs::write(root.join("l.csv"), listed).unwrap();
    assert_eq!(evaluate("l.csv"), evaluate("d.csv"));
    // Whether each label is one is not which ones are.
    let hot = "{\"text\": \"the sun\", \"label\": [0.0, 1.0]}\n";
    std::fs::write(root.join("hot.jsonl"), hot).unwrap();
    let refusal = run(
        root,
        &["evaluate", "--model", "run/model", "--data", "hot.jsonl"],
    );
    refused(&refusal, 1, &["hot.jsonl:1", "each once"]);
    // Nor are labels missing where the row that has them cannot be used.
    let row = "{\"text\": \"the sun\", \"label\": []}\n";
    std::fs::write(root.join("hot.jsonl"), row.to_string() + hot).unwrap();
    let data = r#"data={"train": "hot.jsonl", "valid_fraction": 0}"#;
    let more = ["--set", task, "--set", data, "--set", "run_dir=hot"];
    refused(&train(root, &more), 1, &["hot.jsonl:2", "each once"]);

    std::fs::remove_dir_all(root.join("run")).unwrap();
    // The name of a table, but no table.
    let tagged = "the\tO\nsun\tB-X\n\nwe\tO\nwon\tB-X\n";
    std::fs::write(root.join("d.tsv"), tagged).unwrap();
    let data = "data={\"train\": \"d.tsv\", \"valid\": \"d.tsv\"}";
    let task = "task={\"type\": \"tokens\"}";
    let more = ["--set", task, "--set", data, "--set", "training.epochs=60"];
    let output = train(root, &more);
    assert!(output.status.success(), "{}", stderr(&output));
    let numbered = tagged.replace("B-X", "1").replace('O', "0");
    std::fs::write(root.join("n.txt"), numbered).unwrap();
    assert_eq!(evaluate("n.txt"), evaluate("d.tsv"));
    assert_eq!(evaluate("n.txt")["entity_f1"], 1.0);
}

#[test]
fn labels_that_data_number_may_be_named() {
    let directory = directory();
    let root = directory.path();
    let numbered = ROWS.replace("yes,", "1,").replace("no,", "0,");
    std::fs::write(root.join("n.csv"), &numbered).unwrap();
    let named = "task.label_names=[\"no\", \"yes\"]";
    assert!(train(root, &[]).status.success());
    let data = "data={\"train\": \"n.csv\", \"valid\": \"n.csv\"}";
    let more = ["--set", data, "--set", named, "--set", "run_dir=other"];
    let output = train(root, &more);
    assert!(output.status.success(), "{}", stderr(&output));
    for file in ["model.safetensors", "config.json", "finetune.json"] {
        let of = |run: &str| std::fs::read(root.join(run).join("model").join(file)).unwrap();
        assert_eq!(of("run"), of("other"), "{file}");
    }
    // A name that is not given is a row's fault, one that no row has is not.
    let fewer = "task.label_names=[\"no\", \"perhaps\"]";
    let output = train(root, &["--set", fewer, "--set", "run_dir=a"]);
    refused(&output, 1, &["d.csv:", "the label \"yes\"", "no, perhaps"]);
    let more = "task.label_names=[\"no\", \"yes\", \"perhaps\"]";
    let output = train(root, &["--set", more, "--set", "run_dir=b"]);
    assert!(output.status.success(), "{}", stderr(&output));
    for wrong in ["[\"no\"]", "[\"no\", \"no\"]", "\"no\""] {
        let wrong = format!("task.label_names={wrong}");
        let output = train(root, &["--set", &wrong, "--set", "run_dir=c"]);
        refused(
            &output,
            2,
            &["task.label_names", "2 or more names, each once"],
        );
    }
    // Other names for the outputs of a model.
    let predicted = |names: &str| {
        let names = format!("label_names={names}");
        let arguments = [
            "predict",
            "--model",
            "run/model",
            "--input",
            "d.csv",
            "--json",
            "--set",
            &names,
        ];
        run(root, &arguments)
    };
    let label = rows(&predicted("[\"bad\", \"good\"]")).remove(0)["label"].clone();
    assert!(label == "bad" || label == "good", "{label}");
    refused(
        &predicted("[\"bad\", \"good\", \"neither\"]"),
        2,
        &["3 names", "2 outputs"],
    );

    // Tags, as data sets of the hub number them.
    let tagged = "{\"tokens\": [\"the\", \"sun\"], \"tags\": [0, 1]}\n";
    std::fs::write(root.join("t.jsonl"), tagged.repeat(3)).unwrap();
    let data = "data={\"train\": \"t.jsonl\", \"valid\": \"t.jsonl\"}";
    let task = "task={\"type\": \"tokens\", \"label_names\": [\"O\", \"B-X\", \"I-X\"]}";
    let more = ["--set", task, "--set", data, "--set", "run_dir=tags"];
    let output = train(
        root,
        &[&more[..], &["--set", "training.epochs=60"]].concat(),
    );
    assert!(output.status.success(), "{}", stderr(&output));
    let results = std::fs::read_to_string(root.join("tags/results.json")).unwrap();
    let results: Value = serde_json::from_str(&results).unwrap();
    assert_eq!(results["valid"]["entity_f1"], 1.0, "{results}");
}

#[test]
fn fewer_rows_may_be_trained_on() {
    let directory = directory();
    let root = directory.path();
    let output = train(root, &["--set", "data.max_train_rows=4"]);
    let message = stderr(&output);
    assert!(output.status.success(), "{message}");
    assert!(message.contains("train      4 rows"), "{message}");
    assert!(message.contains("valid      6 rows"), "{message}");
}

#[test]
fn a_head_with_the_same_labels_is_taken_over_in_its_own_order() {
    let directory = directory();
    let root = directory.path();
    assert!(train(root, &[]).status.success());
    let path = root.join("run/model/config.json");
    let mut config: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    config["id2label"] = json!({"0": "yes", "1": "no"});
    config["label2id"] = json!({"yes": 0, "no": 1});
    std::fs::write(&path, config.to_string()).unwrap();
    let more = ["--set", "run_dir=on", "--set", "model.path=run/model"];
    let output = train(root, &more);
    let message = stderr(&output);
    assert!(message.contains("its head is taken over"), "{message}");
    assert!(message.contains("labels     yes, no"), "{message}");

    // Outputs without names, of data that name classes by their numbers.
    let keys = config.as_object_mut().unwrap();
    keys.remove("id2label");
    keys.remove("label2id");
    std::fs::write(&path, config.to_string()).unwrap();
    let numbered = |yes: &str, no: &str| {
        let rows = ROWS.replace("yes,", yes).replace("no,", no);
        std::fs::write(root.join("numbers.csv"), rows).unwrap();
        let data = "data={\"train\": \"numbers.csv\", \"valid\": \"numbers.csv\"}";
        let more = ["--set", "model.path=run/model", "--set", data];
        let output = train(root, &[&more[..], &["--set", "run_dir=numbers"]].concat());
        let message = stderr(&output);
        assert!(output.status.success(), "{message}");
        message
    };
    let message = numbered("0,", "1,");
    assert!(message.contains("its head is taken over"), "{message}");
    assert!(message.contains("labels     0, 1"), "{message}");
    std::fs::remove_dir_all(root.join("numbers")).unwrap();
    let message = numbered("1,", "2,");
    assert!(message.contains("its head is new"), "{message}");
}

#[test]
fn what_cannot_choose_or_stands_twice_is_refused_before_training() {
    let directory = directory();
    let root = directory.path();
    let nowhere = "data={\"train\": \"d.csv\", \"valid\": \"nowhere.csv\"}";
    refused(
        &train(root, &["--set", nowhere]),
        2,
        &["data.valid: there is no nowhere.csv"],
    );
    let none = "data={\"train\": \"d.csv\", \"valid_fraction\": 0}";
    for choice in [
        "training.best_metric=accuracy",
        "training.early_stopping_evaluations=2",
    ] {
        let output = train(root, &["--set", none, "--set", choice]);
        refused(&output, 2, &["held-out rows", "data.valid_fraction"]);
    }
    refused(&train(root, &["--seeds", "1,2,1"]), 2, &["twice"]);
}

#[test]
fn a_tagger_takes_texts_as_well_as_columns() {
    let directory = directory();
    let root = directory.path();
    let tagged = "the O\nsun B-X\n\nwe O\nwon B-X\n";
    std::fs::write(root.join("d.txt"), tagged).unwrap();
    let more = [
        "--set",
        "task={\"type\": \"tokens\"}",
        "--set",
        "data={\"train\": \"d.txt\", \"valid\": \"d.txt\"}",
    ];
    assert!(train(root, &more).status.success());
    let words = |input: &str| -> Vec<usize> {
        let answers = rows(&predict(root, input, &[]));
        let counts = answers
            .iter()
            .map(|row| row["words"].as_array().unwrap().len());
        counts.collect()
    };
    assert_eq!(words("d.txt"), [2, 2]);
    std::fs::write(root.join("t.txt"), "the sun won\nwe won it\n").unwrap();
    assert_eq!(words("t.txt"), [3, 3]);
    // A name that says columns is believed: a ragged line is an error there, not a text.
    std::fs::write(root.join("r.conll"), "the O\nsun\n\nwe O\n").unwrap();
    refused(&predict(root, "r.conll", &[]), 1, &["r.conll:2", "columns"]);
    // JSON Lines under the name that `datasets` gives them.
    let lines = "{\"tokens\": [\"the\", \"sun\"], \"id\": 7}\n";
    std::fs::write(root.join("l.json"), lines).unwrap();
    assert_eq!(rows(&predict(root, "l.json", &[]))[0]["id"], 7);
    // One array of rows, as pandas writes them.
    std::fs::write(root.join("l.json"), format!("[\n{lines}]\n")).unwrap();
    assert_eq!(rows(&predict(root, "l.json", &[]))[0]["id"], 7);
    std::fs::write(root.join("l.json"), format!("[\n{lines}{lines}]\n")).unwrap();
    refused(
        &predict(root, "l.json", &[]),
        1,
        &["l.json:3", "one array of objects"],
    );
}

#[cfg(unix)]
#[test]
fn all_that_comes_through_a_pipe_is_tagged() {
    let directory = directory();
    let root = directory.path();
    std::fs::write(root.join("d.txt"), "the O\nsun B-X\n").unwrap();
    let data = "data={\"train\": \"d.txt\", \"valid_fraction\": 0}";
    let task = "task={\"type\": \"tokens\"}";
    let more = [
        "--set",
        task,
        "--set",
        data,
        "--set",
        "training.max_steps=1",
    ];
    assert!(train(root, &more).status.success());
    let mut program = Command::new(env!("CARGO_BIN_EXE_bert-finetune"))
        .current_dir(root)
        .args(["predict", "--model", "run/model", "--input", "/dev/stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // More than is looked at to tell columns from texts.
    let sentences = 8000;
    let mut input = program.stdin.take().unwrap();
    let writing = std::thread::spawn(move || {
        let text = "the sun won\n".repeat(sentences);
        input.write_all(text.as_bytes()).unwrap();
    });
    let output = program.wait_with_output().unwrap();
    writing.join().unwrap();
    assert_eq!(rows(&output).len(), sentences);
}

#[test]
fn where_no_row_can_be_used_nothing_is_trained() {
    let directory = directory();
    let root = directory.path();
    std::fs::write(root.join("other.csv"), "label,text\nmaybe,well\n").unwrap();
    let skip = [
        "--set",
        "data.bad_rows=skip",
        "--set",
        "data.valid=other.csv",
    ];
    let output = train(root, &skip);
    refused(&output, 1, &["other.csv", "no rows that can be used"]);
    assert!(!root.join("run/checkpoints").exists());
}

#[test]
fn each_seed_has_a_log_of_its_own() {
    let directory = directory();
    let root = directory.path();
    let output = train(root, &["--seeds", "1,2", "--json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let printed = rows(&output);
    let [first, second, summary] = printed.as_slice() else {
        panic!("{printed:?}")
    };
    assert_eq!((&first["seed"], &second["seed"]), (&json!(1), &json!(2)));
    assert_eq!(first["ending"], "done");
    assert_eq!(first["model"], "run/seed-1/model");
    assert_eq!(
        summary["valid"]["accuracy"]["values"],
        json!([first["valid"]["accuracy"], second["valid"]["accuracy"]])
    );
    for seed in [1, 2] {
        let log = root.join(format!("run/seed-{seed}/experiment.log"));
        let log = std::fs::read_to_string(log).unwrap();
        let checkpoints = log.lines().filter(|line| line.contains("checkpoint "));
        let own = format!("run/seed-{seed}/checkpoints");
        assert!(
            checkpoints.clone().count() > 0 && checkpoints.clone().all(|line| line.contains(&own)),
            "{log}"
        );
    }
}

/// Writes a model directory's classifier anew, with zeros in these shapes.
fn set_classifier(root: &Path, model: &str, weight: &[usize], bias: &[usize]) {
    let path = root.join(model).join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let zeros = |shape: &[usize]| vec![0; 4 * shape.iter().product::<usize>()];
    let (weight_bytes, bias_bytes) = (zeros(weight), zeros(bias));
    let view = |shape: &[usize], bytes| TensorView::new(Dtype::F32, shape.to_vec(), bytes).unwrap();
    let mut all = tensors.tensors();
    all.retain(|(name, _)| !name.starts_with("classifier."));
    all.push(("classifier.weight".into(), view(weight, &weight_bytes)));
    all.push(("classifier.bias".into(), view(bias, &bias_bytes)));
    std::fs::write(&path, safetensors::serialize(all, None).unwrap()).unwrap();
}

#[test]
fn a_classifier_that_is_no_classifier_is_refused_with_its_file() {
    let directory = directory();
    let root = directory.path();
    std::fs::write(root.join("texts.txt"), "the sun\n").unwrap();
    assert!(
        train(root, &["--set", "training.epochs=1"])
            .status
            .success()
    );
    let config_of = |architecture: &str, names: Option<Value>| {
        let path = root.join("run/model/config.json");
        let text = std::fs::read_to_string(&path).unwrap();
        let mut config: Value = serde_json::from_str(&text).unwrap();
        config["architectures"] = json!([architecture]);
        config["id2label"] = json!(names);
        std::fs::write(&path, config.to_string()).unwrap();
    };
    let predict = ["predict", "--model", "run/model", "--input", "texts.txt"];
    let file = "run/model/model.safetensors";
    let sequence = "BertForSequenceClassification";
    let huge = 1_000_000_000_000;
    // With the settings of a training, and as transformers saves a model.
    for own_settings in [true, false] {
        if !own_settings {
            std::fs::remove_file(root.join("run/model/finetune.json")).unwrap();
        }
        config_of(sequence, None);
        set_classifier(root, "run/model", &[2, 36], &[huge, 0]);
        refused(&run(root, &predict), 1, &[file, "classifier.bias"]);
        set_classifier(root, "run/model", &[huge, 0], &[huge, 0]);
        refused(&run(root, &predict), 1, &[file, "classifier.weight"]);
        set_classifier(root, "run/model", &[1, 36], &[1]);
        refused(&run(root, &predict), 2, &["at least 2"]);

        config_of("BertForTokenClassification", None);
        set_classifier(root, "run/model", &[0, 36], &[0]);
        refused(&run(root, &predict), 1, &[file, "classifier.weight"]);

        set_classifier(root, "run/model", &[3, 36], &[3]);
        config_of(sequence, Some(json!({"0": "no", "1": "yes"})));
        refused(&run(root, &predict), 1, &[file, "3 outputs", "names 2"]);

        config_of(sequence, None);
        let output = run(root, &predict);
        assert!(output.status.success(), "{}", stderr(&output));
        assert_eq!(
            rows(&output)[0]["probabilities"]["LABEL_2"].as_f64(),
            Some(1.0 / 3.0)
        );
    }
}

#[test]
fn the_only_row_of_a_label_may_be_held_out() {
    let directory = directory();
    let root = directory.path();
    let settings = [
        "--set",
        "data={\"train\": \"d.csv\", \"valid_fraction\": 0.34}",
        "--set",
        "training.max_steps=1",
    ];
    for row in 0..6 {
        let mut rows: Vec<&str> = ROWS.lines().collect();
        rows[row + 1] = "rare,a word";
        std::fs::write(root.join("d.csv"), rows.join("\n")).unwrap();
        let run_dir = format!("run_dir=run{row}");
        let output = train(root, &[&settings[..], &["--set", &run_dir]].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(
            stderr(&output).contains("no, rare, yes"),
            "{}",
            stderr(&output)
        );
    }
}

#[test]
fn a_faulty_test_file_is_found_before_training() {
    let directory = directory();
    let root = directory.path();
    std::fs::write(root.join("t.csv"), "label,text\nperhaps,well\n").unwrap();
    refused(
        &train(root, &["--set", "data.test=t.csv"]),
        1,
        &["t.csv:2", "perhaps"],
    );
    assert!(!root.join("run/checkpoints").exists());
}

#[test]
fn results_are_those_of_the_model_that_is_put_into_place() {
    let directory = directory();
    let root = directory.path();
    // The best is the first of many evaluations: the rate is far too high.
    let settings = [
        "--set",
        "training.best_metric=loss",
        "--set",
        "training.evaluate_every_epochs=1e-300",
        "--set",
        "optimizer.learning_rate=0.5",
    ];
    let output = train(root, &settings);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = std::fs::read_to_string(root.join("run/metrics.jsonl")).unwrap();
    let rows_of_run: Vec<Value> = text
        .lines()
        .map(|row| serde_json::from_str(row).unwrap())
        .collect();
    let evaluated = rows_of_run.iter().filter(|row| row["split"] == "valid");
    let losses: Vec<f64> = evaluated.map(|row| row["loss"].as_f64().unwrap()).collect();
    let least = losses.iter().copied().fold(f64::INFINITY, f64::min);
    // An evaluation after each step.
    assert_eq!(losses.len(), 6);
    assert!(least < losses[5]);
    let text = std::fs::read_to_string(root.join("run/results.json")).unwrap();
    let results: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(results["valid"]["loss"].as_f64(), Some(least));
    let evaluate = ["evaluate", "--model", "run/model", "--data", "d.csv"];
    let again = rows(&run(root, &evaluate)).remove(0);
    let again = again["loss"].as_f64().unwrap();
    assert!((again - least).abs() < 1e-6, "{again} and {least}");
}

#[test]
fn what_is_there_is_not_written_over() {
    let directory = directory();
    let root = directory.path();
    let once = ["--set", "training.max_steps=1", "--seeds"];
    let output = train(root, &[&once[..], &["1,2"]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    let of_seeds = std::fs::read(root.join("run/seeds.json")).unwrap();
    let again = train(root, &[&once[..], &["3"]].concat());
    refused(&again, 2, &["run already holds a run", "--resume"]);
    assert_eq!(
        std::fs::read(root.join("run/seeds.json")).unwrap(),
        of_seeds
    );

    // A model directory is no run directory, and what another program writes beside a run stays.
    let config = std::fs::read(root.join("base/config.json")).unwrap();
    refused(
        &train(root, &["--set", "run_dir=base"]),
        2,
        &["base is a model directory"],
    );
    assert_eq!(
        std::fs::read(root.join("base/config.json")).unwrap(),
        config
    );
    // Nor is the configuration itself, where it lies in the run's directory; one that a run left there is no hindrance.
    std::fs::create_dir(root.join("own")).unwrap();
    let own = root.join("own/config.json");
    let configuration = std::fs::read(root.join("c.json")).unwrap();
    std::fs::write(&own, &configuration).unwrap();
    let to_own = ["--set", "run_dir=own", "--set", "training.max_steps=1"];
    refused(
        &train(root, &to_own),
        2,
        &["own/config.json", "no run wrote it"],
    );
    assert_eq!(std::fs::read(&own).unwrap(), configuration);
    std::fs::copy(root.join("run/seed-1/config.json"), &own).unwrap();
    let output = train(root, &to_own);
    assert!(output.status.success(), "{}", stderr(&output));

    let output_of_another = root.join("run/.answers.jsonl.123.tmp");
    std::fs::write(&output_of_another, "half").unwrap();
    refused(&train(root, &[]), 2, &["run already holds a run"]);
    assert!(output_of_another.exists());
}
