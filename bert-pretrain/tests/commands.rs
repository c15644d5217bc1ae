//! The program as scripts see it: exit codes, messages, files.

mod program;

use std::process::{Command, Output};

use program::run;

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const CONFIG: &str = r#"{
    "run_dir": "run", "cache_dir": "cache",
    "model": {"hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 20,
              "max_position_embeddings": 40},
    "tokenizer": {"type": "train", "vocab_size": 300},
    "corpus": {"type": "sample", "documents": 60},
    "examples": {"max_seq_length": 33, "valid_fraction": 0.2},
    "optimizer": {"type": "adamw", "learning_rate": 1e-3},
    "training": {"steps": 4, "batch_tokens": 300, "accumulation": 2, "log_every_steps": 1,
                 "evaluate_every_steps": 2, "checkpoint_every_steps": 2}
}"#;

#[test]
fn what_does_not_fit_into_memory_is_refused_before_the_corpus_is_prepared() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    std::fs::write(root.join("c.json"), CONFIG).unwrap();
    let sizes = "model.num_hidden_layers=1000";
    let tokens = "training.batch_tokens=16000000";
    let output = run(root, &["train", "c.json", "--set", sizes, "--set", tokens]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("lower training.batch_tokens below"));
    assert!(!root.join("cache").exists());
}

#[test]
fn a_resumed_run_ends_with_the_bits_of_one_that_went_straight_through() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    std::fs::write(root.join("c.json"), CONFIG).unwrap();
    let train = |extra: &[&str]| {
        let mut arguments = vec!["train", "c.json", "--dashboard", "plain"];
        arguments.extend(extra);
        run(root, &arguments)
    };
    let straight = train(&[]);
    assert!(straight.status.success(), "{}", stderr(&straight));

    // A run killed after its checkpoint at step 2: the later one is not there yet.
    let first = train(&["--set", "run_dir=other", "--json"]);
    assert!(first.status.success(), "{}", stderr(&first));
    let value: serde_json::Value = serde_json::from_slice(&first.stdout).unwrap();
    assert_eq!(
        (&value["ending"], &value["step"]),
        (&"done".into(), &4.into())
    );
    assert_eq!(value["model"], "other/model");
    assert!(value["valid"]["mlm_loss"].is_f64(), "{value}");
    std::fs::remove_dir_all(root.join("other/checkpoints/step-000004")).unwrap();
    std::fs::remove_dir_all(root.join("other/model")).unwrap();
    let resumed = train(&["--set", "run_dir=other", "--resume"]);
    assert!(resumed.status.success(), "{}", stderr(&resumed));
    let weights =
        |run: &str| std::fs::read(root.join(run).join("model/model.safetensors")).unwrap();
    assert_eq!(weights("run"), weights("other"));

    let metrics = std::fs::read_to_string(root.join("other/metrics.jsonl")).unwrap();
    let rows: Vec<serde_json::Value> = metrics
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let steps = |split: &str| -> Vec<u64> {
        let rows = rows.iter().filter(|row| row["split"] == split);
        rows.map(|row| row["step"].as_u64().unwrap()).collect()
    };
    assert_eq!(steps("train"), [1, 2, 3, 4]);
    assert_eq!(steps("valid"), [2, 4]);
    let last = rows.last().unwrap();
    for key in [
        "mlm_loss",
        "mlm_accuracy",
        "nsp_accuracy",
        "mlm_unigram_loss",
    ] {
        assert!(last[key].is_f64(), "{key}");
    }

    // Without --resume a run is never written over.
    let again = train(&[]);
    assert_eq!(again.status.code(), Some(2));
    assert!(stderr(&again).contains("--resume"), "{}", stderr(&again));

    let filled = run(
        root,
        &[
            "fill-mask",
            "--model",
            "run/model",
            "--json",
            "--top-k",
            "3",
            "The [MASK] was muddy.",
            "[MASK] and [MASK].",
        ],
    );
    assert!(filled.status.success(), "{}", stderr(&filled));
    let rows = std::str::from_utf8(&filled.stdout).unwrap().lines();
    let rows: Vec<serde_json::Value> = rows.map(|row| serde_json::from_str(row).unwrap()).collect();
    assert_eq!(rows[0]["predictions"].as_array().unwrap().len(), 3);
    let which: Vec<_> = rows.iter().map(|row| row["mask"].as_u64()).collect();
    assert_eq!(which, [Some(0), Some(0), Some(1)]);

    let judged = run(
        root,
        &[
            "next-sentence",
            "--model",
            "run/model",
            "--json",
            "One.",
            "Two.",
        ],
    );
    let row: serde_json::Value = serde_json::from_slice(&judged.stdout).unwrap();
    let sum = row["probabilities"]["is_next"].as_f64().unwrap()
        + row["probabilities"]["is_not_next"].as_f64().unwrap();
    assert!((sum - 1.0).abs() < 1e-12);
}

/// Found by a quickstart that ended elsewhere after preparing its corpus than after finding it prepared: Burn's `recip`,
/// in the backward step of its logarithm, rounds by where a tensor happens to lie in memory.
#[test]
fn a_run_ends_with_the_same_bits_whatever_it_did_before_and_on_any_number_of_threads() {
    let directory = tempfile::tempdir().unwrap();
    let config = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../configs/pretrain/quickstart.json"
    );
    let weights = |run: &str, threads: &str| {
        let run_dir = format!("run_dir={run}");
        let output = Command::new(env!("CARGO_BIN_EXE_bert-pretrain"))
            .current_dir(directory.path())
            .env("RAYON_NUM_THREADS", threads)
            .args([
                "train",
                config,
                "--backend",
                "ndarray",
                "--dashboard",
                "none",
            ])
            .args(["--set", &run_dir, "--set", "cache_dir=cache"])
            .args([
                "--set",
                "training.steps=10",
                "--set",
                "schedule.warmup_steps=5",
            ])
            .args(["--set", "training.evaluate_tokens=4096"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        std::fs::read(directory.path().join(run).join("model/model.safetensors")).unwrap()
    };
    let first = weights("prepares", "2");
    assert!(
        first == weights("finds", "2"),
        "preparing changed the weights"
    );
    assert!(
        first == weights("alone", "1"),
        "the number of threads changed the weights"
    );
}

#[test]
fn a_loss_that_is_not_finite_ends_the_run_with_its_step_and_its_documents() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    std::fs::write(root.join("c.json"), CONFIG).unwrap();
    let mut arguments = vec!["train", "c.json", "--dashboard", "none"];
    for set in [
        "optimizer.learning_rate=1e30",
        "schedule.type=constant",
        "training.max_gradient_norm=null",
        "training.steps=20",
    ] {
        arguments.extend(["--set", set]);
    }
    let output = run(root, &arguments);
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{message}");
    for part in [
        " is not finite at step ",
        "documents",
        "lower optimizer.learning_rate",
    ] {
        assert!(message.contains(part), "{message}");
    }
    assert!(!root.join("run/model").exists());
}

#[cfg(unix)]
#[test]
fn a_run_asked_to_stop_leaves_a_checkpoint_to_go_on_from() {
    for signal in ["-TERM", "-HUP"] {
        stop(signal);
    }
}

/// Stops a run whose standard error nobody reads any more, and goes on with it.
#[cfg(unix)]
fn stop(signal: &str) {
    use std::os::unix::process::CommandExt;
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    std::fs::write(root.join("c.json"), CONFIG).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_bert-pretrain"));
    // SAFETY: a call that may be made between fork and exec. A test that runs under nohup hands its ignored signal on.
    unsafe {
        command.pre_exec(|| {
            libc::signal(libc::SIGHUP, libc::SIG_DFL);
            Ok(())
        });
    }
    let mut child = command
        .current_dir(root)
        .args([
            "train",
            "c.json",
            "--dashboard",
            "plain",
            "--set",
            "training.steps=1000000",
        ])
        .args(["--set", "training.checkpoint_every_steps=1000000"])
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    let metrics = root.join("run/metrics.jsonl");
    let running = || std::fs::metadata(&metrics).is_ok_and(|file| file.len() > 0);
    for _ in 0..600 {
        if running() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert!(running(), "no step was logged in a minute");
    let mut kill = Command::new("kill");
    kill.args([signal, &child.id().to_string()]);
    assert!(kill.status().unwrap().success());
    assert!(child.wait().unwrap().success());
    let checkpoint = std::fs::read_dir(root.join("run/checkpoints"))
        .unwrap()
        .next();
    let name = checkpoint.unwrap().unwrap().file_name();
    let step: u64 = name.to_str().unwrap()["step-".len()..].parse().unwrap();

    let steps = format!("training.steps={}", step + 1);
    let resumed = run(
        root,
        &[
            "train",
            "c.json",
            "--dashboard",
            "none",
            "--resume",
            "--accept-changes",
            "--set",
            &steps,
        ],
    );
    assert!(resumed.status.success(), "{}", stderr(&resumed));
    assert!(root.join("run/model/model.safetensors").is_file());
}

#[test]
fn mistakes_are_told_in_one_line_with_exit_code_two() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    std::fs::write(
        root.join("c.json"),
        CONFIG.replace("\"steps\"", "\"stepz\""),
    )
    .unwrap();
    let output = run(
        root,
        &["train", "c.json", "--set", "examples.masked_fraction=7"],
    );
    assert_eq!(output.status.code(), Some(2));
    let message = stderr(&output);
    assert!(
        message.starts_with("error: ") && message.trim_end().lines().count() == 1,
        "{message}"
    );
    for part in ["training.stepz", "\"steps\"", "examples.masked_fraction"] {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(run(root, &["no-such-command"]).status.code(), Some(2));
    let output = run(root, &["fill-mask", "--model", "nowhere", "[MASK]"]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
}

#[test]
#[cfg(target_os = "linux")] // macOS has no such names
fn a_name_that_is_not_utf_8_is_a_name() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    std::fs::write(root.join("c.json"), CONFIG).unwrap();
    let name = |bytes: &'static [u8]| OsStr::from_bytes(bytes);
    std::fs::create_dir(root.join("texts")).unwrap();
    let documents =
        (0..20).map(|hens| format!("Some {hens} hens laid well.\nThe rain came late.\n\n"));
    let sentences: String = documents.collect();
    std::fs::write(root.join("texts").join(name(b"caf\xe9.txt")), sentences).unwrap();
    let corpus = r#"corpus={"type": "text", "paths": ["texts"]}"#;
    let vocabulary = "tokenizer.vocab_size=60";
    let output = run(
        root,
        &["prepare", "c.json", "--set", corpus, "--set", vocabulary],
    );
    assert!(output.status.success(), "{}", stderr(&output));

    let mut program = Command::new(env!("CARGO_BIN_EXE_bert-pretrain"));
    program
        .args(["sample-data", "--json"])
        .arg(name(b"caf\xe9"));
    let output = program.current_dir(root).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(root.join(name(b"caf\xe9")).is_dir());
}
