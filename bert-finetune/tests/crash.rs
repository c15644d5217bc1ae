//! A fine-tuning that is killed at any moment and resumed comes to the bits of one that was not.
#![cfg(all(unix, feature = "ndarray"))]

#[path = "../../bert-core/tests/crash/mod.rs"]
mod crash;
mod program;

use std::path::Path;

use program::{configure, model};
use serde_json::json;

/// Stops early, and chooses the best model.
fn prepare(root: &Path) {
    model(root);
    let rows = (0..60).map(|row| match row % 3 {
        0 => format!("yes,the sun {row}\n"),
        1 => format!("no,cold rain {row}\n"),
        _ => format!("maybe,it was late {}\n", row / 2),
    });
    let rows: String = rows.collect();
    std::fs::write(root.join("d.csv"), format!("label,text\n{rows}")).unwrap();
    let data = json!({"train": "d.csv", "test": "d.csv", "valid_fraction": 0.2});
    let training = json!({
        "epochs": 40, "evaluate_every_epochs": 0.5, "log_every_steps": 3, "early_stopping_evaluations": 12,
        "keep_checkpoints": 2, "layer_decay": 0.9, "accumulation": 2,
    });
    configure(root, json!({"type": "classification"}), data, training);
}

#[test]
fn a_run_killed_at_random_moments_ends_with_the_bits_of_one_that_was_not() {
    crash::survive_kills(&prepare, env!("CARGO_BIN_EXE_bert-finetune"));
}
