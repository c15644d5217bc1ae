//! The shipped configurations, and whether `configs/README.md` tells the truth.

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

fn leaves(path: &str, value: &Value, found: &mut Vec<(String, Value)>) {
    let Value::Object(object) = value else {
        found.push((path.to_string(), value.clone()));
        return;
    };
    for (key, value) in object {
        let path = match path.is_empty() {
            true => key.clone(),
            false => format!("{path}.{key}"),
        };
        leaves(&path, value, found);
    }
}

/// Each row of the chapter's tables: key and default.
fn documented() -> Vec<(String, String)> {
    let readme = std::fs::read_to_string(configs().join("README.md")).unwrap();
    let chapter = readme.split("\n# Fine-tuning").nth(1).expect("the chapter");
    let rows = chapter.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 5, "{row}");
        (cells[0].trim_matches('`').to_string(), cells[1].to_string())
    })
    .collect()
}

#[test]
fn the_readme_names_every_key_of_fine_tuning_and_no_other() {
    let mut real = Vec::new();
    for form in forms() {
        leaves("", &form, &mut real);
    }
    // What stands in the chapter on pre-training and is the same here.
    let shared = |key: &str| {
        key == "seed"
            || key.starts_with("backend.")
            || key == "schedule.type"
            || key.starts_with("training.non_finite.")
            || (key.starts_with("optimizer.") && key != "optimizer.learning_rate")
    };
    let real: BTreeSet<String> = real.into_iter().map(|(key, _)| key).collect();
    let real: BTreeSet<String> = real.into_iter().filter(|key| !shared(key)).collect();
    let documented: BTreeSet<String> = documented().into_iter().map(|(key, _)| key).collect();
    assert_eq!(documented, real);
}

#[test]
fn the_readme_tells_the_defaults_of_fine_tuning() {
    let mut real = Vec::new();
    for form in forms() {
        leaves("", &form, &mut real);
    }
    let mut checked = 0;
    for (key, cell) in documented() {
        // A default in italics is described, not written.
        let Some(text) = cell
            .strip_prefix('`')
            .and_then(|cell| cell.split('`').next())
        else {
            assert!(cell.starts_with('*'), "{key}: {cell}");
            continue;
        };
        let default: Value = serde_json::from_str(text).unwrap_or_else(|_| panic!("{key}: {text}"));
        let same = real
            .iter()
            .any(|(real, value)| *real == key && *value == default);
        assert!(same, "the default of {key} is not {text}");
        checked += 1;
    }
    assert!(checked > 35, "{checked} defaults only");
}
