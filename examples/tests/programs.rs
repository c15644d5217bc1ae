//! The examples run, on the small models that transformers saved for the tests of `bert-finetune`.
#![cfg(feature = "ndarray")]

use std::process::Command;

fn output(program: &str, model: &str, arguments: &[&str]) -> Vec<String> {
    let models = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../bert-finetune/tests/transformers/"
    );
    // An absolute path replaces the folder.
    let model = std::path::Path::new(models).join(model);
    let output = Command::new(env!("CARGO_BIN_EXE_bert-example"))
        .arg(program)
        .arg(model)
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

    let lines = output("classify", "multi_label", &["a red cat"]);
    assert!(lines[0].matches(" %  ").count() > 1, "{lines:?}");
    let lines = output("classify", "regression", &["a red cat"]);
    let number = lines[0].split("  ").next().unwrap();
    assert!(number.parse::<f32>().unwrap().is_finite(), "{lines:?}");

    let lines = output("tag", "tokens", &["Anna, in Rome!"]);
    let words: Vec<&str> = lines
        .iter()
        .filter_map(|line| line.split('\t').next())
        .collect();
    assert_eq!(words, ["Anna", ",", "in", "Rome", "!"]);

    // A word has the tag that it has in a text by itself.
    let both = output("tag", "tokens", &["a red cat", "Anna, in Rome!"]);
    assert_eq!(both[3..], lines);

    let passage = "the red house stands by the river";
    let lines = output("answer", "questions", &["where?", passage]);
    assert!(lines.len() == 1 && passage.contains(&lines[0]), "{lines:?}");

    let choices = ["by the sea", "in town"];
    let arguments = ["where is it?", choices[0], choices[1]];
    let lines = output("choose", "choices", &arguments);
    assert!(choices.contains(&lines[0].as_str()), "{lines:?}");
}

#[test]
fn vectors_of_texts_have_length_1_and_the_first_is_most_like_itself() {
    let texts = ["a red cat", "the sun is old", "a red cat"];
    let lines = output("embed", "named_labels", &texts);
    let columns = |line: &String| -> (f32, String, Vec<f32>) {
        let columns: Vec<&str> = line.split('\t').collect();
        let numbers = columns[2].split(' ').map(|number| number.parse().unwrap());
        let similarity = columns[0].parse().unwrap();
        (similarity, columns[1].to_string(), numbers.collect())
    };
    let rows: Vec<_> = lines.iter().map(columns).collect();
    assert_eq!(rows.len(), texts.len());
    for ((similarity, shown, vector), text) in rows.iter().zip(texts) {
        assert_eq!(shown, text);
        let length: f32 = vector.iter().map(|x| x * x).sum();
        assert!((length - 1.0).abs() < 1e-5 && *similarity < 1.0001);
    }
    assert_eq!((rows[0].0, rows[2].0), (1.0, 1.0));
    assert!(rows[1].0 < 1.0);
}

#[test]
fn the_training_example_reports_its_loss_and_writes_its_model() {
    let directory = tempfile::tempdir().unwrap();
    let model = directory.path().join("model");
    let model = model.to_str().unwrap();
    let lines = output("fine_tune", "named_labels", &[model]);
    let (losses, answers) = lines.split_at(3);
    assert!(answers.len() == 6 && answers.iter().all(|line| line.contains("tive  ")));
    let sentence = "We shall never come back.";
    assert_eq!(output("classify", model, &[sentence]), answers[4..5]);
    let losses = losses
        .iter()
        .map(|line| line.rsplit(' ').next().unwrap().parse());
    let losses: Vec<f32> = losses.collect::<Result<_, _>>().unwrap();
    assert_eq!(losses.len(), 3);
    assert!(
        losses.iter().all(|loss| loss.is_finite() && *loss > 0.0),
        "{losses:?}"
    );
}
