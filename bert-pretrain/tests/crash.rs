//! A pre-training that is killed at any moment and resumed comes to the bits of one that was not.
#![cfg(all(unix, feature = "ndarray"))]

#[path = "../../bert-core/tests/crash/mod.rs"]
mod crash;

use std::path::Path;

/// Checkpoints between logged steps, evaluations between checkpoints, and a corpus to prepare first.
const CONFIG: &str = r#"{
    "run_dir": "run", "cache_dir": "cache",
    "model": {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 48,
              "max_position_embeddings": 40},
    "tokenizer": {"type": "train", "vocab_size": 300},
    "corpus": {"type": "sample", "documents": 60},
    "examples": {"max_seq_length": 33, "valid_fraction": 0.2},
    "optimizer": {"type": "adamw", "learning_rate": 1e-3},
    "schedule": {"type": "linear", "warmup_steps": 5},
    "training": {"steps": 60, "batch_tokens": 600, "accumulation": 2, "log_every_steps": 3,
                 "evaluate_every_steps": 4, "checkpoint_every_steps": 2}
}"#;

#[test]
fn a_run_killed_at_random_moments_ends_with_the_bits_of_one_that_was_not() {
    let prepare = |root: &Path| std::fs::write(root.join("c.json"), CONFIG).unwrap();
    crash::survive_kills(&prepare, env!("CARGO_BIN_EXE_bert-pretrain"));
}
