//! The GPU backend against the CPU's: a head over whole rows, and one over the tokens of selected texts. What every loss comes
//! to on the GPU, a test of bert-core compares with PyTorch. Without a graphics adapter, software Vulkan will do (Debian:
//! mesa-vulkan-drivers).
#![cfg(all(feature = "ndarray", feature = "wgpu"))]

mod program;

use std::path::{Path, PathBuf};

use bert_core::sample_data::write_labelled;
use program::{model, rows, run, stderr};
use serde_json::Value;

/// The first rows of a built-in set, in a file of its own, for one batch or two: software Vulkan takes long to compile
/// and time kernels for every new shape.
fn cut(root: &Path, name: &str) -> PathBuf {
    let written = write_labelled(root, 1, name).unwrap();
    let path = written[0].path.clone();
    let text = std::fs::read_to_string(&path).unwrap();
    let text = if name == "questions" {
        let mut file: Value = serde_json::from_str(&text).unwrap();
        file["data"].as_array_mut().unwrap().truncate(1);
        file.to_string()
    } else {
        let lines: Vec<&str> = text.lines().take(8).collect();
        lines.join("\n")
    };
    std::fs::write(&path, text).unwrap();
    path
}

/// The rows of `metrics.jsonl` of a few steps of a shipped configuration.
fn train(root: &Path, name: &str, data: &Path, backend: &str) -> Vec<Value> {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/finetune");
    let config = config.join(format!("{name}.json"));
    let run_dir = format!("run_dir={name}-{backend}");
    let data = format!("data={}", serde_json::json!({"train": data, "valid": data}));
    let mut arguments = vec!["train", config.to_str().unwrap(), "--dashboard", "none"];
    arguments.extend(["--backend", backend]);
    let mut set = vec![
        &*run_dir,
        &*data,
        "model.path=base",
        "training.max_steps=3",
        "training.batch_tokens=512",
        "training.log_every_steps=1",
        "training.max_seq_length=40",
    ];
    if name == "questions" {
        set.push("task.max_query_tokens=20");
    }
    arguments.extend(set.into_iter().flat_map(|set| ["--set", set]));
    let output = run(root, &arguments);
    assert!(output.status.success(), "{name}: {}", stderr(&output));
    let rows = std::fs::read_to_string(root.join(format!("{name}-{backend}/metrics.jsonl")));
    let rows = rows.unwrap();
    rows.lines()
        .map(|row| serde_json::from_str(row).unwrap())
        .collect()
}

#[test]
fn training_and_answers_on_wgpu_are_those_on_ndarray() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    model(root); // without dropout: the backends draw other masks
    for name in ["sentiment", "questions"] {
        let data = cut(root, name);
        let [cpu, gpu] = ["ndarray", "wgpu"].map(|backend| train(root, name, &data, backend));
        // Three steps and an evaluation at least; a short file is evaluated after each.
        assert!(cpu.len() >= 4 && cpu.len() == gpu.len(), "{name}");
        for (cpu, gpu) in cpu.iter().zip(&gpu) {
            let [a, b] = [cpu, gpu].map(|row| row["loss"].as_f64().unwrap());
            let step = &cpu["step"];
            assert!(
                (a - b).abs() < 1e-3 * a.abs().max(1.0),
                "{name} {step}: {a} and {b}"
            );
        }
    }
    std::fs::write(root.join("in.txt"), "the sun\ncold rain and warm milk\n").unwrap();
    let [cpu, gpu] = ["ndarray", "wgpu"].map(|backend| {
        let model = "sentiment-ndarray/model";
        let arguments = ["predict", "--model", model, "--input", "in.txt"];
        rows(&run(
            root,
            &[&arguments[..], &["--backend", backend]].concat(),
        ))
    });
    assert_eq!([cpu.len(), gpu.len()], [2, 2]);
    for (cpu, gpu) in cpu.iter().zip(&gpu) {
        let [a, b] = [cpu, gpu].map(|row| row["logits"][0].as_f64().unwrap());
        assert!((a - b).abs() < 1e-4, "{a} and {b}");
    }
}
