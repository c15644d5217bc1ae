//! From the tensors of a checkpoint to the parameters of a module, and back.

use std::collections::BTreeSet;
use std::path::Path;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};

use super::names::{Part, checkpoint_name, modern_name, own_part};
use super::safetensors::write_safetensors;
use super::{Checkpoint, weights_error};
use crate::error::{Error, Result};

/// What loading a checkpoint left as it was, for the user to know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Parts that the checkpoint lacks: they have their initial values.
    pub absent: BTreeSet<Part>,
    /// Parts of the user's own that the checkpoint has nothing of, by the name of their field: they have their initial
    /// values.
    pub new: BTreeSet<String>,
    /// Tensors of parts that the module has not, such as other tasks' heads; they are not used.
    pub unused: Vec<String>,
}

impl Loaded {
    /// Refuses a checkpoint without a part that cannot be done without. `origin` names it in the message.
    ///
    /// # Errors
    /// [`Error::Weights`].
    pub fn require(&self, part: Part, origin: &Path) -> Result<()> {
        if !self.absent.contains(&part) {
            return Ok(());
        }
        Err(Error::Weights {
            path: origin.to_path_buf(),
            problem: format!("it has no {part}"),
            help: "give a model that was trained with it, or train it: {\"model\": {\"path\": …}} in a \
                   configuration goes on from this one"
                .into(),
        })
    }

    /// What a user should know, a sentence each.
    pub fn remarks(&self) -> Vec<String> {
        let absent = self.absent.iter();
        let mut remarks: Vec<String> = absent
            .map(|part| {
                format!("the {part} is not in the checkpoint and starts from initial values")
            })
            .collect();
        let new = self.new.iter();
        remarks.extend(new.map(|part| {
            format!("{part}.* is not in the checkpoint and starts from initial values")
        }));
        if !self.unused.is_empty() {
            remarks.push(format!("not used: {}", self.unused.join(", ")));
        }
        remarks
    }
}

/// Gives a module the tensors of a checkpoint, one by one, but for those of the parts that are to stay as they are.
///
/// The module is one of [`crate::model`], whose fields are named as in checkpoints; a bare [`crate::model::BertModel`]; or one
/// that has such a model's fields beside others of its own, which keep their initial values where the checkpoint has nothing
/// under their names. Parameters stay frozen or not as they are, and on the device that the module was made for, which
/// `device` should be.
///
/// # Errors
/// [`Error::Io`], or [`Error::Weights`] naming every tensor that is missing, unknown, or of another shape than the
/// configuration's.
pub fn load_module<B: Backend, M: Module<B>>(
    module: M,
    checkpoint: &Checkpoint,
    without: &BTreeSet<Part>,
    device: &B::Device,
) -> Result<(M, Loaded)> {
    let is_left_out = |name: &str| Part::of(name).is_some_and(|part| without.contains(&part));
    let names = checkpoint.names().filter(|name| !is_left_out(name));
    let names: BTreeSet<&str> = names.collect();
    let mut fill = Fill::<B> {
        place: Place::default(),
        present: names.iter().filter_map(|name| Part::of(name)).collect(),
        present_own: names.iter().filter_map(|name| own_part(name)).collect(),
        checkpoint,
        unread: names,
        problems: Vec::new(),
        failure: None,
        loaded: Loaded::default(),
        device: device.clone(),
    };
    let module = module.map(&mut fill);
    if let Some(error) = fill.failure {
        return Err(error);
    }
    let (unused, unknown): (Vec<&str>, Vec<&str>) =
        (fill.unread.into_iter()).partition(|name| Part::of(name).is_some());
    fill.loaded.unused = unused.into_iter().map(str::to_string).collect();
    if !unknown.is_empty() {
        // A body under another name than `bert` looks like a part of the user's own.
        let new = fill.loaded.new.iter();
        let new = new.map(|part| format!("it has nothing named {part}.*"));
        fill.problems.extend(new);
    }
    let unknown = unknown.into_iter();
    let unknown = unknown.map(|name| format!("unknown tensor {name}"));
    fill.problems.extend(unknown);
    if fill.problems.is_empty() {
        return Ok((module, fill.loaded));
    }
    let shown = fill.problems.iter().take(8).map(String::as_str);
    let mut problem = shown.collect::<Vec<_>>().join("; ");
    if fill.problems.len() > 8 {
        problem += &format!("; and {} more", fill.problems.len() - 8);
    }
    Err(weights_error(checkpoint.path(), problem))
}

/// Where a visit of a module is: the names of fields from the root on, and the kind of module that each is a field of.
#[derive(Default)]
struct Place(Vec<(String, String)>);

impl Place {
    fn enter(&mut self, name: &str, container: &str) {
        self.0.push((name.to_string(), container.to_string()));
    }

    fn leave(&mut self) {
        self.0.pop();
    }

    fn path(&self) -> String {
        let names: Vec<&str> = self.0.iter().map(|(name, _)| name.as_str()).collect();
        names.join(".")
    }

    /// Whether a checkpoint keeps the transpose of the parameter that is here: linear maps, Burn's own too, are `[in, out]`
    /// here and `[out, in]` there; tables, such as embeddings and what users add, are alike.
    fn is_transposed(&self, dimensions: usize) -> bool {
        let container = self.0.last().map(|(_, container)| container.as_str());
        dimensions == 2 && container == Some("Struct:Linear")
    }
}

struct Fill<'a, B: Backend> {
    place: Place,
    /// The parts of which the checkpoint has a tensor; it must have all of them then.
    present: BTreeSet<Part>,
    /// The same of a user's own parts.
    present_own: BTreeSet<&'a str>,
    checkpoint: &'a Checkpoint,
    unread: BTreeSet<&'a str>,
    problems: Vec<String>,
    /// The first tensor that could not be read.
    failure: Option<Error>,
    loaded: Loaded,
    device: B::Device,
}

impl<B: Backend> Fill<'_, B> {
    /// The values of a parameter in its own layout; `None` where it keeps its initial ones, or after an error.
    fn values(&mut self, shape: &[usize]) -> Option<Vec<f32>> {
        let path = self.place.path();
        let name = modern_name(&checkpoint_name(&path));
        let transposed = self.place.is_transposed(shape.len());
        let mut expected = shape.to_vec();
        if transposed {
            expected.reverse();
        }
        let found = self.checkpoint.shape(&name);
        let Some(found) = found.filter(|_| self.unread.contains(name.as_str())) else {
            match (Part::of(&name), own_part(&name)) {
                (Some(part), _) if !self.present.contains(&part) => {
                    self.loaded.absent.insert(part);
                }
                (_, Some(part)) if !self.present_own.contains(part) => {
                    self.loaded.new.insert(part.to_string());
                }
                _ => self.problems.push(format!("missing tensor {name}")),
            }
            return None;
        };
        self.unread.remove(name.as_str());
        if found != expected {
            self.problems.push(format!(
                "tensor {name} is {found:?}, the configuration wants {expected:?}"
            ));
            return None;
        }
        if self.failure.is_some() || !self.problems.is_empty() {
            return None;
        }
        match self.checkpoint.read(&name) {
            Ok(values) if transposed => values.map(|values| transpose(&values, expected[1])),
            Ok(values) => values,
            Err(error) => {
                self.failure = Some(error);
                None
            }
        }
    }
}

impl<B: Backend> ModuleMapper<B> for Fill<'_, B> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.place.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.place.leave();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let shape = param.lazy_shape().to_vec();
        let Some(values) = self.values(&shape) else {
            return param;
        };
        let data = TensorData::new(values, shape).convert::<B::FloatElem>();
        let value = Tensor::<B, D>::from_data(data, &self.device);
        // The initial values, drawn only when they are asked for, never are. What was frozen stays so.
        let id = param.id;
        param.transform_for_load(value, id)
    }
}

/// Writes the parameters of a module under their names in checkpoints, in the layout of checkpoints, without those of
/// the parts left out.
///
/// # Errors
/// [`Error::Io`].
pub fn write_module<B: Backend, M: Module<B>>(
    path: &Path,
    module: &M,
    without: &BTreeSet<Part>,
) -> Result<()> {
    let is_left_out =
        |name: &str| Part::of(&modern_name(name)).is_some_and(|part| without.contains(&part));
    let mut layout = Vec::new();
    module.visit(&mut Visit::new(|name, shape, _| {
        if !is_left_out(&name) {
            layout.push((name, shape));
        }
    }));
    write_safetensors(path, layout, |writer| {
        let mut result = Ok(());
        module.visit(&mut Visit::new(|name, _, values| {
            if result.is_ok() && !is_left_out(&name) {
                result = writer.write(&values());
            }
        }));
        result
    })
}

/// Shows the name and the shape of every parameter, as a checkpoint has them.
pub(super) fn visit_shapes<B: Backend, M: Module<B>>(
    module: &M,
    mut see: impl FnMut(&str, &[usize]),
) {
    module.visit(&mut Visit::new(
        |name: String, shape: Vec<usize>, _: &dyn Fn() -> Vec<f32>| {
            see(&name, &shape);
        },
    ));
}

/// Passes on the name, the shape and, where they are asked for, the values of every parameter, as a checkpoint has them.
struct Visit<F> {
    place: Place,
    take: F,
}

impl<F: FnMut(String, Vec<usize>, &dyn Fn() -> Vec<f32>)> Visit<F> {
    fn new(take: F) -> Self {
        let place = Place::default();
        Self { place, take }
    }
}

impl<B, F> ModuleVisitor<B> for Visit<F>
where
    B: Backend,
    F: FnMut(String, Vec<usize>, &dyn Fn() -> Vec<f32>),
{
    fn enter_module(&mut self, name: &str, container: &str) {
        self.place.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.place.leave();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let path = self.place.path();
        let mut shape = param.lazy_shape().to_vec();
        let transposed = self.place.is_transposed(D);
        if transposed {
            shape.reverse();
        }
        let rows = shape.first().copied();
        let values = || {
            let values = f32_values(param.val().into_data());
            match rows {
                Some(columns) if transposed => transpose(&values, columns),
                _ => values,
            }
        };
        (self.take)(checkpoint_name(&path), shape, &values);
    }
}

/// The values of a tensor as f32.
pub(crate) fn f32_values(data: TensorData) -> Vec<f32> {
    match data.convert::<f32>().into_vec() {
        Ok(values) => values,
        Err(error) => unreachable!("data converted to f32 is f32: {error:?}"),
    }
}

/// The transpose of a row-major matrix, in tiles that stay in the cache.
fn transpose(values: &[f32], columns: usize) -> Vec<f32> {
    const TILE: usize = 32;
    let rows = values.len() / columns.max(1);
    let mut transposed = vec![0.0; values.len()];
    for row_start in (0..rows).step_by(TILE) {
        for column_start in (0..columns).step_by(TILE) {
            for row in row_start..rows.min(row_start + TILE) {
                for column in column_start..columns.min(column_start + TILE) {
                    transposed[column * rows + row] = values[row * columns + column];
                }
            }
        }
    }
    transposed
}
