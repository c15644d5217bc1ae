//! The tensors of a model directory, in whichever files they come, under the names of today.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use super::names::{TIED, is_buffer, modern_name};
use super::stored::{DataFile, StoredTensor};
use super::{pytorch, safetensors, weights_error};
use crate::config::read_value;
use crate::error::{Error, Result};

/// Named tensors that are read one by one.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    tensors: BTreeMap<String, StoredTensor>,
}

/// Where weights are looked for, best first.
pub(crate) const FILES: [&str; 4] = [
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
];

/// Weights of other frameworks, to be named in the message that refuses them.
const FOREIGN: [&str; 3] = ["tf_model.h5", "flax_model.msgpack", "bert_model.ckpt.index"];

impl Checkpoint {
    /// The weights of a model directory: `model.safetensors` or `pytorch_model.bin`, whole or in shards with an index.
    /// No values are read yet, except to see that second copies of tied parameters are copies.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::Weights`] where there are none, a file is not whole, or tied parameters differ.
    pub fn open(directory: &Path) -> Result<Self> {
        let mut checkpoint = Self::list(directory)?;
        checkpoint.untie()?;
        Ok(checkpoint)
    }

    /// The tensors of all files, second copies of tied parameters among them.
    pub(super) fn list(directory: &Path) -> Result<Self> {
        let found = FILES.iter().map(|name| directory.join(name));
        let Some(path) = found.into_iter().find(|path| path.is_file()) else {
            let foreign = FOREIGN.iter().find(|name| directory.join(name).exists());
            return Err(Error::Weights {
                path: directory.to_path_buf(),
                problem: match foreign {
                    Some(name) => format!("{name} is of another framework and not read"),
                    None => "it has no weights".into(),
                },
                help: "give a directory with model.safetensors or pytorch_model.bin".into(),
            });
        };
        let mut checkpoint = Self {
            path: path.clone(),
            tensors: BTreeMap::new(),
        };
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            let index = read_value(&path)?;
            for shard in shards(&index).map_err(|problem| weights_error(&path, problem))? {
                let shard = directory.join(shard);
                if shard.is_symlink() {
                    // It may lead out of the directory, which its index has no business to do.
                    let problem = format!("its shard {} is a symbolic link", shard.display());
                    return Err(weights_error(&path, problem));
                }
                checkpoint.add(&shard)?;
            }
            checkpoint.check_index(&index)?;
        } else {
            checkpoint.add(&path)?;
        }
        checkpoint.rename_only_copies();
        Ok(checkpoint)
    }

    /// Every tensor of one safetensors file, under the names it gives them.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::Weights`] where the file is not whole.
    pub fn open_safetensors(path: &Path) -> Result<Self> {
        let tensors = safetensors::tensors_of(&DataFile::open(path)?)?;
        Ok(Self {
            path: path.to_path_buf(),
            tensors: tensors.into_iter().collect(),
        })
    }

    /// The file that was opened, or the index of its shards.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The shape of a tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(StoredTensor::shape)
    }

    /// The values of a tensor in row-major order; F16 and BF16 become f32, exactly. `None` where there is no such tensor.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::Weights`] where it is of another type.
    pub fn read(&self, name: &str) -> Result<Option<Vec<f32>>> {
        let tensor = self.tensors.get(name);
        tensor.map(|tensor| tensor.read(name)).transpose()
    }

    fn add(&mut self, path: &Path) -> Result<()> {
        let file = DataFile::open(path)?;
        let tensors = if path.extension().is_some_and(|extension| extension == "bin") {
            pytorch::tensors_of(&file)?
        } else {
            safetensors::tensors_of(&file)?
        };
        for (name, tensor) in tensors {
            let modern = modern_name(&name);
            if is_buffer(&modern) {
                continue;
            }
            if self.tensors.insert(modern.clone(), tensor).is_some() {
                return Err(file.error(format!("tensor {name} is there twice, as {modern}")));
            }
        }
        Ok(())
    }

    /// Every tensor of the index must have come from some shard.
    fn check_index(&self, index: &Value) -> Result<()> {
        let names = index["weight_map"].as_object().into_iter().flatten();
        let missing = names
            .map(|(name, _)| modern_name(name))
            .find(|name| !is_buffer(name) && !self.tensors.contains_key(name));
        match missing {
            Some(name) => Err(weights_error(
                &self.path,
                format!("no shard has tensor {name}"),
            )),
            None => Ok(()),
        }
    }

    /// Takes out the second names of tied parameters.
    fn untie(&mut self) -> Result<()> {
        for (second, first) in TIED {
            let Some(copy) = self.tensors.remove(second) else {
                continue;
            };
            match self.tensors.get(first) {
                Some(tensor) if !tensor.equals(&copy, second)? => {
                    let problem = format!(
                        "{second} differs from {first}: models whose decoder is not tied to the word \
                         embeddings are not supported"
                    );
                    return Err(weights_error(&self.path, problem));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Gives tied parameters that are there under their second names alone their first.
    fn rename_only_copies(&mut self) {
        for (second, first) in TIED {
            if !self.tensors.contains_key(first)
                && let Some(copy) = self.tensors.remove(second)
            {
                self.tensors.insert(first.to_string(), copy);
            }
        }
    }
}

/// The files that an index names, each once. They must lie beside it.
fn shards(index: &Value) -> Result<Vec<&str>, String> {
    let map = index["weight_map"].as_object();
    let map = map.ok_or("it has no object \"weight_map\"")?;
    let mut shards = Vec::new();
    for (tensor, file) in map {
        let file = file.as_str();
        let file = file.ok_or_else(|| format!("the file of {tensor} is not a string"))?;
        let mut parts = Path::new(file).components();
        let plain = matches!(
            (parts.next(), parts.next()),
            (Some(Component::Normal(_)), None)
        );
        if !plain || file.contains(['/', '\\']) {
            return Err(format!("{file:?} is not the name of a file beside it"));
        }
        shards.push(file);
    }
    shards.sort_unstable();
    shards.dedup();
    Ok(shards)
}
