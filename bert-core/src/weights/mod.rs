//! Parameters in files: Hugging Face's names and layout, safetensors, model directories.

mod directory;
mod names;
mod tensors;

pub use directory::{ModelDirectory, read_config};
pub use names::checkpoint_name;
pub use tensors::{load_module, module_tensors, read_tensors, write_tensors};
