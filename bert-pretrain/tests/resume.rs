//! What happens to a run that is disturbed: killed, damaged, changed, started twice, or fed with a rate that breaks it.
#![cfg(feature = "ndarray")]

mod program;

use std::path::{Path, PathBuf};
use std::process::Output;

use program::run;
use serde_json::Value;

const CONFIG: &str = r#"{
    "run_dir": "run", "cache_dir": "cache",
    "model": {"hidden_size": 12, "num_hidden_layers": 1, "num_attention_heads": 3, "intermediate_size": 20,
              "max_position_embeddings": 40},
    "tokenizer": {"type": "train", "vocab_size": 300},
    "corpus": {"type": "sample", "documents": 60},
    "examples": {"max_seq_length": 33, "valid_fraction": 0.2},
    "training": {"steps": 6, "batch_tokens": 300, "log_every_steps": 1, "evaluate_every_steps": 2,
                 "checkpoint_every_steps": 2}
}"#;

fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("c.json"), CONFIG).unwrap();
    directory
}

fn train(root: &Path, more: &[&str]) -> Output {
    let arguments = [&["train", "c.json", "--dashboard", "plain"], more].concat();
    run(root, &arguments)
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn done(output: &Output) -> String {
    assert!(output.status.success(), "{}", stderr(output));
    stderr(output)
}

fn refused(output: &Output, code: i32, parts: &[&str]) {
    let message = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{message}");
    for part in parts {
        assert!(message.contains(part), "{message} lacks {part}");
    }
    assert!(!message.contains("panicked"), "{message}");
}

fn weights(root: &Path) -> Vec<u8> {
    std::fs::read(root.join("run/model/model.safetensors")).unwrap()
}

fn checkpoints(root: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(root.join("run/checkpoints")).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Changes one byte in the middle.
fn damage(path: PathBuf) {
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    std::fs::write(&path, bytes).unwrap();
}

#[test]
fn a_damaged_checkpoint_is_reported_and_the_one_before_it_used() {
    let directory = directory();
    let root = directory.path();
    done(&train(root, &[]));
    let expected = weights(root);
    assert_eq!(checkpoints(root), ["step-000004", "step-000006"]);

    for file in [
        "optimizer.safetensors",
        "model.safetensors",
        "position.json",
        "vocab.txt",
    ] {
        damage(root.join("run/checkpoints/step-000006").join(file));
        std::fs::remove_dir_all(root.join("run/model")).unwrap();
        let said = done(&train(root, &["--resume"]));
        assert!(
            said.contains("step-000006 is damaged") && said.contains(file),
            "{said}"
        );
        assert!(said.contains("step-000004"), "{said}");
        assert_eq!(weights(root), expected, "{file}");
        let names = ["step-000004", "step-000006", "step-000006.damaged"];
        assert_eq!(checkpoints(root), names);
    }

    damage(root.join("run/checkpoints/step-000004/model.safetensors"));
    std::fs::remove_file(root.join("run/checkpoints/step-000006/checksums.xxh128")).unwrap();
    let output = train(root, &["--resume"]);
    refused(
        &output,
        1,
        &[
            "step-000006",
            "no other checkpoint is whole",
            "start the run anew",
        ],
    );
    assert_eq!(weights(root), expected);
}

#[test]
fn a_run_goes_on_with_what_it_was_trained_with_or_what_its_user_accepts() {
    let directory = directory();
    let root = directory.path();
    done(&train(root, &[]));
    let changed = [
        "--resume",
        "--set",
        "optimizer.learning_rate=3e-4",
        "--set",
        "training.steps=8",
        "--set",
        "corpus.documents=90",
        "--set",
        "training.batch_tokens=20000",
    ];
    let output = train(root, &changed);
    let parts = [
        "step-000006 was trained otherwise",
        "optimizer.learning_rate was 0.0001, is 0.0003",
        "training.steps was 6, is 8",
        "corpus.documents was 60, is 90",
        "--accept-changes",
    ];
    refused(&output, 2, &parts);
    let resolved = std::fs::read_to_string(root.join("run/config.json")).unwrap();
    assert!(
        resolved.contains("\"steps\": 6"),
        "a refused run writes nothing"
    );

    let said = done(&train(
        root,
        &[&changed[..], &["--accept-changes"]].concat(),
    ));
    assert!(said.contains("training.steps was 6, is 8"), "{said}");
    assert!(said.contains("the data are others"), "{said}");
    assert_eq!(checkpoints(root), ["step-000006", "step-000008"]);
    assert!(said.contains("the next epoch begins"), "{said}");
    // The other text would give another vocabulary; the weights are for this one.
    let vocabulary =
        |step| std::fs::read(root.join(format!("run/checkpoints/{step}/vocab.txt"))).unwrap();
    assert_eq!(vocabulary("step-000006"), vocabulary("step-000008"));
    done(&run(
        root,
        &[&["tokenizer", "c.json"], &changed[5..]].concat(),
    ));
    let of_the_text = std::fs::read(root.join("run/tokenizer/vocab.txt")).unwrap();
    assert_ne!(of_the_text, vocabulary("step-000008"));
    let other = [
        "--resume",
        "--accept-changes",
        "--set",
        "tokenizer.vocab_size=200",
    ];
    let output = train(root, &[&changed[1..], &other[..]].concat());
    refused(&output, 2, &["tokenizer.vocab_size was 300, is 200"]);

    // Nothing of this changes the weights.
    let free = [
        "--resume",
        "--set",
        "training.log_every_steps=5",
        "--set",
        "cache_dir=other",
    ];
    done(&train(root, &[&changed[1..], &free[..]].concat()));

    refused(&train(root, &["--accept-changes"]), 2, &["--resume"]);
}

#[test]
fn a_run_goes_on_where_the_model_it_began_with_is_gone() {
    let directory = directory();
    let root = directory.path();
    done(&train(root, &[]));
    let from = [
        "--set",
        r#"model={"path": "first"}"#,
        "--set",
        r#"tokenizer={"type": "load", "path": "first"}"#,
    ];
    std::fs::rename(root.join("run"), root.join("whole")).unwrap();
    std::fs::rename(root.join("whole/model"), root.join("first")).unwrap();
    done(&train(root, &from));
    let expected = weights(root);

    std::fs::remove_dir_all(root.join("run/checkpoints/step-000006")).unwrap();
    std::fs::remove_dir_all(root.join("run/model")).unwrap();
    std::fs::remove_dir_all(root.join("first")).unwrap();
    done(&train(root, &[&from[..], &["--resume"]].concat()));
    assert_eq!(weights(root), expected);
}

#[test]
fn without_pairs_a_model_is_saved_without_what_pairs_train() {
    let directory = directory();
    let root = directory.path();
    let single = ["--set", "examples.pairs=none"];
    done(&train(root, &single));
    for model in ["model", "best", "checkpoints/step-000006"] {
        let config = std::fs::read_to_string(root.join("run").join(model).join("config.json"));
        let config: Value = serde_json::from_str(&config.unwrap()).unwrap();
        assert_eq!(config["architectures"][0], "BertForMaskedLM", "{model}");
    }
    let next = ["next-sentence", "--model", "run/model", "One.", "Two."];
    refused(&run(root, &next), 1, &["it has no pooler"]);
    let fill = ["fill-mask", "--model", "run/model", "The [MASK]."];
    done(&run(root, &fill));
    let more = ["--resume", "--accept-changes", "--set", "training.steps=7"];
    done(&train(root, &[&single[..], &more[..]].concat()));

    // What came trained stays.
    done(&train(root, &["--set", "run_dir=pairs"]));
    let on = [
        "--set",
        "run_dir=on",
        "--set",
        "model={\"path\":\"pairs/model\"}",
        "--set",
        "tokenizer={\"type\":\"load\",\"path\":\"pairs/model\"}",
    ];
    done(&train(root, &[&single[..], &on[..]].concat()));
    let next = ["next-sentence", "--model", "on/model", "One.", "Two."];
    done(&run(root, &next));
}

#[test]
fn a_run_directory_has_one_writer_and_is_not_written_over() {
    let directory = directory();
    let root = directory.path();
    let held = bert_core::files::Lock::take(&root.join("run/.lock"), "run").unwrap();
    let process = format!("run is in use by process {}", std::process::id());
    refused(&train(root, &[]), 2, &[&process]);
    refused(&train(root, &["--resume"]), 2, &[&process]);
    drop(held);
    // The lock file of a process that is gone is nobody's lock.
    assert!(root.join("run/.lock").exists());
    done(&train(root, &[]));

    let again = ["run already holds a run", "--resume"];
    refused(&train(root, &[]), 2, &again);
    std::fs::remove_dir_all(root.join("run/checkpoints")).unwrap();
    refused(&train(root, &[]), 2, &again);
    refused(
        &train(root, &["--resume"]),
        2,
        &["has a model but no checkpoint"],
    );
    // As after a kill before the first checkpoint.
    std::fs::remove_dir_all(root.join("run/model")).unwrap();
    refused(&train(root, &[]), 2, &again);
    let said = done(&train(root, &["--resume"]));
    assert!(said.contains("begins at its first step"), "{said}");
    let metrics = std::fs::read_to_string(root.join("run/metrics.jsonl")).unwrap();
    assert_eq!(metrics.lines().count(), 6 + 3, "each step once");
}

#[test]
fn a_loss_that_is_not_finite_stops_the_run_or_is_passed_over() {
    let directory = directory();
    let root = directory.path();
    let broken = [
        "--set",
        "optimizer.learning_rate=1e38",
        "--set",
        "schedule.warmup_steps=0",
    ];
    let output = train(root, &broken);
    let parts = [
        "is not finite at step",
        "non_finite/step-0000",
        "--set",
        "learning_rate",
    ];
    refused(&output, 1, &parts[..2]);
    refused(&output, 1, &["optimizer.learning_rate"]);
    let saved = std::fs::read_dir(root.join("run/non_finite")).unwrap();
    let saved: Vec<PathBuf> = saved.map(|entry| entry.unwrap().path()).collect();
    let text = std::fs::read_to_string(&saved[0]).unwrap();
    let record: Value = serde_json::from_str(&text).unwrap();
    let sequence = &record["micro_batches"][0]["sequences"][0];
    let length = sequence["input_ids"].as_array().unwrap().len();
    assert_eq!(sequence["token_type_ids"].as_array().unwrap().len(), length);
    let masked = sequence["masked_positions"].as_array().unwrap();
    assert!(masked.iter().all(|at| at.as_u64().unwrap() < length as u64));

    let skip = [
        "--set",
        "run_dir=skipping",
        "--set",
        r#"training.non_finite={"type": "skip", "most_in_a_row": 3}"#,
    ];
    refused(
        &train(root, &[&broken[..], &skip].concat()),
        1,
        &["is not finite at step"],
    );
    let saved = std::fs::read_dir(root.join("skipping/non_finite")).unwrap();
    // Three that were passed over, and the one at which it stopped.
    assert_eq!(saved.count(), 4);
}

#[test]
fn a_damaged_prepared_corpus_is_made_again() {
    let directory = directory();
    let root = directory.path();
    done(&train(root, &[]));
    let expected = weights(root);
    let entries = std::fs::read_dir(root.join("cache")).unwrap();
    let mut damaged = 0;
    for entry in entries {
        let path = entry.unwrap().path();
        for file in [
            "train.ids",
            "train.sentences",
            "valid.documents",
            "summary.json",
            "vocab.txt",
        ] {
            if path.join(file).exists() {
                damage(path.join(file));
                std::fs::remove_dir_all(root.join("run")).unwrap();
                let said = done(&train(root, &[]));
                assert!(
                    said.contains("is made again") && said.contains(file),
                    "{said}"
                );
                assert_eq!(weights(root), expected, "{file}");
                damaged += 1;
            }
        }
    }
    assert_eq!(damaged, 5);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_that_keeps_what_was_safe() {
    use std::process::Command;
    let directory = directory();
    let root = directory.path();
    // A limit on the size of files stands for the end of the disk: writing fails in the middle of a file.
    let script = format!(
        "ulimit -f $1; trap '' XFSZ; shift; exec {} train c.json --dashboard plain \"$@\"",
        env!("CARGO_BIN_EXE_bert-pretrain")
    );
    let limited = |blocks: &str, more: &[&str]| {
        let mut command = Command::new("bash");
        command
            .current_dir(root)
            .args(["-c", &script, "bash", blocks])
            .args(more);
        command.output().unwrap()
    };
    done(&train(root, &["--set", "run_dir=whole"]));
    done(&train(
        root,
        &["--set", "training.checkpoint_every_steps=4"],
    ));
    std::fs::remove_dir_all(root.join("run/checkpoints/step-000006")).unwrap();
    std::fs::remove_dir_all(root.join("run/model")).unwrap();
    // Blocks of 1024 bytes: less than the weights take.
    let output = limited(
        "16",
        &["--resume", "--set", "training.checkpoint_every_steps=4"],
    );
    refused(&output, 1, &["error: cannot write", "File too large"]);
    assert_eq!(checkpoints(root), ["step-000004"]);
    done(&train(root, &["--resume"]));
    let whole = std::fs::read(root.join("whole/model/model.safetensors")).unwrap();
    assert_eq!(weights(root), whole);
}
