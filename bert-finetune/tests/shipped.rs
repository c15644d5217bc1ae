//! Every shipped configuration trains two steps: the built-in sets as they are, real ones on stand-ins in their formats.
#![cfg(feature = "ndarray")]

mod program;

use std::fs;
use std::path::Path;

use program::{model, run, stderr};

/// Puts files into `data/` that have the form of the real sets.
fn lay_out(root: &Path) {
    let data = root.join("data");
    fs::create_dir_all(data.join("conll2003")).unwrap();
    let reviews = "text,label,source\n\"good, very good\",1,rt\nbad,0,rt\nfine,1,rt\nno,0,rt\n";
    for split in ["train", "valid"] {
        fs::write(data.join(format!("rotten-tomatoes-{split}.csv")), reviews).unwrap();
        let questions = r#"{"data": [{"paragraphs": [{"context": "The sun is red.", "qas":
            [{"id": "1", "question": "What is red?", "answers": [{"text": "The sun", "answer_start": 0}]}]}]}]}"#;
        fs::write(data.join(format!("xquad-{split}.json")), questions).unwrap();
    }
    let messages = ",spam,text\n0,0,hello\n1,1,win now\n2,0,ok\n3,1,call now\n4,0,yes\n";
    fs::write(data.join("sms-spam.csv"), messages).unwrap();
    let sentences = "-DOCSTART- -X- -X- O\n\nIn IN I-PP O\nRome NNP I-NP B-LOC\n\nYes UH O O\n";
    for split in ["train", "valid", "test"] {
        fs::write(data.join(format!("conll2003/{split}.txt")), sentences).unwrap();
    }
}

#[test]
fn every_shipped_configuration_trains_two_steps_and_its_model_answers() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    model(root);
    lay_out(root);
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/finetune");
    let mut names: Vec<_> = fs::read_dir(&shipped)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names.len(), 11);
    for name in names {
        let config = shipped.join(&name);
        let config = config.to_str().unwrap();
        let mut arguments = vec!["train", config, "--dashboard", "none"];
        for set in [
            "model.path=base",
            "training.max_steps=2",
            "training.max_seq_length=40",
        ] {
            arguments.extend(["--set", set]);
        }
        if ["questions.json", "xquad.json"].contains(&name.as_str()) {
            arguments.extend(["--set", "task.max_query_tokens=20"]);
        }
        let output = run(root, &arguments);
        assert!(output.status.success(), "{name}: {}", stderr(&output));
        let run_dir = root.join("runs").join(name.trim_end_matches(".json"));
        for file in [
            "metrics.jsonl",
            "config.json",
            "results.json",
            "best/model.safetensors",
            "model/model.safetensors",
            "model/tokenizer.json",
        ] {
            assert!(run_dir.join(file).is_file(), "{name} wrote no {file}");
        }
    }
}
