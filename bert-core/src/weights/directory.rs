//! The model directory, laid out as Hugging Face does: `config.json`, weights and the tokenizer's files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::backend::Backend;

use super::module::visit_shapes;
use super::{Checkpoint, Head, Loaded, Part, load_module, read_head, weights_error, write_module};
use crate::config::{BertConfig, read_value};
use crate::error::{Error, Result};
use crate::files::write_json;
use crate::tokenizer::BertTokenizer;

/// A model directory, opened but for its weights.
#[derive(Clone, Debug)]
pub struct ModelDirectory {
    /// Where it is.
    pub path: PathBuf,
    /// `config.json`
    pub config: BertConfig,
    /// The tokenizer's files.
    pub tokenizer: BertTokenizer,
}

impl ModelDirectory {
    /// # Errors
    /// What [`read_config`] and [`BertTokenizer::load`] give, and [`Error::Usage`] where the tokenizer has more tokens than the
    /// model.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let config = read_config(path)?;
        let tokenizer = BertTokenizer::load(path)?;
        tokenizer.check_fits(config.vocab_size)?;
        Ok(Self {
            path: path.to_path_buf(),
            config,
            tokenizer,
        })
    }

    /// What its head is, and what its outputs are called.
    ///
    /// # Errors
    /// What [`named_head`] gives.
    pub fn head(&self) -> Result<Head> {
        named_head(&self.path, self.config.hidden_size)
    }

    /// Fills `module` with the weights.
    ///
    /// # Errors
    /// What [`load_weights`] gives.
    pub fn load<B: Backend, M: Module<B>>(
        &self,
        module: M,
        device: &B::Device,
    ) -> Result<(M, Loaded)> {
        load_weights(&self.path, module, device)
    }

    /// The same, where none of the given parts may be absent, and none of the module's own.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Weights`].
    pub fn load_whole<B: Backend, M: Module<B>>(
        &self,
        module: M,
        needed: &[Part],
        device: &B::Device,
    ) -> Result<M> {
        let (module, loaded) = self.load(module, device)?;
        for part in needed {
            loaded.require(*part, &self.path)?;
        }
        if let Some(part) = loaded.new.first() {
            return Err(weights_error(
                &self.path,
                format!("it has nothing named {part}.*"),
            ));
        }
        Ok(module)
    }

    /// The same, but the given parts keep their initial values, as heads for another task do.
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

/// The head of a directory whose model is `hidden` wide, and what its outputs are called: those of a classifier that
/// `config.json` does not name are `LABEL_0` and on, as in transformers.
///
/// # Errors
/// What [`read_head`] gives, and [`Error::Weights`] where a classifier has not as many outputs as names.
pub fn named_head(directory: &Path, hidden: usize) -> Result<Head> {
    let mut head = read_head(directory)?;
    if head.is_classifier() {
        let checkpoint = Checkpoint::list(directory)?;
        head.name_outputs(&checkpoint, hidden)?;
    }
    Ok(head)
}

/// Fills `module` with the weights of a directory, in whichever form [`Checkpoint::open`] finds them, and says what they
/// lack.
///
/// # Errors
/// [`Error::Io`] or [`Error::Weights`].
pub fn load_weights<B: Backend, M: Module<B>>(
    directory: &Path,
    module: M,
    device: &B::Device,
) -> Result<(M, Loaded)> {
    let checkpoint = Checkpoint::open(directory)?;
    load_module(module, &checkpoint, &BTreeSet::new(), device)
}

/// Writes the configuration and the weights of a model into a directory, in f32, without those of the parts left out. The
/// tokenizer writes its own ([`BertTokenizer::save`]). Outputs of a `classifier` that `head` does not name are written as
/// `LABEL_0` and on: transformers counts the names.
///
/// # Errors
/// [`Error::Io`], and [`Error::Usage`] where the head has names for more or fewer outputs than the classifier's.
pub fn save_model<B: Backend, M: Module<B>>(
    directory: &Path,
    module: &M,
    config: &BertConfig,
    head: &Head,
    without: &BTreeSet<Part>,
) -> Result<()> {
    let mut outputs = None;
    if !without.contains(&Part::Classifier) {
        visit_shapes(module, |name, shape| {
            if name == "classifier.weight" && shape.len() == 2 {
                outputs = Some(shape[0]);
            }
        });
    }
    let keys = match outputs {
        Some(outputs) => head.naming(outputs)?.keys(),
        None => head.keys(),
    };
    let value = config.to_hugging_face(&[&head.architecture], keys);
    write_json(&directory.join("config.json"), &value)?;
    write_module(&directory.join("model.safetensors"), module, without)
}

/// The configuration of a model directory. Its sizes are those of the weights beside it: a model of them is made before
/// weights are read, and sizes that nobody checked could ask for any amount of memory.
///
/// # Errors
/// [`Error::Usage`] where there is no such directory, what reading its `config.json` gives, and [`Error::Weights`] where
/// there are no weights of those sizes.
pub fn read_config(directory: &Path) -> Result<BertConfig> {
    let path = directory.join("config.json");
    if path.is_file() && directory.join("metrics.jsonl").is_file() {
        let model = directory.join("model");
        return Err(Error::Usage {
            problem: format!("{} is the directory of a run", directory.display()),
            help: format!("name its model: {} or its best/", model.display()),
        });
    }
    if !path.is_file() {
        let help = match directory.join("bert_config.json").is_file() {
            true => {
                "TensorFlow's checkpoints are not read; transformers converts google-research/bert's to its own form"
            }
            false => {
                "name a directory with config.json, model.safetensors and tokenizer.json, such as a run's model/"
            }
        };
        return Err(Error::Usage {
            problem: format!(
                "{} is not a model directory: it has no config.json",
                directory.display()
            ),
            help: help.into(),
        });
    }
    let value = read_value(&path)?;
    let config = BertConfig::from_hugging_face(&path.display().to_string(), value);
    let config = config.map_err(|error| match error {
        Error::Config { problems, .. } => {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            Error::Weights {
                path: path.clone(),
                problem: problems.join("; "),
                help: "give another model: this one is not BERT as Devlin et al. 2019 describe it"
                    .into(),
            }
        }
        other => other,
    })?;
    if config.vocab_size == 0 {
        return Err(Error::Weights {
            path,
            problem: "vocab_size is missing".into(),
            help: "add the number of rows of the word embeddings".into(),
        });
    }
    check_sizes(&config, &Checkpoint::list(directory)?)?;
    Ok(config)
}

fn check_sizes(config: &BertConfig, checkpoint: &Checkpoint) -> Result<()> {
    let hidden = config.hidden_size;
    let embeddings = [
        ("word", config.vocab_size),
        ("position", config.max_position_embeddings),
        ("token_type", config.type_vocab_size),
    ];
    let embeddings = embeddings.map(|(name, rows)| {
        let name = format!("bert.embeddings.{name}_embeddings.weight");
        (name, [rows, hidden])
    });
    let layers = (0..config.num_hidden_layers).map(|layer| {
        let name = format!("bert.encoder.layer.{layer}.intermediate.dense.weight");
        (name, [config.intermediate_size, hidden])
    });
    for (name, expected) in embeddings.into_iter().chain(layers) {
        let problem = match checkpoint.shape(&name) {
            Some(shape) if shape == expected => continue,
            Some(shape) => {
                format!("tensor {name} is {shape:?}, by config.json it should be {expected:?}")
            }
            None => format!("tensor {name} is missing, which config.json asks for"),
        };
        return Err(weights_error(checkpoint.path(), problem));
    }
    Ok(())
}
