//! Checkpoints: a model directory with the optimizer's moments, the position of the run, what decides its numbers, and
//! checksums of all these files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::directory::Recipe;
use crate::error::{Error, Result};
use crate::files::{
    CHECKSUMS, damage, remove_leftovers, write_checked_directory, write_directory_atomically,
    write_json,
};
use crate::ops::BertAutodiffBackend;
use crate::optim::BertOptimizer;
use crate::weights::{Checkpoint, f32_values, write_safetensors};

/// The files of a checkpoint beside those of a model directory.
const OPTIMIZER: &str = "optimizer.safetensors";
const POSITION: &str = "position.json";
const RECIPE: &str = "recipe.json";

/// Where a run stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// Optimizer steps done.
    pub step: u64,
    /// Of these, the ones that were passed over.
    pub skipped: u64,
    /// Of those, the last ones.
    pub skipped_in_a_row: u64,
    /// Where the stream of batches goes on, in the task's own terms.
    pub resume: Value,
    /// The best value so far of the metric that models are chosen by.
    pub best: Option<f64>,
    /// All metrics of the evaluation that gave it.
    #[serde(default)]
    pub best_metrics: Map<String, Value>,
    /// Which metric, on what.
    #[serde(default)]
    pub best_by: String,
    /// Evaluations since then.
    pub evaluations_since_best: u64,
    /// What was summed up since the last logged step.
    pub window: Window,
}

impl Position {
    /// Of a run that begins; `resume` is the beginning of its stream of batches.
    fn first(resume: Value) -> Self {
        Self {
            step: 0,
            skipped: 0,
            skipped_in_a_row: 0,
            resume,
            best: None,
            best_metrics: Map::new(),
            best_by: String::new(),
            evaluations_since_best: 0,
            window: Window::default(),
        }
    }

    /// With models chosen by this metric on these data: values of others say nothing beside theirs.
    pub(super) fn judged_by(mut self, metric: &str, held_out: &str) -> Self {
        let by = format!("{metric} {held_out}");
        // Checkpoints of before it was written down say nothing.
        if self.best_by != by && !self.best_by.is_empty() {
            self.best = None;
            self.best_metrics.clear();
            self.evaluations_since_best = 0;
        }
        self.best_by = by;
        self
    }
}

/// Sums since the last logged step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// Of the task.
    pub statistics: Vec<f64>,
    /// Tokens of the steps.
    pub tokens: usize,
    /// Their time.
    pub seconds: f64,
    /// Of this, how long the loop waited for batches.
    pub waited: f64,
}

/// The checkpoints of a run, in `checkpoints/`.
#[derive(Debug, Clone)]
pub struct Checkpoints {
    directory: PathBuf,
    keep: usize,
}

/// The checkpoints that matter to a run that goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// The newest that is whole.
    pub whole: Option<PathBuf>,
    /// Those after it, newest first, with what is wrong with each.
    pub damaged: Vec<(PathBuf, String)>,
}

impl Checkpoints {
    /// Of a run directory, keeping the newest `keep`.
    pub fn new(run_dir: &Path, keep: usize) -> Self {
        Self {
            directory: run_dir.join("checkpoints"),
            keep,
        }
    }

    /// Writes a checkpoint whole or not at all, with the optimizer's [moments](BertOptimizer::moments), then removes the
    /// oldest beyond `keep`.
    ///
    /// # Errors
    /// What `save_model` returns, or [`Error::Io`].
    pub fn save<B: Backend>(
        &self,
        position: &Position,
        recipe: &Recipe,
        moments: Vec<(String, Tensor<B, 1>)>,
        save_model: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let path = self.directory.join(format!("step-{:06}", position.step));
        write_checked_directory(&path, |directory| {
            save_model(directory)?;
            write_moments(&directory.join(OPTIMIZER), moments)?;
            write_json(&directory.join(RECIPE), recipe)?;
            write_json(&directory.join(POSITION), position)
        })?;
        let list = self.list()?;
        for (_, old) in list.iter().rev().skip(self.keep.max(1)) {
            crate::files::remove(old);
        }
        Ok(path)
    }

    /// The newest checkpoint, where there is one.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn newest(&self) -> Result<Option<PathBuf>> {
        Ok(self.list()?.pop().map(|(_, path)| path))
    }

    /// The newest checkpoint whose files are what their checksums say, and those after it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn newest_whole(&self) -> Result<Found> {
        let mut found = Found::default();
        for (_, path) in self.list()?.into_iter().rev() {
            match damage(&path) {
                None => {
                    found.whole = Some(path);
                    break;
                }
                Some(problem) => found.damaged.push((path, problem)),
            }
        }
        Ok(found)
    }

    /// Takes a damaged checkpoint out of the list, under another name.
    pub(super) fn set_aside(&self, checkpoint: &Path) -> Result<PathBuf> {
        let aside = checkpoint.with_extension("damaged");
        if aside.exists() {
            fs::remove_dir_all(&aside).map_err(Error::io("remove", &aside))?;
        }
        fs::rename(checkpoint, &aside).map_err(Error::io("rename", checkpoint))?;
        Ok(aside)
    }

    pub(super) fn remove_leftovers(&self) -> Result<()> {
        remove_leftovers(&self.directory)
    }

    fn list(&self) -> Result<Vec<(u64, PathBuf)>> {
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::io("read", &self.directory)(error)),
        };
        let mut list = Vec::new();
        for entry in entries {
            let entry = entry.map_err(Error::io("read", &self.directory))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Some(step) = name.strip_prefix("step-").and_then(|s| s.parse().ok()) {
                list.push((step, entry.path()));
            }
        }
        list.sort();
        Ok(list)
    }
}

/// The model of a checkpoint, or any model directory, as a directory of its own.
///
/// # Errors
/// [`Error::Io`].
pub fn publish(from: &Path, model: &Path) -> Result<()> {
    write_directory_atomically(model, |directory| {
        for entry in fs::read_dir(from).map_err(Error::io("read", from))? {
            let entry = entry.map_err(Error::io("read", from))?;
            let name = entry.file_name();
            let ours = [OPTIMIZER, POSITION, RECIPE, CHECKSUMS];
            if !ours.iter().any(|other| name == *other) {
                let file = entry.path();
                fs::copy(&file, directory.join(name)).map_err(Error::io("copy", &file))?;
            }
        }
        Ok(())
    })
}

/// Where a run starts, and its stream of batches: at the first, or where its checkpoint says, with the optimizer as it was.
///
/// # Errors
/// [`Error::Io`], or [`Error::Weights`] where a file is not whole.
pub fn start<B: BertAutodiffBackend, C: Default + Serialize + DeserializeOwned>(
    checkpoint: Option<&Path>,
    optimizer: &BertOptimizer<B>,
    device: &B::Device,
) -> Result<(Position, C)> {
    let Some(checkpoint) = checkpoint else {
        let cursor = C::default();
        return Ok((Position::first(json!(cursor)), cursor));
    };
    let path = checkpoint.join(POSITION);
    let position: Position = read_json(&path)?;
    let cursor = C::deserialize(&position.resume);
    let cursor = cursor.map_err(|error| corrupt(&path, error.to_string()))?;
    restore_optimizer(checkpoint, &position, optimizer, device)?;
    Ok((position, cursor))
}

/// What decided the numbers of a checkpoint.
///
/// # Errors
/// [`Error::Io`], or [`Error::Weights`] where the file is not whole.
pub fn read_recipe(checkpoint: &Path) -> Result<Recipe> {
    read_json(&checkpoint.join(RECIPE))
}

/// Gives an optimizer the state that a checkpoint holds.
///
/// # Errors
/// [`Error::Io`], or [`Error::Weights`] where the file is not whole.
fn restore_optimizer<B: BertAutodiffBackend>(
    checkpoint: &Path,
    position: &Position,
    optimizer: &BertOptimizer<B>,
    device: &B::Device,
) -> Result<()> {
    let path = checkpoint.join(OPTIMIZER);
    let file = Checkpoint::open_safetensors(&path)?;
    let mut moments = BTreeMap::new();
    for name in file.names() {
        let values = file.read(name)?.unwrap_or_default();
        let shape = [values.len()];
        moments.insert(name.to_string(), TensorData::new(values, shape));
    }
    let updates = position.step - position.skipped.min(position.step);
    if optimizer.restore(updates, moments, device) {
        Ok(())
    } else {
        Err(corrupt(&path, "a moment lacks its twin".to_string()))
    }
}

fn write_moments<B: Backend>(path: &Path, moments: Vec<(String, Tensor<B, 1>)>) -> Result<()> {
    let layout = moments.iter();
    let layout = layout.map(|(name, moment)| (name.clone(), moment.dims().to_vec()));
    write_safetensors(path, layout.collect(), |writer| {
        for (_, moment) in moments {
            writer.write(&f32_values(moment.into_data()))?;
        }
        Ok(())
    })
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = fs::read_to_string(path).map_err(Error::io("read", path))?;
    serde_json::from_str(&text).map_err(|error| corrupt(path, error.to_string()))
}

fn corrupt(path: &Path, problem: String) -> Error {
    Error::Weights {
        path: path.to_path_buf(),
        problem,
        help: "remove this checkpoint and resume from the one before it".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_best_by_another_metric_or_on_other_data_is_not_compared() {
        let mut position = Position::first(json!(0)).judged_by("f1", "a");
        position.best = Some(88.5);
        position.evaluations_since_best = 2;
        let same = position.clone().judged_by("f1", "a");
        assert_eq!(same, position);
        for (metric, held_out) in [("loss", "a"), ("f1", "b")] {
            let other = position.clone().judged_by(metric, held_out);
            assert_eq!((other.best, other.evaluations_since_best), (None, 0));
        }
    }
}
