//! Every shipped configuration trains two steps, second phases on what first phases wrote.
#![cfg(feature = "ndarray")]

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

/// Copies the configurations to where their relative paths find data that is small.
fn lay_out(root: &Path) {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs");
    for folder in ["model", "pretrain"] {
        let to = root.join("configs").join(folder);
        fs::create_dir_all(&to).expect("made");
        for file in fs::read_dir(shipped.join(folder)).expect("readable") {
            let file = file.expect("an entry");
            fs::copy(file.path(), to.join(file.file_name())).expect("copied");
        }
    }
    fs::create_dir_all(root.join("data/corpus")).expect("made");
    for name in ["data/brown.txt", "data/corpus/a.txt"] {
        let mut file = File::create(root.join(name)).expect("created");
        bert_core::sample_data::corpus_text(3, 80, &mut file).expect("written");
    }
}

#[test]
fn every_shipped_configuration_trains_two_steps() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let root = directory.path();
    lay_out(root);
    let mut names: Vec<String> = fs::read_dir(root.join("configs/pretrain"))
        .expect("readable")
        .map(|file| {
            file.expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    // "…-128" before "…-512", which starts from its weights.
    names.sort();
    assert!(names.len() >= 7);
    for name in names {
        let mut arguments = vec!["train".to_string(), format!("configs/pretrain/{name}")];
        // The CPU for all: backends.rs is about the other.
        arguments.extend(["--backend", "ndarray", "--dashboard", "none"].map(String::from));
        let mut set = vec![
            "training.steps=2",
            "schedule.warmup_steps=1",
            "training.batch_tokens=1024",
            "training.evaluate_tokens=1024",
            "examples.valid_fraction=0.1",
        ];
        if name == "base-128.json" {
            set.push("model.num_hidden_layers=1"); // a gigabyte less to write
        }
        for set in set {
            arguments.extend(["--set".to_string(), set.to_string()]);
        }
        let output = Command::new(env!("CARGO_BIN_EXE_bert-pretrain"))
            .current_dir(root)
            .args(&arguments)
            .output()
            .expect("the program runs");
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {message}");
        let run = root.join("runs").join(name.trim_end_matches(".json"));
        for file in [
            "metrics.jsonl",
            "config.json",
            "model/model.safetensors",
            "model/vocab.txt",
        ] {
            assert!(run.join(file).is_file(), "{name} wrote no {file}");
        }
    }
}
