//! Models that transformers saved, answered by the program and by transformers in f64 (`transformers/generate.py`).
#![cfg(feature = "ndarray")]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bert_core::config::BackendConfig;
use bert_finetune::Predictor;
use serde_json::{Value, json};

/// Of numbers, beside the larger of 1 and the number.
const TOLERANCE: f64 = 1e-4;

/// A model with its rows and what transformers makes of them.
struct Golden {
    name: &'static str,
    expected: Value,
}

impl Golden {
    fn open(name: &'static str) -> Self {
        let text = fs::read_to_string(directory(name).join("expected.json")).unwrap();
        Self {
            name,
            expected: serde_json::from_str(&text).unwrap(),
        }
    }

    fn list(&self, key: &str) -> &[Value] {
        let list = self.expected[key].as_array().unwrap();
        assert!(!list.is_empty(), "{}: {key}", self.name);
        list
    }

    /// The program, told to do something with the model as `given` says.
    fn program(&self, command: &str, given: &Value) -> Command {
        let mut program = Command::new(env!("CARGO_BIN_EXE_bert-finetune"));
        program.args([command, "--backend", "ndarray", "--model"]);
        program.arg(directory(self.name));
        let arguments = given["arguments"].as_array().unwrap().iter();
        program.args(arguments.map(|argument| argument.as_str().unwrap()));
        program
    }

    fn file(&self, name: &Value) -> PathBuf {
        directory(self.name).join(name.as_str().unwrap())
    }
}

fn directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/transformers")
        .join(name)
}

/// What a program that ends well says.
fn output(mut program: Command) -> String {
    let output = program.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn lines(text: &str) -> Vec<Value> {
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// Numbers with a fraction must be close, everything else must be the same. Gives the largest difference.
fn difference(at: &str, ours: &Value, theirs: &Value, tolerance: f64) -> f64 {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            // Lists of answers are compared where they are not too long for a fixture.
            let is_compared = |key: &&String| *key != "n_best" || theirs.contains_key(*key);
            let keys: BTreeSet<&String> = ours.keys().filter(is_compared).collect();
            let expected: BTreeSet<&String> = theirs.keys().collect();
            assert_eq!(keys, expected, "{at}");
            let parts = theirs.iter();
            let parts = parts.map(|(key, theirs)| {
                difference(&format!("{at}.{key}"), &ours[key], theirs, tolerance)
            });
            parts.fold(0.0, f64::max)
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            assert_eq!(ours.len(), theirs.len(), "{at}: {ours:?} is not {theirs:?}");
            let parts = ours.iter().zip(theirs).enumerate();
            let parts = parts.map(|(index, (ours, theirs))| {
                difference(&format!("{at}[{index}]"), ours, theirs, tolerance)
            });
            parts.fold(0.0, f64::max)
        }
        (Value::Number(number), Value::Number(expected)) if expected.is_f64() => {
            let (number, expected) = (number.as_f64().unwrap(), expected.as_f64().unwrap());
            let difference = (number - expected).abs() / expected.abs().max(1.0);
            // So that what is not a number fails.
            assert!(
                difference <= tolerance,
                "{at}: {number} is not {expected} within {tolerance}"
            );
            difference
        }
        _ => {
            assert_eq!(ours, theirs, "{at}");
            0.0
        }
    }
}

/// `predict` from a file into a file must give transformers' answers in the order of the rows, and line by line through
/// the standard streams the same.
fn answers_are_those_of_transformers(name: &'static str) {
    let golden = Golden::open(name);
    let temporary = tempfile::tempdir().unwrap();
    let mut predicted = 0;
    for (index, run) in golden.list("runs").iter().enumerate() {
        let rows = golden.file(&run["input"]);
        let to = temporary.path().join(format!("{index}.jsonl"));
        let mut program = golden.program("predict", run);
        program.arg("--input").arg(&rows).arg("--output").arg(&to);
        assert_eq!(output(program), "", "{name}");
        let answered = Value::Array(lines(&fs::read_to_string(&to).unwrap()));
        let at = format!("{name} {}", run["arguments"]);
        let largest = difference(&at, &answered, &run["answers"], TOLERANCE);
        println!("{at}: {largest:.1e}");

        let mut program = golden.program("predict", run);
        program.args(["--input", "-"]);
        program.stdin(Stdio::from(File::open(&rows).unwrap()));
        let streamed = lines(&output(program));
        // Sums are added up in another order where a row is computed by itself.
        let largest = difference(&at, &Value::Array(streamed), &answered, 1e-6);
        println!("{at}, streamed: {largest:.1e}");

        if run["arguments"] == json!([]) {
            let rows = lines(&fs::read_to_string(&rows).unwrap());
            let predictor = Predictor::open(directory(name), &BackendConfig::default()).unwrap();
            let answers = predictor.predict(rows).unwrap().into_iter();
            let answers = answers.map(|answer| Value::Object(answer.unwrap().json));
            assert_eq!(
                Value::Array(answers.collect()),
                answered,
                "{at}, as a library"
            );
            predicted += 1;
        }
    }
    assert!(predicted > 0, "{name}: no run without arguments");
}

/// The loss that `evaluate` reports must be what transformers gives for the labelled rows.
fn the_loss_is_that_of_transformers(name: &'static str) {
    let golden = Golden::open(name);
    for case in golden.list("losses") {
        let mut program = golden.program("evaluate", case);
        program.arg("--json").arg("--data");
        program.arg(golden.file(&case["data"]));
        let report: Value = serde_json::from_str(&output(program)).unwrap();
        let at = format!("{name} {} loss", case["arguments"]);
        let largest = difference(&at, &report["loss"], &case["loss"], TOLERANCE);
        println!("{at}: {largest:.1e}");
    }
}

macro_rules! models {
    ($($name:ident: $answers:ident, $loss:ident;)*) => {$(
        #[test]
        fn $answers() {
            answers_are_those_of_transformers(stringify!($name));
        }

        #[test]
        fn $loss() {
            the_loss_is_that_of_transformers(stringify!($name));
        }
    )*};
}

models! {
    named_labels: a_class_with_a_name_is_that_of_transformers, the_loss_of_named_classes_is_that_of_transformers;
    default_labels: a_class_without_a_name_is_that_of_transformers, the_loss_of_unnamed_classes_is_that_of_transformers;
    multi_label: several_labels_are_those_of_transformers, the_loss_of_several_labels_is_that_of_transformers;
    regression: a_number_is_that_of_transformers, the_loss_of_a_number_is_that_of_transformers;
    tokens: tags_and_entities_are_those_of_transformers, the_loss_of_tags_is_that_of_transformers;
    questions: an_answer_in_a_passage_is_that_of_transformers, the_loss_of_an_answer_in_a_passage_is_that_of_transformers;
    choices: a_choice_is_that_of_transformers, the_loss_of_a_choice_is_that_of_transformers;
}

#[test]
fn a_model_that_says_nothing_of_pairs_takes_rows_with_a_second_text_for_pairs() {
    let golden = Golden::open("regression");
    let mut runs = golden.list("runs").iter();
    let pairs = runs.find(|run| run["arguments"] == json!(["--text-pair", "other"]));
    let pairs = pairs.unwrap();
    let mut rows = lines(&fs::read_to_string(golden.file(&pairs["input"])).unwrap());
    for row in &mut rows {
        let row = row.as_object_mut().unwrap();
        // Some rows are ids.
        if let Some(other) = row.remove("other") {
            row.insert("text_pair".into(), other);
        }
    }
    let predictor = Predictor::open(directory("regression"), &BackendConfig::default()).unwrap();
    let answers = predictor.predict(rows).unwrap().into_iter();
    let answers = answers.map(|answer| Value::Object(answer.unwrap().json));
    let answers = Value::Array(answers.collect());
    difference("pairs", &answers, &pairs["answers"], TOLERANCE);
}

#[test]
fn padded_ids_are_answered_as_those_that_their_mask_shows() {
    let golden = Golden::open("regression");
    let predictor = Predictor::open(directory(golden.name), &BackendConfig::default()).unwrap();
    let rows = [
        json!({"input_ids": [2, 7, 8, 9, 3], "token_type_ids": [0, 0, 0, 1, 1]}),
        json!({
            "input_ids": [2, 7, 8, 9, 3, 0, 0], "token_type_ids": [0, 0, 0, 1, 1, 0, 0],
            "attention_mask": [1, 1, 1, 1, 1, 0, 0],
        }),
        json!({"input_ids": [2, 3], "attention_mask": [0, 0]}),
        json!({"input_ids": [2, 3], "attention_mask": [1]}),
        json!({"input_ids": null, "text": "one"}),
        json!({"text": "one"}),
    ];
    let answers = predictor.predict(rows).unwrap();
    let [
        Ok(short),
        Ok(padded),
        Err(hidden),
        Err(length),
        Ok(null),
        Ok(text),
    ] = &answers[..]
    else {
        panic!("{answers:?}");
    };
    assert_eq!(short, padded);
    assert_eq!(null, text);
    assert_eq!(
        hidden.to_string(),
        "rows:3: attention_mask hides all tokens"
    );
    let expected = "rows:4: input_ids and attention_mask differ in length";
    assert_eq!(length.to_string(), expected);
}

#[test]
fn a_program_gives_texts_or_rows_and_what_it_cannot_use_is_named_by_its_number() {
    let predictor = Predictor::open(directory("tokens"), &BackendConfig::default()).unwrap();
    let rows = [
        json!("one two"),
        json!({"text": "one two"}),
        json!(3),
        json!({"text": " "}),
    ];
    let answers = predictor.predict(rows).unwrap();
    let [Ok(text), Ok(row), Err(number), Err(empty)] = &answers[..] else {
        panic!("{answers:?}");
    };
    assert_eq!(text, row);
    let problem = "rows:3: this is a number, not a text or an object";
    assert_eq!(number.to_string(), problem);
    assert_eq!(empty.to_string(), "rows:4: \"text\" is empty");
    assert!(predictor.predict::<Value>([]).unwrap().is_empty());

    // Several threads may ask the same model.
    let asked = std::thread::scope(|scope| {
        let threads = [(); 3].map(|()| scope.spawn(|| predictor.predict(["one two"]).unwrap()));
        threads.map(|thread| thread.join().unwrap().remove(0).unwrap())
    });
    assert!(asked.iter().all(|answer| answer == text));
}
