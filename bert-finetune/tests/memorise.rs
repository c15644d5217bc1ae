//! Each task learns a set that can be learnt by heart, through the program: data, targets, loss, decoding and metric at once.
#![cfg(feature = "ndarray")]

mod program;

use program::{configure, model, rows, run, stderr};
use serde_json::{Value, json};

/// Rows that differ in words that the vocabulary has letters for.
const TEXTS: [&str; 12] = [
    "red fish",
    "a blue dog ran",
    "the sun",
    "cold rain in may",
    "two old men",
    "she sang well",
    "no bread today",
    "it was late",
    "green hills far away",
    "he lost it all",
    "warm milk",
    "we won",
];

fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    model(directory.path());
    directory
}

fn jsonl(path: &std::path::Path, rows: impl IntoIterator<Item = Value>) {
    let lines: Vec<String> = rows.into_iter().map(|row| row.to_string()).collect();
    std::fs::write(path, lines.join("\n")).unwrap();
}

/// Trains, and evaluates on a file.
fn train_and_evaluate(root: &std::path::Path, data: &str) -> Value {
    let output = run(root, &["train", "c.json", "--dashboard", "plain"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let output = run(root, &["evaluate", "--model", "run/model", "--data", data]);
    assert!(output.status.success(), "{}", stderr(&output));
    rows(&output).remove(0)
}

fn learns(task: Value, rows: impl IntoIterator<Item = Value>) -> Value {
    let directory = directory();
    jsonl(&directory.path().join("d.jsonl"), rows);
    let data = json!({"train": "d.jsonl", "valid": "d.jsonl"});
    configure(directory.path(), task, data, json!({}));
    train_and_evaluate(directory.path(), "d.jsonl")
}

#[test]
fn classes_are_learnt_by_heart() {
    let rows = (0..12).map(|i| {
        let label = ["x", "y", "z"][i * 7 % 3];
        json!({"text": TEXTS[i], "label": label})
    });
    let metrics = learns(json!({"type": "classification"}), rows);
    for name in ["accuracy", "f1_macro", "matthews"] {
        assert_eq!(metrics[name], 1.0, "{metrics}");
    }
    assert_eq!(metrics["rows"], 12);
    assert_eq!(metrics["per_class"]["y"]["support"], 4);
}

#[test]
fn pairs_are_learnt_by_heart_and_their_order_matters() {
    let rows = (0..12).flat_map(|i| {
        let (a, b) = (TEXTS[i], TEXTS[(i + 5) % 12]);
        [
            json!({"one": a, "two": b, "label": true}),
            json!({"one": b, "two": a, "label": false}),
        ]
    });
    let task = json!({"type": "pair", "text": "one", "text_pair": "two"});
    let metrics = learns(task, rows);
    assert_eq!(metrics["accuracy"], 1.0, "{metrics}");
    assert_eq!(metrics["labels"], json!(["false", "true"]));
}

#[test]
fn several_labels_a_row_are_learnt_by_heart() {
    let rows = (0..12).map(|i| {
        let labels: Vec<&str> = ["p", "q", "r"]
            .into_iter()
            .enumerate()
            .filter(|(bit, _)| (i * 5 + 3) >> bit & 1 == 1)
            .map(|(_, label)| label)
            .collect();
        // An array, and names in a string, mean the same.
        match i % 2 {
            0 => json!({"text": TEXTS[i], "labels": labels}),
            _ => json!({"text": TEXTS[i], "labels": labels.join(" , ")}),
        }
    });
    let metrics = learns(json!({"type": "multi_label"}), rows);
    assert_eq!(metrics["subset_accuracy"], 1.0, "{metrics}");
    assert_eq!(metrics["hamming_loss"], 0.0);
}

#[test]
fn numbers_are_learnt_by_heart() {
    let rows = (0..12).map(|i| json!({"text": TEXTS[i], "label": (i * 7 % 12) as f64 / 4.0 - 1.0}));
    let metrics = learns(json!({"type": "regression"}), rows);
    assert!(metrics["pearson"].as_f64().unwrap() > 0.99, "{metrics}");
    assert!(metrics["mse"].as_f64().unwrap() < 0.05, "{metrics}");
}

#[test]
fn choices_are_learnt_by_heart_whatever_their_number() {
    let rows = (0..12).map(|i| {
        let choices: Vec<&str> = (0..2 + i % 3)
            .map(|k| TEXTS[(i + 4 * k + 1) % 12])
            .collect();
        let right = i % choices.len();
        // A number, a letter or the text.
        let label = match i % 3 {
            0 => json!(right),
            1 => Value::from(["A", "B", "C", "D"][right]),
            _ => json!(choices[right]),
        };
        json!({"question": TEXTS[i], "choices": choices, "label": label})
    });
    let metrics = learns(json!({"type": "multiple_choice"}), rows);
    assert_eq!(metrics["accuracy"], 1.0, "{metrics}");
}

#[test]
fn tags_are_learnt_by_heart_in_sentences_longer_than_the_model() {
    let directory = directory();
    let root = directory.path();
    // 61 words of one piece or more, in a model of 40 positions.
    let mut text = String::from("-DOCSTART- -X- O\n\n");
    for sentence in 0..3 {
        for word in 0..[61, 7, 23][sentence] {
            let place = (word * 5 + sentence) % 12;
            let first = TEXTS[place].split(' ').next().unwrap();
            let tag = [
                "O", "O", "B-LOC", "O", "B-PER", "I-PER", "O", "O", "O", "B-ORG", "O", "O",
            ];
            text += &format!("{first} NN {}\n", tag[place]);
        }
        text += "\n";
    }
    std::fs::write(root.join("d.conll"), text).unwrap();
    let data = json!({"train": "d.conll", "valid": "d.conll"});
    configure(root, json!({"type": "tokens"}), data, json!({}));
    let metrics = train_and_evaluate(root, "d.conll");
    for name in ["entity_f1", "entity_precision", "entity_recall", "accuracy"] {
        assert_eq!(metrics[name], 1.0, "{metrics}");
    }
    let answers = run(
        root,
        &["predict", "--model", "run/model", "--input", "d.conll"],
    );
    let answers = rows(&answers);
    for (answer, words) in answers.iter().zip([61, 7, 23]) {
        assert_eq!(answer["tags"].as_array().unwrap().len(), words);
        assert_eq!(answer["logits"].as_array().unwrap().len(), words);
    }
    let config = std::fs::read_to_string(root.join("run/model/config.json")).unwrap();
    let config: Value = serde_json::from_str(&config).unwrap();
    assert_eq!(config["id2label"]["0"], "O");
    assert_eq!(config["label2id"]["I-PER"], 4);
}

#[test]
fn answers_are_learnt_by_heart_and_that_there_is_none() {
    let directory = directory();
    let root = directory.path();
    // Passages of more tokens than the model has positions: every one is read in windows.
    let context = TEXTS.join(". ") + ". " + &TEXTS.join(" and ");
    let questions: Vec<Value> = (0..6)
        .map(|i| {
            let answer = TEXTS[i * 2];
            let start = context.find(answer).unwrap();
            let impossible = i == 5;
            let answers = match impossible {
                true => json!([]),
                false => json!([{"text": answer, "answer_start": start}]),
            };
            json!({"id": format!("q{i}"), "question": TEXTS[i * 2 + 1], "answers": answers,
                   "is_impossible": impossible})
        })
        .collect();
    let file = json!({"version": "v2.0", "data": [{"title": "t", "paragraphs":
        [{"context": context, "qas": questions}]}]});
    std::fs::write(root.join("d.json"), file.to_string()).unwrap();
    let task = json!({"type": "question_answering", "doc_stride": 7, "max_query_tokens": 12});
    let data = json!({"train": "d.json", "valid": "d.json"});
    configure(root, task, data, json!({"epochs": 80, "batch_tokens": 400}));
    let metrics = train_and_evaluate(root, "d.json");
    assert_eq!(metrics["exact_match"], 100.0, "{metrics}");
    assert_eq!(metrics["f1"], 100.0);
    assert_eq!(metrics["has_answer"]["total"], 5);
    assert_eq!(metrics["no_answer"]["exact_match"], 100.0);

    let answers = rows(&run(
        root,
        &["predict", "--model", "run/model", "--input", "d.json"],
    ));
    for (index, answer) in answers.iter().enumerate() {
        assert_eq!(answer["id"], format!("q{index}"));
        let text = answer["answer"].as_str().unwrap();
        if index < 5 {
            let place = |key: &str| answer[key].as_u64().unwrap() as usize;
            assert_eq!(text, &context[place("start")..place("end")]);
        } else {
            assert_eq!(text, "");
        }
    }
}

#[test]
fn several_seeds_give_mean_and_deviation() {
    let directory = directory();
    let root = directory.path();
    let labelled = (0..12).map(|i| json!({"text": TEXTS[i], "label": i % 2}));
    jsonl(&root.join("d.jsonl"), labelled);
    let data = json!({"train": "d.jsonl", "valid": "d.jsonl"});
    configure(
        root,
        json!({"type": "classification"}),
        data,
        json!({"epochs": 2}),
    );
    let arguments = ["train", "c.json", "--dashboard", "none", "--seeds", "3,1,8"];
    let output = run(root, &arguments);
    assert!(output.status.success(), "{}", stderr(&output));
    let read = |path: &str| -> Value {
        serde_json::from_str(&std::fs::read_to_string(root.join(path)).unwrap()).unwrap()
    };
    let summary = read("run/seeds.json");
    assert_eq!(summary["seeds"], json!([3, 1, 8]));
    let losses: Vec<f64> = [3, 1, 8]
        .map(|seed| {
            read(&format!("run/seed-{seed}/results.json"))["valid"]["loss"]
                .as_f64()
                .unwrap()
        })
        .to_vec();
    assert_eq!(summary["valid"]["loss"]["values"], json!(losses));
    let mean = losses.iter().sum::<f64>() / 3.0;
    assert!((summary["valid"]["loss"]["mean"].as_f64().unwrap() - mean).abs() < 1e-12);
    assert!(losses[0] != losses[1] && losses[1] != losses[2]);
}
