//! The program, run as a script would, on a small model that knows nothing yet.
#![allow(dead_code)] // each test program uses a part

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use bert_core::config::{BertConfig, from_value};
use bert_core::model::BertForPreTraining;
use bert_core::tokenizer::BertTokenizer;
use bert_core::weights::{Head, save_model};
use burn_ndarray::NdArray;
use serde_json::{Value, json};

pub(crate) fn run(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bert-finetune"))
        .current_dir(directory)
        .args(arguments)
        .output()
        .unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The rows of JSON that a command printed.
pub(crate) fn rows(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let rows = text.lines().map(serde_json::from_str);
    rows.collect::<Result<_, _>>()
        .unwrap_or_else(|error| panic!("{error} in {text}; {}", stderr(output)))
}

/// A directory with a model of 40 positions, pre-trained in form only.
pub(crate) fn model(root: &Path) -> PathBuf {
    let fixture =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../bert-core/tests/golden/tokenizers/uncased");
    let tokenizer = BertTokenizer::load(&fixture).unwrap();
    let config: BertConfig = from_value(
        "test",
        json!({"vocab_size": tokenizer.vocab_size(), "hidden_size": 36, "num_hidden_layers": 2,
               "num_attention_heads": 3, "intermediate_size": 72, "max_position_embeddings": 40,
               "initializer_range": 0.1, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}),
    )
    .unwrap();
    let path = root.join("base");
    let model = BertForPreTraining::<NdArray<f32>>::new(&config, 1, &Default::default());
    let head = Head::new("BertForPreTraining");
    save_model(&path, &model, &config, &head, &BTreeSet::new()).unwrap();
    tokenizer.save(&path, None).unwrap();
    path
}

/// A configuration of a short training on `base`, with these sections and keys of `training`.
pub(crate) fn configure(root: &Path, task: Value, data: Value, training: Value) {
    let mut all = json!({
        "epochs": 60, "batch_tokens": 120, "max_seq_length": 40, "evaluate_every_epochs": 20,
        "log_every_steps": 50
    });
    if let (Value::Object(all), Value::Object(more)) = (&mut all, training) {
        all.extend(more);
    }
    let config = json!({
        "run_dir": "run", "model": {"path": "base"}, "task": task, "data": data,
        "optimizer": {"learning_rate": 3e-3}, "training": all,
    });
    std::fs::write(root.join("c.json"), config.to_string()).unwrap();
}
