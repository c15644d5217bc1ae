//! The examples run, on the small models that transformers saved for the tests of `bert-finetune`.
#![cfg(feature = "ndarray")]

use std::process::Command;

fn output(program: &str, model: &str, arguments: &[&str]) -> Vec<String> {
    let models = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../bert-finetune/tests/transformers/"
    );
    let output = Command::new(env!("CARGO_BIN_EXE_bert-example"))
        .args([program, &format!("{models}{model}")])
        .args(arguments)
        .output()
        .expect("the program runs");
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{message}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().map(str::to_string).collect()
}

#[test]
fn every_example_gives_an_answer_of_its_kind() {
    let lines = output("classify", "named_labels", &["a red cat", "the sun is old"]);
    assert_eq!(lines.len(), 2);
    assert!(lines.iter().all(|line| line.contains(" %  ")), "{lines:?}");

    let lines = output("tag", "tokens", &["Anna, in Rome!"]);
    let words: Vec<&str> = lines
        .iter()
        .filter_map(|line| line.split('\t').next())
        .collect();
    assert_eq!(words, ["Anna", ",", "in", "Rome", "!"]);

    let passage = "the red house stands by the river";
    let lines = output("answer", "questions", &["where?", passage]);
    assert!(lines.len() == 1 && passage.contains(&lines[0]), "{lines:?}");

    let choices = ["by the sea", "in town"];
    let arguments = ["where is it?", choices[0], choices[1]];
    let lines = output("choose", "choices", &arguments);
    assert!(choices.contains(&lines[0].as_str()), "{lines:?}");
}

#[test]
fn the_training_example_reports_its_loss() {
    let lines = output("fine_tune", "named_labels", &[]);
    let losses = lines
        .iter()
        .map(|line| line.rsplit(' ').next().unwrap().parse());
    let losses: Vec<f32> = losses.collect::<Result<_, _>>().unwrap();
    assert_eq!(losses.len(), 3);
    assert!(
        losses.iter().all(|loss| loss.is_finite() && *loss > 0.0),
        "{losses:?}"
    );
}
