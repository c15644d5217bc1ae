//! Parameters in files: model directories with Hugging Face's names and layout.
//!
//! | file | what it holds |
//! |---|---|
//! | `directory.rs` | [`ModelDirectory`]: configuration, weights and tokenizer together |
//! | `head.rs` | [`Head`]: which head a model has, and what its outputs are called |
//! | `module.rs` | from the tensors of a checkpoint to the parameters of a module, and back |
//! | `checkpoint.rs` | [`Checkpoint`]: the tensors of a directory, in whichever files they come |
//! | `names.rs` | what tensors are called |
//! | `safetensors.rs`, `pytorch.rs` | the two file formats |
//! | `stored.rs` | a tensor where it lies in a file |
//! | `pickle.rs` | the descriptions of tensors in PyTorch's files, and nothing else of a pickle |

mod checkpoint;
mod directory;
mod head;
mod module;
mod names;
mod pickle;
mod pytorch;
mod safetensors;
mod stored;

use std::path::Path;

use crate::error::Error;

pub use checkpoint::Checkpoint;
pub(crate) use checkpoint::FILES as WEIGHTS;
pub use directory::{ModelDirectory, load_weights, named_head, read_config, save_model};
pub use head::{Head, ProblemType, read_head};
pub(crate) use module::f32_values;
pub use module::{Loaded, load_module, write_module};
pub use names::{Part, checkpoint_name};
pub use safetensors::{ValueWriter, write_safetensors};

fn weights_error(path: &Path, problem: impl Into<String>) -> Error {
    Error::Weights {
        path: path.to_path_buf(),
        problem: problem.into(),
        help: "check that the directory holds a whole model of this configuration".into(),
    }
}
