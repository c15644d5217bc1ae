//! The shipped configurations, what is refused, and whether `configs/README.md` tells the truth.

#[path = "../../bert-core/tests/documented/mod.rs"]
mod documented;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Once;

use bert_core::command::{BackendArgs, ConfigArgs};
use bert_core::config::{from_value, write_resolved};
use bert_core::error::Error;
use bert_pretrain::config::{CorpusConfig, ModelSource, PretrainConfig, TokenizerConfig};
use serde_json::{Value, json};

/// The repository's root as working directory, where the relative paths of shipped files start.
fn at_root() -> PathBuf {
    static ENTER: Once = Once::new();
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    ENTER.call_once(|| std::env::set_current_dir(&root).expect("the repository's root"));
    PathBuf::from("configs")
}

/// As the commands do.
fn load(file: &Path, overrides: &[String]) -> Result<PretrainConfig, Error> {
    let arguments = ConfigArgs {
        config: file.to_path_buf(),
        overrides: overrides.to_vec(),
        backend: BackendArgs::default(),
    };
    arguments.load()
}

fn read(value: Value) -> Result<PretrainConfig, String> {
    from_value("test", value).map_err(|error| error.to_string())
}

fn refused(value: Value) -> String {
    read(value).expect_err("refused")
}

fn valid(value: Value) -> PretrainConfig {
    read(value).expect("valid")
}

fn resolved(config: &PretrainConfig) -> Value {
    serde_json::to_value(config).expect("JSON")
}

fn json_files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).expect("readable");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.retain(|file| {
        file.extension()
            .is_some_and(|extension| extension == "json")
    });
    files.sort();
    files
}

fn sizes(config: &PretrainConfig) -> Value {
    match &config.model {
        ModelSource::Sizes(sizes) => serde_json::to_value(sizes).expect("JSON"),
        ModelSource::Directory(path) => panic!("{} is no model of sizes", path.display()),
    }
}

#[test]
fn every_shipped_configuration_is_valid_and_its_resolved_form_reads_back_the_same() {
    let files = json_files(&at_root().join("pretrain"));
    assert_eq!(files.len(), 7);
    let directory = tempfile::tempdir().expect("a temporary directory");
    for file in files {
        let config = load(&file, &[]).unwrap_or_else(|error| panic!("{error}"));
        let written = directory.path().join("config.json");
        write_resolved(&written, &config).expect("written");
        let again = load(&written, &[]).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(config, again, "{}", file.display());
        let name = file.file_stem().expect("a name").to_string_lossy();
        assert_eq!(config.run_dir, Path::new("runs").join(&*name));
    }
}

#[test]
fn every_shipped_model_has_the_sizes_of_its_paper() {
    at_root();
    // Turc et al. 2019, table 1; Devlin et al. 2019, section 3.
    let papers = [
        ("tiny", 128, 2, 2),
        ("mini", 256, 4, 4),
        ("small", 512, 4, 8),
        ("medium", 512, 8, 8),
        ("base", 768, 12, 12),
        ("large", 1024, 24, 16),
    ];
    assert_eq!(json_files(Path::new("configs/model")).len(), papers.len());
    for (name, hidden, layers, heads) in papers {
        let file = format!("configs/model/{name}.json");
        let sizes = sizes(&valid(json!({"model": {"config": file}})));
        assert_eq!(sizes["hidden_size"], hidden, "{name}");
        assert_eq!(sizes["num_hidden_layers"], layers, "{name}");
        assert_eq!(sizes["num_attention_heads"], heads, "{name}");
        assert_eq!(sizes["intermediate_size"], 4 * hidden, "{name}");
    }
}

#[test]
fn second_phases_go_on_from_what_first_phases_write() {
    let configs = at_root().join("pretrain");
    for name in ["tiny", "base"] {
        let phase = |length: usize| -> PretrainConfig {
            load(&configs.join(format!("{name}-{length}.json")), &[]).expect("valid")
        };
        let (first, second) = (phase(128), phase(512));
        let written = first.run_dir.join("model");
        assert_eq!(second.model, ModelSource::Directory(written.clone()));
        assert_eq!(second.tokenizer, TokenizerConfig::Load { path: written });
        assert_eq!(first.training.steps, 9 * second.training.steps);
        let positions = &sizes(&first)["max_position_embeddings"];
        assert_eq!(
            positions.as_u64(),
            Some(second.examples.max_seq_length as u64)
        );
    }
}

#[test]
fn the_two_quickstarts_differ_in_nothing_but_backend_and_place() {
    let configs = at_root().join("pretrain");
    let cpu = load(&configs.join("quickstart.json"), &[]).expect("valid");
    let gpu = load(&configs.join("quickstart-wgpu.json"), &[]).expect("valid");
    let same = PretrainConfig {
        backend: cpu.backend.clone(),
        run_dir: cpu.run_dir.clone(),
        ..gpu
    };
    assert_eq!(same, cpu);
}

#[test]
fn an_empty_object_is_a_whole_configuration_and_reads_back_the_same() {
    let config = valid(json!({}));
    assert_eq!(valid(resolved(&config)), config);
    assert!(matches!(config.corpus, CorpusConfig::Sample { .. }));
    assert_eq!(config.training.max_gradient_norm, Some(1.0));
}

#[test]
fn every_form_reads_back_the_same() {
    for change in [
        json!({"corpus": {"type": "text", "paths": ["a*.txt", "b"], "documents": "file"}}),
        json!({"corpus": {"type": "jsonl", "paths": ["c.jsonl.gz"], "sentences": "lines"}}),
        json!({"tokenizer": {"type": "load", "path": "vocab.txt"}}),
        json!({"model": {"path": "DIR"}}),
        json!({"model": {"hidden_size": 35, "num_attention_heads": 7, "vocab_size": 9001}}),
        json!({"examples": {"pairs": "sop", "whole_word": true}}),
        json!({"examples": {"pairs": "none"}, "model": {"type_vocab_size": 1}}),
        json!({"training": {"max_gradient_norm": null}}),
        json!({"schedule": {"type": "trapezoid", "warmup_steps": 3, "decay_steps": 5}}),
    ] {
        let config = valid(change);
        assert_eq!(valid(resolved(&config)), config);
    }
}

#[test]
fn problems_in_all_sections_are_reported_at_once_with_their_keys() {
    let value = json!({
        "run_dir": "",
        "seed": -1,
        "backend": {"compte": "f32"},
        "model": {"num_hidden_layers": "two"},
        "tokenizer": {"vocab_size": 5},
        "corpus": {"type": "text", "paths": []},
        "examples": {"masked_fraction": 0, "pairs": "next", "max_seq_length": 4},
        "training": {"steps": 0, "max_gradient_norm": 0, "batch_size": 8, "keep_checkpoints": 0},
        "trainning": {}
    });
    let error = from_value::<PretrainConfig>("test", value).expect_err("refused");
    let message = error.to_string();
    for key in [
        "run_dir: ",
        "seed: ",
        "backend.compte: unknown key; did you mean",
        "model.num_hidden_layers: expected a",
        "tokenizer.vocab_size: must be",
        "corpus.paths: must name",
        "examples.masked_fraction: must be above 0",
        "examples.pairs: ",
        "examples.max_seq_length: must be",
        "training.steps: must be",
        "training.max_gradient_norm: must be",
        "training.batch_size: unknown key; did you mean",
        "training.keep_checkpoints: must be",
        "trainning: unknown key; did you mean",
    ] {
        assert!(message.contains(key), "{key} is not in {message}");
    }
    // Each cause is one problem: comparisons with a value that could not be read say nothing.
    let Error::Config { problems, .. } = error else {
        panic!("{message}")
    };
    assert_eq!(problems.len(), 14, "{message}");
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    for (value, problem) in [
        (
            json!({"training": {"batch_tokens": 127}}),
            "training.batch_tokens: must be at least examples.max_seq_length (128)",
        ),
        (
            json!({"model": {"max_position_embeddings": 127}}),
            "examples.max_seq_length: must be at most model.max_position_embeddings (127)",
        ),
        (
            json!({"schedule": {"warmup_steps": 1001}}),
            "schedule.warmup_steps: ",
        ),
        (
            json!({"model": {"type_vocab_size": 1}}),
            "model.type_vocab_size: must be at least 2",
        ),
        (
            json!({"tokenizer": {"vocab_size": 10_000_001}}),
            "tokenizer.vocab_size: must be at least 6 and at most 10000000, found 10000001",
        ),
        (
            json!({"model": {"vocab_size": 8191}}),
            "model.vocab_size: must be at least tokenizer.vocab_size (8192)",
        ),
        (
            json!({"model": {"pad_token_id": 3}}),
            "model.pad_token_id: must be 0",
        ),
        (
            json!({"model": {"path": "DIR"}, "tokenizer": {"type": "train"}}),
            "tokenizer: must be {\"type\": \"load\"",
        ),
        (
            json!({"model": {"path": "DIR", "hidden_size": 64}}),
            "model.hidden_size: cannot stand beside path",
        ),
    ] {
        let message = refused(value);
        assert!(message.contains(problem), "{problem} is not in {message}");
    }
}

#[test]
fn a_model_to_go_on_from_brings_its_own_vocabulary() {
    let config = valid(json!({"model": {"path": "runs/a/model"}}));
    let path = "runs/a/model".into();
    assert_eq!(config.tokenizer, TokenizerConfig::Load { path });
}

#[test]
fn keys_beside_a_model_file_override_it() {
    at_root();
    let model =
        json!({"config": "configs/model/mini.json", "num_hidden_layers": 3, "vocab_size": 9000});
    let sizes = sizes(&valid(json!({"model": model})));
    assert_eq!(sizes["num_hidden_layers"], 3);
    assert_eq!(sizes["vocab_size"], 9000);
    assert_eq!(sizes["hidden_size"], 256);
}

#[test]
fn problems_of_a_model_file_are_named_with_the_file() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("odd.json");
    std::fs::write(&file, r#"{"hidden_sise": 64, "num_hidden_layers": 0}"#).expect("written");
    let message = refused(json!({"model": {"config": file}, "seed": "x"}));
    let name = file.display();
    for part in [
        format!("model: {name}: hidden_sise: unknown key; did you mean"),
        format!("model: {name}: num_hidden_layers: must be at least 1"),
        "seed: expected".to_string(),
    ] {
        assert!(message.contains(&part), "{part} is not in {message}");
    }
    let message = refused(json!({"model": {"config": "no/such/model.json"}}));
    assert!(message.contains("no/such/model.json"), "{message}");
}

#[test]
fn a_misspelt_key_beside_a_model_file_is_named_with_the_nearest() {
    at_root();
    let model = json!({"config": "configs/model/tiny.json", "hiden_size": 64});
    let message = refused(json!({"model": model}));
    assert!(
        message.contains("model.hiden_size: unknown key; did you mean"),
        "{message}"
    );
}

#[test]
fn a_type_set_alone_leaves_keys_of_the_old_type_to_be_named() {
    let file = at_root().join("pretrain/tiny-128.json");
    let overrides = ["corpus.type=sample".to_string()];
    let message = load(&file, &overrides).expect_err("refused").to_string();
    assert!(message.contains("corpus.paths: "), "{message}");

    let overrides = [r#"corpus={"type": "sample", "documents": 7}"#.to_string()];
    let config = load(&file, &overrides).expect("valid");
    assert_eq!(config.corpus, CorpusConfig::Sample { documents: 7 });
}

/// Configurations that together have every key.
fn forms() -> Vec<Value> {
    let text = json!({"corpus": {"type": "text", "paths": ["a"]}});
    let jsonl = json!({"corpus": {"type": "jsonl", "paths": ["a"]}});
    let mut forms = vec![json!({}), text, jsonl];
    forms.push(json!({"tokenizer": {"type": "load", "path": "a"}, "model": {"path": "a"}}));
    forms.push(json!({"backend": {"type": "wgpu"}, "optimizer": {"type": "lamb"}}));
    forms.push(json!({"schedule": {"type": "cosine"}}));
    forms.push(json!({"training": {"non_finite": {"type": "skip"}}}));
    forms.push(json!({"schedule": {"type": "trapezoid", "decay_steps": 1}}));
    forms
        .into_iter()
        .map(|form| resolved(&valid(form)))
        .collect()
}

fn chapter() -> String {
    let readme = std::fs::read_to_string(at_root().join("README.md")).expect("readable");
    let pre_training = readme.split("# Pre-training").nth(1).expect("the chapter");
    pre_training.split("\n# ").next().expect("its text").into()
}

#[test]
fn the_readme_names_every_key_and_no_other() {
    let real = documented::leaves(&forms()).into_iter();
    let mut real: BTreeSet<String> = real.map(|(key, _)| key).collect();
    // These are written only where they are given; the keys of a file stand in place of its own.
    for key in ["config", "vocab_size", "classifier_dropout"] {
        real.insert(format!("model.{key}"));
    }
    assert_eq!(documented::keys(&chapter()), real);
}

#[test]
fn the_readme_tells_the_defaults() {
    documented::assert_defaults(&chapter(), &forms());
}
