//! The shipped configurations, and whether `configs/README.md` tells the truth.

#[path = "../../bert-core/tests/documented/mod.rs"]
mod documented;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bert_core::command::{BackendArgs, ConfigArgs};
use bert_core::config::{from_value, write_resolved};
use bert_core::error::Error;
use bert_core::sample_data::LABELLED;
use bert_finetune::config::{DataSource, FinetuneConfig};
use serde_json::{Value, json};

fn configs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs")
}

fn shipped() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(configs().join("finetune")).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// As the commands do.
fn load(file: &Path) -> Result<FinetuneConfig, Error> {
    let arguments = ConfigArgs {
        config: file.to_path_buf(),
        overrides: Vec::new(),
        backend: BackendArgs::default(),
    };
    arguments.load()
}

fn valid(value: Value) -> FinetuneConfig {
    from_value("test", value).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(value: Value) -> String {
    let refused = from_value::<FinetuneConfig>("test", value);
    refused.expect_err("refused").to_string()
}

#[test]
fn every_shipped_configuration_is_valid_and_its_resolved_form_reads_back_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let mut samples = BTreeSet::new();
    let mut tasks = BTreeSet::new();
    for file in shipped() {
        let config = load(&file).unwrap_or_else(|error| panic!("{error}"));
        let written = directory.path().join("config.json");
        write_resolved(&written, &config).unwrap();
        let again = load(&written).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(config, again, "{}", file.display());
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        assert_eq!(config.run_dir, Path::new("runs").join(&name));
        if let DataSource::Sample(sample) = &config.data.train {
            assert_eq!(*sample, name);
            samples.insert(name);
            tasks.insert(config.task.name());
        }
    }
    let known: BTreeSet<String> = LABELLED.map(String::from).into();
    assert_eq!(samples, known, "one for each built-in set");
    assert_eq!(tasks.len(), 6, "all tasks");
}

#[test]
fn what_does_not_go_together_is_refused_all_at_once() {
    let message = refused(json!({
        "model": {}, "data": {"sample": "sentiments", "train": "a.csv", "test": "b.csv"},
        "task": {"type": "regression"}, "schedule": {"warmup_steps": 3, "warmup_fraction": 0.1},
        "training": {"layer_decay": 0, "batch_size": 0, "class_weights": {"a": -1}},
    }));
    for part in [
        "model.path: missing",
        "data.train: cannot stand beside sample",
        "data.sample: \"sentiments\" is not one of sentiment",
        "data.test: cannot stand",
        "schedule.warmup_fraction: cannot stand beside warmup_steps",
        "training.layer_decay",
        "training.batch_size: must be at least 1, or null",
        "training.class_weights",
    ] {
        assert!(message.contains(part), "{message} lacks {part}");
    }
}

#[test]
fn a_warm_up_is_a_fraction_of_the_steps_unless_it_is_given_in_steps() {
    let with = |schedule: Value| {
        valid(json!({"model": {"path": "m"}, "data": {"train": "d.csv"}, "schedule": schedule}))
            .schedule
            .over(70)
            .least_steps()
    };
    assert_eq!(with(json!({})), 7);
    assert_eq!(with(json!({"warmup_fraction": 0.25})), 17);
    assert_eq!(with(json!({"warmup_steps": 3})), 3);
    let trapezoid = json!({"type": "trapezoid", "decay_steps": 20});
    assert_eq!(with(trapezoid), 27);
}

/// Resolved configurations that have every key between them.
fn forms() -> Vec<Value> {
    let tasks = [
        "classification",
        "multi_label",
        "regression",
        "tokens",
        "question_answering",
        "multiple_choice",
    ];
    let data = json!({"train": "d.csv"});
    let form = |task: &str| json!({"model": {"path": "m"}, "data": data, "task": {"type": task}});
    let mut forms: Vec<Value> = tasks.map(form).to_vec();
    forms.push(json!({"model": {"path": "m"}, "data": {"sample": "pairs"}}));
    let forms = forms.into_iter();
    forms
        .map(|form| serde_json::to_value(valid(form)).unwrap())
        .collect()
}

fn chapter() -> String {
    let readme = std::fs::read_to_string(configs().join("README.md")).unwrap();
    let fine_tuning = readme.split("\n# Fine-tuning").nth(1);
    fine_tuning.expect("the chapter").into()
}

#[test]
fn the_readme_names_every_key_of_fine_tuning_and_no_other() {
    // What stands in the chapter on pre-training and is the same here.
    let shared = |key: &str| {
        key == "seed"
            || key.starts_with("backend.")
            || key == "schedule.type"
            || key.starts_with("training.non_finite.")
            || (key.starts_with("optimizer.") && key != "optimizer.learning_rate")
    };
    let real = documented::leaves(&forms()).into_iter().map(|(key, _)| key);
    let real: BTreeSet<String> = real.filter(|key| !shared(key)).collect();
    assert_eq!(documented::keys(&chapter()), real);
}

#[test]
fn the_readme_tells_the_defaults_of_fine_tuning() {
    documented::assert_defaults(&chapter(), &forms());
}
