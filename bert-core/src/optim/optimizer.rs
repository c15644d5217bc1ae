//! The optimizer of a whole model.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::module::{AutodiffModule, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::{GradientsParams, MultiGradientsParams, Optimizer};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::ops::FloatTensor;
use burn::tensor::{Shape, Tensor, TensorData, TensorMetadata};

use crate::config::OptimizerConfig;
use crate::ops::{AdamArgs, BertAutodiffBackend, BertBackend, Kernels, Moments, primitive, tensor};

/// The kernels of the backend that is differentiated.
type KernelsOf<B> = <<B as AutodiffBackend>::InnerBackend as BertBackend>::Kernels;

/// AdamW or LAMB with decoupled weight decay on matrices only, after clipping by the global norm. LAMB scales the steps of
/// those alone.
///
/// Clones share one state: burn-train's learner owns one, the training loop keeps another to write checkpoints.
#[derive(Clone)]
pub struct BertOptimizer<B: AutodiffBackend> {
    config: OptimizerConfig,
    max_gradient_norm: Option<f64>,
    scale_of: LearningRateScale,
    finite_only: bool,
    state: Arc<Mutex<State<B::InnerBackend>>>,
}

/// What the learning rate of a parameter is multiplied with, by its path.
type LearningRateScale = Arc<dyn Fn(&str) -> f64 + Send + Sync>;

struct State<B: Backend> {
    step: u64,
    moments: BTreeMap<String, Moments<B>>,
    /// Steps that were done before a parameter's first, where that was not the optimizer's, as of layers that were frozen.
    before: BTreeMap<String, u64>,
    gradient_norm: Option<Tensor<B, 1>>,
}

/// Layer-wise learning-rate decay (Clark et al. 2020, appendix B): 1 for the head and the pooler, `decay^(L - l)` for
/// layer `l` of `L`, counted from 0, and `decay^(L + 1)` for the embeddings.
pub fn layer_decay(path: &str, decay: f64, layers: usize) -> f64 {
    let depth = if path.contains("embeddings.") {
        layers + 1
    } else if let Some((_, rest)) = path.split_once("encoder.layer.") {
        let layer = rest.split('.').next().and_then(|layer| layer.parse().ok());
        layers.saturating_sub(layer.unwrap_or(layers))
    } else {
        0
    };
    decay.powi(depth as i32)
}

impl<B: BertAutodiffBackend> BertOptimizer<B> {
    /// Without history. `max_gradient_norm` `None` leaves gradients as they are. The learning rate is an argument of every
    /// [`Optimizer::step`]; `learning_rate` of the configuration, the peak of a schedule, is not used here.
    pub fn new(config: OptimizerConfig, max_gradient_norm: Option<f64>) -> Self {
        let state = State {
            step: 0,
            moments: BTreeMap::new(),
            before: BTreeMap::new(),
            gradient_norm: None,
        };
        Self {
            config,
            max_gradient_norm,
            scale_of: Arc::new(|_| 1.0),
            finite_only: false,
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// With a learning rate of its own for each parameter: `scale` times the schedule's, by the parameter's path. See
    /// [`layer_decay`].
    pub fn with_learning_rate_scale(
        self,
        scale: impl Fn(&str) -> f64 + Send + Sync + 'static,
    ) -> Self {
        let scale_of = Arc::new(scale);
        Self { scale_of, ..self }
    }

    /// Leaves weights and moments as they are at a step whose gradient is not finite. To know that, the host waits for
    /// the device inside every step.
    pub fn with_finite_updates_only(self) -> Self {
        Self {
            finite_only: true,
            ..self
        }
    }

    /// The global norm of the last step's gradients before clipping, `[1]`; not read back from the device yet.
    pub fn gradient_norm(&self) -> Option<Tensor<B::InnerBackend, 1>> {
        self.lock().gradient_norm.clone()
    }

    /// The moments of every parameter, flat, by path: `first.<path>` and `second.<path>`, and of one that began late
    /// `before.<path>`, `[1]`, the steps that were done by then. They stay as they are while the optimizer goes on.
    pub fn moments(&self) -> Vec<(String, Tensor<B::InnerBackend, 1>)> {
        let state = self.lock();
        let mut list = Vec::with_capacity(2 * state.moments.len());
        for (path, moments) in &state.moments {
            let [first, second] = [&moments.first, &moments.second]
                .map(|moment| tensor(flatten::<B::InnerBackend>(moment.clone())));
            if let Some(steps) = state.before.get(path) {
                let steps = TensorData::from([*steps as f64]);
                let steps = steps.convert::<B::FloatElem>();
                let steps = Tensor::from_data(steps, &first.device());
                list.push((format!("before.{path}"), steps));
            }
            list.push((format!("first.{path}"), first));
            list.push((format!("second.{path}"), second));
        }
        list
    }

    /// Takes up the state that [`BertOptimizer::moments`] gave after `step` updates; shapes are found again with the
    /// parameters. `false` where a moment lacks its twin.
    pub fn restore(
        &self,
        step: u64,
        mut named: BTreeMap<String, TensorData>,
        device: &B::Device,
    ) -> bool {
        let mut state = self.lock();
        state.step = step;
        state.moments.clear();
        state.before.clear();
        let paths: Vec<String> = named
            .keys()
            .filter_map(|name| name.strip_prefix("first.").map(str::to_string))
            .collect();
        for path in paths {
            let first = named.remove(&format!("first.{path}"));
            let second = named.remove(&format!("second.{path}"));
            let (Some(first), Some(second)) = (first, second) else {
                return false;
            };
            let load = |data| primitive(Tensor::<B::InnerBackend, 1>::from_data(data, device));
            let moments = Moments {
                first: load(first),
                second: load(second),
            };
            if let Some(before) = named.remove(&format!("before.{path}")) {
                let steps = before.iter::<f64>().next().unwrap_or(0.0);
                state.before.insert(path.clone(), steps as u64);
            }
            state.moments.insert(path, moments);
        }
        named.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, State<B::InnerBackend>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn flatten<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let length = x.shape().num_elements();
    B::float_reshape(x, Shape::new([length]))
}

/// A moment in the shape of its parameter; a restored one is flat. Burn's ndarray copies whatever is reshaped, even to the
/// shape that it has.
fn in_shape<B: Backend>(moment: FloatTensor<B>, shape: &Shape) -> FloatTensor<B> {
    if moment.shape() == *shape {
        moment
    } else {
        B::float_reshape(moment, shape.clone())
    }
}

impl<B: BertAutodiffBackend, M: AutodiffModule<B>> Optimizer<M, B> for BertOptimizer<B> {
    /// Empty: [`BertOptimizer::moments`] is what checkpoints hold, by parameter path and in full precision.
    type Record = ();

    fn step(&mut self, learning_rate: f64, module: M, grads: GradientsParams) -> M {
        let mut norm = SquaredNorm::<B::InnerBackend> {
            grads: &grads,
            sum: None,
        };
        module.visit(&mut norm);
        let Some(sum) = norm.sum else {
            return module;
        };
        let gradient_norm = sum.sqrt();
        let scale = match self.max_gradient_norm {
            // As torch.nn.utils.clip_grad_norm_: min(1, maximum / (norm + 1e-6)).
            Some(maximum) => {
                let maximum = gradient_norm.ones_like().mul_scalar(maximum);
                (maximum / gradient_norm.clone().add_scalar(1e-6)).clamp_max(1.0)
            }
            None => gradient_norm.ones_like(),
        };
        let adam = self.config.adam();
        let mut state = self.lock();
        state.gradient_norm = Some(gradient_norm.clone());
        if self.finite_only {
            let norm = gradient_norm.into_data().iter::<f64>().next();
            if !norm.is_some_and(f64::is_finite) {
                return module;
            }
        }
        state.step += 1;
        let args = AdamArgs {
            learning_rate,
            beta_1: adam.beta_1,
            beta_2: adam.beta_2,
            epsilon: adam.epsilon,
            weight_decay: adam.weight_decay,
            corrected_step: adam.bias_correction.then_some(state.step),
        };
        let state = &mut *state;
        let mut update = Update::<B> {
            lamb: matches!(self.config, OptimizerConfig::Lamb(_)),
            args,
            grads,
            scale,
            scale_of: &*self.scale_of,
            moments: &mut state.moments,
            before: &mut state.before,
            step: state.step,
            path: Vec::new(),
        };
        module.map(&mut update)
    }

    fn step_multi(&mut self, learning_rate: f64, module: M, mut grads: MultiGradientsParams) -> M {
        // One device trains here; its gradients are the only ones.
        let grads = grads.grads.pop().map(|(grads, _)| grads);
        self.step(learning_rate, module, grads.unwrap_or_default())
    }

    fn to_record(&self) -> Self::Record {}

    fn load_record(self, (): Self::Record) -> Self {
        self
    }
}

struct SquaredNorm<'a, B: BertBackend> {
    grads: &'a GradientsParams,
    sum: Option<Tensor<B, 1>>,
}

impl<B: BertAutodiffBackend> ModuleVisitor<B> for SquaredNorm<'_, B::InnerBackend> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if let Some(grad) = self.grads.get::<B::InnerBackend, D>(param.id) {
            let square =
                tensor::<B::InnerBackend, 1>(KernelsOf::<B>::squared_norm(primitive(grad)));
            self.sum = Some(match self.sum.take() {
                Some(sum) => sum + square,
                None => square,
            });
        }
    }
}

struct Update<'a, B: AutodiffBackend> {
    lamb: bool,
    args: AdamArgs,
    grads: GradientsParams,
    scale: Tensor<B::InnerBackend, 1>,
    scale_of: &'a (dyn Fn(&str) -> f64 + Send + Sync),
    moments: &'a mut BTreeMap<String, Moments<B::InnerBackend>>,
    before: &'a mut BTreeMap<String, u64>,
    step: u64,
    path: Vec<String>,
}

impl<B: BertAutodiffBackend> ModuleMapper<B> for Update<'_, B> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let (id, value, mapper): (ParamId, _, _) = param.consume();
        let Some(grad) = self.grads.remove::<B::InnerBackend, D>(id) else {
            return Param::from_mapped_value(id, value, mapper);
        };
        let path = self.path.join(".");
        let tracked = value.is_require_grad();
        let value = value.inner();
        let shape = value.shape();
        let moments = match self.moments.remove(&path) {
            Some(moments) => Moments {
                first: in_shape::<B::InnerBackend>(moments.first, &shape),
                second: in_shape::<B::InnerBackend>(moments.second, &shape),
            },
            None => {
                if self.step > 1 {
                    self.before.insert(path.clone(), self.step - 1);
                }
                Moments {
                    first: primitive(value.zeros_like()),
                    second: primitive(value.zeros_like()),
                }
            }
        };
        let mut args = self.args;
        // Moments are corrected by the steps that went into them.
        let before = self.before.get(&path).copied().unwrap_or(0);
        args.corrected_step = (args.corrected_step).map(|step| step.saturating_sub(before).max(1));
        args.learning_rate *= (self.scale_of)(&path);
        // Not biases and layer norms, as in google-research/bert; those of a user's own parts may have any name.
        let decays = D > 1;
        if !decays {
            args.weight_decay = 0.0;
        }
        let (grad, scale) = (primitive(grad), primitive(self.scale.clone()));
        let (value, moments) = if self.lamb && decays {
            KernelsOf::<B>::lamb(primitive(value), grad, scale, moments, args)
        } else {
            KernelsOf::<B>::adamw(primitive(value), grad, scale, moments, args)
        };
        self.moments.insert(path, moments);
        let mut value = Tensor::<B, D>::from_inner(tensor(value));
        if tracked {
            value = value.require_grad();
        }
        Param::from_mapped_value(id, value, mapper)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_layer_down_from_the_head_learns_slower() {
        let scale = |path| layer_decay(path, 0.5, 3);
        assert_eq!(scale("model.classifier.weight"), 1.0);
        assert_eq!(scale("model.bert.pooler.dense.bias"), 1.0);
        assert_eq!(scale("model.bert.encoder.layer.2.output.dense.weight"), 0.5);
        assert_eq!(
            scale("model.bert.encoder.layer.0.output.dense.weight"),
            0.125
        );
        assert_eq!(scale("model.bert.embeddings.layer_norm.weight"), 0.0625);
    }
}
