//! A run directory: one process writes to it, what it holds is not written over, and an interrupted run goes on.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::checkpoint::{Checkpoints, Found, read_recipe};
use crate::config::{FromSection, from_value, read_value};
use crate::error::{Error, Result};
use crate::files::{Lock, remove_leftovers_of};
use crate::weights::WEIGHTS;

/// What a run leaves that another must not write over.
const RESULTS: [&str; 5] = [
    "best",
    "model",
    "metrics.jsonl",
    "results.json",
    "seeds.json",
];

/// What else it writes there; other programs may be writing beside it.
const WORK: [&str; 4] = ["config.json", "data", "non_finite", "tokenizer"];

/// A run directory that is this process's own as long as this lives.
#[derive(Debug)]
pub struct RunDirectory {
    checkpoint: Option<PathBuf>,
    remarks: Vec<String>,
    _lock: Lock,
}

impl RunDirectory {
    /// Takes a directory for a new run, or with `resume` to go on from the newest checkpoint that is whole. Damaged ones
    /// after it are set aside under the name `step-NNNNNN.damaged`; a run without a checkpoint begins anew.
    ///
    /// # Errors
    /// [`Error::Usage`] where another process trains here, where a model is there, a run that was not to be resumed, or
    /// none that can be; [`Error::Weights`] where no checkpoint is whole; [`Error::Io`].
    pub fn open(path: &Path, resume: bool) -> Result<Self> {
        let shown = path.display();
        let lock = Lock::take(&path.join(".lock"), &shown.to_string())?;
        // A run would write over the model's config.json.
        if let Some(weights) = WEIGHTS.iter().find(|name| path.join(name).exists()) {
            return Err(Error::Usage {
                problem: format!("{shown} is a model directory: it has {weights}"),
                help: "choose another directory with --set run_dir=...".into(),
            });
        }
        let checkpoints = Checkpoints::new(path, 1);
        for name in RESULTS.iter().chain(&WORK) {
            remove_leftovers_of(&path.join(name))?;
        }
        checkpoints.remove_leftovers()?;
        let mut run = Self {
            checkpoint: None,
            remarks: Vec::new(),
            _lock: lock,
        };
        if !resume {
            let result = RESULTS.iter().find(|name| path.join(name).exists());
            let result = match checkpoints.newest()? {
                Some(_) => Some(&"checkpoints"),
                None => result,
            };
            return match result {
                None => Ok(run),
                Some(result) => Err(Error::Usage {
                    problem: format!("{shown} already holds a run: it has {result}"),
                    help: "add --resume to go on with it, choose another directory with --set run_dir=..., or \
                           remove it"
                        .into(),
                }),
            };
        }
        let Found { whole, damaged } = checkpoints.newest_whole()?;
        match (&whole, damaged.first()) {
            (None, Some((newest, problem))) => {
                return Err(Error::Weights {
                    path: newest.clone(),
                    problem: format!("{problem}, and no other checkpoint is whole"),
                    help: format!("remove {shown} and start the run anew"),
                });
            }
            (None, None) if path.join("model").exists() => {
                return Err(Error::Usage {
                    problem: format!("{shown} has a model but no checkpoint to resume from"),
                    help: "choose another directory with --set run_dir=..., or remove it".into(),
                });
            }
            (None, None) => run
                .remarks
                .push("no checkpoint yet: the run begins at its first step".into()),
            (Some(_), _) => {}
        }
        for (checkpoint, problem) in damaged {
            let aside = checkpoints.set_aside(&checkpoint)?;
            run.remarks.push(format!(
                "{} is damaged ({problem}): it is {} now, and the one before it is used",
                checkpoint.display(),
                aside.display()
            ));
        }
        run.checkpoint = whole;
        Ok(run)
    }

    /// Refuses to begin a run at `path`, where this is, if there is a `config.json` that no run wrote: its resolved
    /// configuration would be written over it.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub fn check_config<T: FromSection + Serialize>(&self, path: &Path) -> Result<()> {
        let file = path.join("config.json");
        if self.checkpoint.is_some() || !file.exists() {
            return Ok(());
        }
        let is_resolved = |written: Value| {
            let config = from_value::<T>("config.json", written.clone());
            config.is_ok_and(|config| json!(config) == written)
        };
        if read_value(&file).is_ok_and(is_resolved) {
            return Ok(());
        }
        Err(Error::Usage {
            problem: format!(
                "{} would be written over, and no run wrote it",
                file.display()
            ),
            help: "move it, or choose another directory with --set run_dir=...".into(),
        })
    }

    /// The checkpoint that the run goes on from; `None` for one that begins.
    pub fn checkpoint(&self) -> Option<&Path> {
        self.checkpoint.as_deref()
    }

    /// What the user should know of what was found.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// Every key whose value is not that with which the checkpoint was trained, a line each, but for `free` keys: those
    /// that change no weights. Nothing for a run that begins.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Weights`] where the checkpoint cannot be read.
    pub fn changed_keys<T: FromSection + Serialize>(
        &self,
        config: &T,
        free: &[&str],
    ) -> Result<Vec<String>> {
        let Some(checkpoint) = &self.checkpoint else {
            return Ok(Vec::new());
        };
        let before = read_recipe(checkpoint)?.config;
        // Read again, so that keys which are newer than the checkpoint have their defaults.
        let resolved = from_value::<T>("checkpoint", before.clone()).map(|config| json!(config));
        let (mut was, mut is) = (Map::new(), Map::new());
        flatten("", &resolved.unwrap_or(before), &mut was);
        flatten("", &json!(config), &mut is);
        let keys = was
            .keys()
            .chain(is.keys().filter(|key| !was.contains_key(*key)));
        let shown = |value: Option<&Value>| value.map_or("nothing".to_string(), Value::to_string);
        let changed =
            keys.filter(|key| was.get(*key) != is.get(*key) && !free.contains(&key.as_str()));
        let changed = changed.map(|key| {
            let (was, is) = (shown(was.get(key)), shown(is.get(key)));
            format!("{key} was {was}, is {is}")
        });
        Ok(changed.collect())
    }

    /// A line where the data are not those that the checkpoint was trained on, by their fingerprint.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Weights`] where the checkpoint cannot be read.
    pub fn changed_data(&self, data: &str) -> Result<Vec<String>> {
        let changed = match &self.checkpoint {
            Some(checkpoint) => read_recipe(checkpoint)?.data != data,
            None => false,
        };
        Ok(changed
            .then(|| "the data are others".to_string())
            .into_iter()
            .collect())
    }

    /// Refuses changes that the user did not accept.
    ///
    /// # Errors
    /// [`Error::Usage`] with all of them.
    pub fn refuse(&self, changes: &[String]) -> Result<()> {
        let Some(checkpoint) = self.checkpoint.as_ref().filter(|_| !changes.is_empty()) else {
            return Ok(());
        };
        Err(Error::Usage {
            problem: format!("{} was trained otherwise: {}", checkpoint.display(), changes.join("; ")),
            help: "undo that, or accept it with --accept-changes; --set run_dir=... begins another run".into(),
        })
    }
}

/// What decides the numbers of a run; its checkpoints carry it.
#[derive(Debug, Clone, PartialEq, Serialize, serde::Deserialize)]
pub struct Recipe {
    /// The whole configuration, resolved.
    pub config: Value,
    /// A fingerprint of what the data are made of.
    pub data: String,
}

impl Recipe {
    /// Of a configuration and a fingerprint of its data.
    pub fn new(config: &impl Serialize, data: String) -> Self {
        Self {
            config: json!(config),
            data,
        }
    }
}

/// Every value that is no object, by its dotted path.
fn flatten(path: &str, value: &Value, flat: &mut Map<String, Value>) {
    match value {
        Value::Object(object) if !object.is_empty() => {
            for (key, value) in object {
                let dot = if path.is_empty() { "" } else { "." };
                flatten(&format!("{path}{dot}{key}"), value, flat);
            }
        }
        other => drop(flat.insert(path.to_string(), other.clone())),
    }
}
