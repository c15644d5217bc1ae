//! Safetensors in and out of a module.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::Path;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::backend::Backend;
use burn::tensor::{DType, Tensor, TensorData};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use super::names::{checkpoint_name, is_redundant, is_transposed};
use crate::error::{Error, Result};
use crate::files::write_atomically_with;

/// Writes f32 tensors. The metadata says `format: pt`, without which transformers refuses the file.
///
/// # Errors
/// [`Error::Io`], or [`Error::Weights`] where a tensor is not f32.
pub fn write_tensors(path: &Path, tensors: &[(String, TensorData)]) -> Result<()> {
    let mut views = Vec::with_capacity(tensors.len());
    for (name, data) in tensors {
        let shape = data.shape.to_vec();
        let view = match data.dtype {
            DType::F32 => TensorView::new(Dtype::F32, shape, data.as_bytes()),
            other => return Err(weights_error(path, format!("{name} is {other:?}, not f32"))),
        };
        let view = view.map_err(|error| weights_error(path, format!("{name}: {error}")))?;
        views.push((name.as_str(), view));
    }
    let metadata = HashMap::from([("format".to_string(), "pt".to_string())]);
    let bytes = safetensors::serialize(views, Some(metadata))
        .map_err(|error| weights_error(path, error.to_string()))?;
    write_atomically_with(path, |file| file.write_all(&bytes))
}

/// Reads every tensor of a file as f32.
///
/// # Errors
/// [`Error::Io`], or [`Error::Weights`] where the file is not whole or holds another type.
pub fn read_tensors(path: &Path) -> Result<BTreeMap<String, TensorData>> {
    let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
    let file = SafeTensors::deserialize(&bytes)
        .map_err(|error| weights_error(path, format!("not a whole safetensors file ({error})")))?;
    let mut tensors = BTreeMap::new();
    for (name, view) in file.tensors() {
        let (data, shape) = (view.data(), view.shape().to_vec());
        let values: Vec<f32> = match view.dtype() {
            Dtype::F32 => data
                .as_chunks::<4>()
                .0
                .iter()
                .map(|bytes| f32::from_le_bytes(*bytes))
                .collect(),
            other => {
                let problem = format!("tensor {name} is {other:?}; only F32 is read");
                return Err(weights_error(path, problem));
            }
        };
        tensors.insert(name, TensorData::new(values, shape));
    }
    Ok(tensors)
}

/// The parameters of a module under their names in checkpoints, in the layout of checkpoints.
pub fn module_tensors<B: Backend, M: Module<B>>(module: &M) -> Vec<(String, TensorData)> {
    let mut collect = Collect::default();
    module.visit(&mut collect);
    collect.tensors
}

#[derive(Default)]
struct Collect {
    path: Vec<String>,
    tensors: Vec<(String, TensorData)>,
}

impl<B: Backend> ModuleVisitor<B> for Collect {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let path = self.path.join(".");
        let mut value = param.val();
        if is_transposed(&path, D) {
            value = value.swap_dims(0, 1);
        }
        let data = value.into_data().convert::<f32>();
        self.tensors.push((checkpoint_name(&path), data));
    }
}

/// Gives a module the tensors of a checkpoint. `origin` names the file in messages.
///
/// # Errors
/// [`Error::Weights`] naming every tensor that is missing, unknown, or of another shape than the configuration's.
pub fn load_module<B: Backend, M: Module<B>>(
    module: M,
    tensors: BTreeMap<String, TensorData>,
    origin: &Path,
    device: &B::Device,
) -> Result<M> {
    let mut fill = Fill::<B> {
        path: Vec::new(),
        tensors,
        problems: Vec::new(),
        device: device.clone(),
    };
    let module = module.map(&mut fill);
    let unknown = fill.tensors.keys().filter(|name| !is_redundant(name));
    fill.problems
        .extend(unknown.map(|name| format!("unknown tensor {name}")));
    if fill.problems.is_empty() {
        return Ok(module);
    }
    Err(weights_error(origin, fill.problems.join("; ")))
}

struct Fill<B: Backend> {
    path: Vec<String>,
    tensors: BTreeMap<String, TensorData>,
    problems: Vec<String>,
    device: B::Device,
}

impl<B: Backend> ModuleMapper<B> for Fill<B> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let path = self.path.join(".");
        let name = checkpoint_name(&path);
        let transposed = is_transposed(&path, D);
        let mut expected = param.lazy_shape().to_vec();
        if transposed {
            expected.reverse();
        }
        match self.tensors.remove(&name) {
            None => self.problems.push(format!("missing tensor {name}")),
            Some(data) if data.shape.to_vec() != expected => self.problems.push(format!(
                "tensor {name} is {:?}, the configuration wants {expected:?}",
                data.shape.to_vec()
            )),
            Some(data) => {
                let (id, old, mapper) = param.consume();
                let mut value = Tensor::<B, D>::from_data(data, &self.device);
                if transposed {
                    // A copy in the layout of the module: a view would slow down every later pass.
                    let copy = value.swap_dims(0, 1).into_data();
                    value = Tensor::<B, D>::from_data(copy, &self.device);
                }
                return Param::from_mapped_value(
                    id,
                    value.set_require_grad(old.is_require_grad()),
                    mapper,
                );
            }
        }
        param
    }
}

fn weights_error(path: &Path, problem: String) -> Error {
    Error::Weights {
        path: path.to_path_buf(),
        problem,
        help: "check that the directory holds a whole model of this configuration".into(),
    }
}
