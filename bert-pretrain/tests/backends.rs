//! The GPU backend against the CPU's. Without a graphics adapter, software Vulkan will do (Debian: mesa-vulkan-drivers).
#![cfg(all(feature = "ndarray", feature = "wgpu"))]

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// The rows of `metrics.jsonl` of the quickstart on a backend. Dropout is off: the two draw other masks.
fn quickstart(backend: &str, directory: &Path, steps: u32) -> Vec<Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let run = directory.join(backend);
    let set = [
        format!("run_dir={}", run.display()),
        format!("cache_dir={}", directory.join("cache").display()),
        format!("training.steps={steps}"),
        "schedule.warmup_steps=2".into(),
        "training.batch_tokens=256".into(),
        "training.log_every_steps=1".into(),
        "training.evaluate_every_steps=1000".into(),
        "training.evaluate_tokens=1024".into(),
        "model.hidden_dropout_prob=0".into(),
        "model.attention_probs_dropout_prob=0".into(),
    ];
    let output = Command::new(env!("CARGO_BIN_EXE_bert-pretrain"))
        .current_dir(root)
        .args([
            "train",
            "configs/pretrain/quickstart.json",
            "--dashboard",
            "none",
        ])
        .args(["--backend", backend])
        .args(set.iter().flat_map(|set| ["--set", set]))
        .output()
        .expect("the program runs");
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{message}");
    let rows = std::fs::read_to_string(run.join("metrics.jsonl")).expect("written");
    rows.lines()
        .map(|row| serde_json::from_str(row).expect("JSON"))
        .collect()
}

#[test]
fn the_quickstart_on_wgpu_stays_with_the_one_on_ndarray() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let steps = 20;
    let cpu = quickstart("ndarray", directory.path(), steps);
    let gpu = quickstart("wgpu", directory.path(), steps);
    assert_eq!((cpu.len(), gpu.len()), (21, 21)); // an evaluation at the end
    for (index, (cpu, gpu)) in cpu.iter().zip(&gpu).enumerate() {
        for key in ["loss", "mlm_loss", "nsp_loss"] {
            let (a, b) = (&cpu[key].as_f64(), &gpu[key].as_f64());
            let (Some(a), Some(b)) = (a, b) else {
                panic!("{key} is missing in step {}", cpu["step"]);
            };
            // Rounding differs from the first step on, and training amplifies it.
            let tolerance = if index == 0 { 1e-3 } else { 1e-2 };
            assert!(
                (a - b).abs() < tolerance,
                "{key} at {}: {a} and {b}",
                cpu["step"]
            );
        }
    }
    let first = cpu[0]["loss"].as_f64();
    let last = cpu[19]["loss"].as_f64();
    assert!(last < first, "{last:?} is not below {first:?}");
}
