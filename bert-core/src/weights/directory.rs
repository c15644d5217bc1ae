//! The model directory, laid out as Hugging Face does.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::backend::Backend;
use serde_json::Value;

use super::{Checkpoint, Head, Loaded, Part, load_module, write_module};
use crate::config::{BertConfig, read_value};
use crate::error::{Error, Result};
use crate::files::write_atomically;

/// A directory with `config.json` and `model.safetensors`; the tokenizer's files stand beside them.
#[derive(Debug, Clone)]
pub struct ModelDirectory {
    path: PathBuf,
}

/// The configuration of a model directory.
///
/// # Errors
/// [`Error::Usage`] where there is no such directory, and what reading its `config.json` gives.
pub fn read_config(directory: &Path) -> Result<BertConfig> {
    let path = directory.join("config.json");
    if !path.is_file() {
        return Err(Error::Usage {
            problem: format!("{} is not a model directory: it has no config.json", directory.display()),
            help: "name a directory with config.json, model.safetensors and tokenizer.json, such as a run's model/".into(),
        });
    }
    let config = BertConfig::from_hugging_face(&path.display().to_string(), read_value(&path)?)?;
    if config.vocab_size == 0 {
        return Err(Error::Weights {
            path,
            problem: "vocab_size is missing".into(),
            help: "add the number of rows of the word embeddings".into(),
        });
    }
    Ok(config)
}

impl ModelDirectory {
    /// At a path, which need not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Writes configuration and weights, in f32, without those of the parts left out.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn save<B: Backend, M: Module<B>>(
        &self,
        module: &M,
        config: &BertConfig,
        head: &Head,
        without: &BTreeSet<Part>,
    ) -> Result<()> {
        let value = config.to_hugging_face(&[&head.architecture], head.keys());
        write_json(&self.path.join("config.json"), &value)?;
        write_module(&self.path.join("model.safetensors"), module, without)
    }

    /// Fills `module` with the weights, in whichever form [`Checkpoint::open`] finds them, and says what they lack.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Weights`].
    pub fn load<B: Backend, M: Module<B>>(
        &self,
        module: M,
        device: &B::Device,
    ) -> Result<(M, Loaded)> {
        self.load_without(module, &BTreeSet::new(), device)
    }

    /// The same, but the given parts keep their initial values.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Weights`].
    pub fn load_without<B: Backend, M: Module<B>>(
        &self,
        module: M,
        without: &BTreeSet<Part>,
        device: &B::Device,
    ) -> Result<(M, Loaded)> {
        load_module(module, &Checkpoint::open(&self.path)?, without, device)
    }
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    let text = format!("{value:#}\n");
    write_atomically(path, text.as_bytes())
}
