//! Memory, threads and file descriptors of a long run. `BERT_LONG_STEPS` says how long.
#![cfg(all(target_os = "linux", feature = "ndarray"))]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;

#[derive(Debug, Clone, Copy)]
struct Sample {
    kilobytes: usize,
    threads: usize,
    descriptors: usize,
}

fn sample(process: u32) -> Option<Sample> {
    let path = format!("/proc/{process}");
    let status = std::fs::read_to_string(format!("{path}/status")).ok()?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    Some(Sample {
        kilobytes: field("VmRSS:")?,
        threads: field("Threads:")?,
        descriptors: std::fs::read_dir(format!("{path}/fd")).ok()?.count(),
    })
}

fn last_step(root: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(root.join("run/metrics.jsonl")).ok()?;
    let row: serde_json::Value = serde_json::from_str(text.lines().last()?).ok()?;
    row["step"].as_u64()
}

#[test]
fn a_long_run_takes_no_more_at_its_end_than_at_its_beginning() {
    let steps = std::env::var("BERT_LONG_STEPS").ok();
    let steps: u64 = steps.map_or(2000, |steps| steps.parse().expect("a number of steps"));
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let config = json!({
        "run_dir": "run", "cache_dir": "cache",
        "model": {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32,
                  "max_position_embeddings": 32},
        "tokenizer": {"type": "train", "vocab_size": 300},
        "corpus": {"type": "sample", "documents": 200},
        "examples": {"max_seq_length": 32, "valid_fraction": 0.2},
        "training": {"steps": steps, "batch_tokens": 512, "log_every_steps": 5, "evaluate_every_steps": 100,
                     "evaluate_tokens": 512, "checkpoint_every_steps": 50},
    });
    std::fs::write(root.join("c.json"), config.to_string()).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_bert-pretrain"))
        .current_dir(root)
        .args(["train", "c.json", "--dashboard", "plain"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Of each tenth of the run, the most.
    let mut tenths = [Sample {
        kilobytes: 0,
        threads: 0,
        descriptors: 0,
    }; 10];
    while child.try_wait().unwrap().is_none() {
        if let (Some(step), Some(sample)) = (last_step(root), sample(child.id())) {
            let most = &mut tenths[(step * 10 / steps).min(9) as usize];
            most.kilobytes = most.kilobytes.max(sample.kilobytes);
            most.threads = most.threads.max(sample.threads);
            most.descriptors = most.descriptors.max(sample.descriptors);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(child.wait().unwrap().success());
    println!("{steps} steps, by tenths: {tenths:?}");
    let (early, late) = (tenths[1], tenths[9]);
    assert!(
        early.kilobytes > 0 && late.kilobytes > 0,
        "too short a run to see anything"
    );
    // Evaluations and checkpoints come and go between samples; a leak would be one for each.
    assert!(late.threads <= early.threads + 3, "threads: {tenths:?}");
    assert!(
        late.descriptors <= early.descriptors + 5,
        "file descriptors: {tenths:?}"
    );
    // What the allocator keeps wanders a little.
    assert!(
        late.kilobytes <= early.kilobytes + early.kilobytes / 10 + 4096,
        "memory: {tenths:?}"
    );
}
