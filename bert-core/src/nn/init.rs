//! Initial weights as in google-research/bert: a normal truncated at two standard deviations for matrices, zero biases, unit
//! layer norms. Only new heads for fine-tuning begin as those of Hugging Face do, with a whole normal.

use burn::module::{Param, ParamId};
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use rand::Rng;

use super::{LayerNorm, Linear};
use crate::config::BertConfig;
use crate::data::random::generator;

/// Makes the initial parameters of one model.
///
/// Values are drawn on the host as a function of (seed, parameter name), so that every backend starts from the same
/// weights, whatever the order of the draws. They are drawn when a parameter is first looked at: one that is loaded
/// from a file first never is.
#[derive(Debug, Clone)]
pub struct Init<'a, B: Backend> {
    /// The seed of the whole model.
    pub seed: u64,
    /// The standard deviation before truncation.
    pub deviation: f64,
    /// Where the parameters live.
    pub device: &'a B::Device,
}

impl<'a, B: Backend> Init<'a, B> {
    /// With the `initializer_range` of `config`.
    pub fn new(config: &BertConfig, seed: u64, device: &'a B::Device) -> Self {
        Self {
            seed,
            deviation: config.initializer_range,
            device,
        }
    }

    /// A matrix of truncated normals.
    pub fn matrix(&self, name: &str, shape: [usize; 2]) -> Param<Tensor<B, 2>> {
        self.table(name, shape, None)
    }

    /// An embedding table whose row `zero_row` is zero.
    pub fn table(
        &self,
        name: &str,
        shape: [usize; 2],
        zero_row: Option<usize>,
    ) -> Param<Tensor<B, 2>> {
        let (seed, deviation, name) = (self.seed, self.deviation, name.to_string());
        self.parameter(shape, move || {
            let mut values = normals(seed, &name, deviation, TRUNCATED_AT, shape);
            if let Some(row) = zero_row.and_then(|row| values.chunks_mut(shape[1]).nth(row)) {
                row.fill(0.0);
            }
            values
        })
    }

    /// A vector of one value.
    pub fn vector(&self, value: f32, length: usize) -> Param<Tensor<B, 1>> {
        self.parameter([length], move || vec![value; length])
    }

    fn parameter<const D: usize>(
        &self,
        shape: [usize; D],
        values: impl Fn() -> Vec<f32> + Send + Sync + 'static,
    ) -> Param<Tensor<B, D>> {
        let init = move |device: &B::Device, is_trained: bool| {
            let data = TensorData::new(values(), shape);
            Tensor::from_data(data, device).set_require_grad(is_trained)
        };
        let device = self.device.clone();
        Param::uninitialized(ParamId::new(), init, device, true, shape.into())
    }

    /// A linear map.
    pub fn linear(&self, name: &str, inputs: usize, outputs: usize) -> Linear<B> {
        Linear {
            weight: self.matrix(&format!("{name}.weight"), [inputs, outputs]),
            bias: self.vector(0.0, outputs),
        }
    }

    /// A linear map that makes scores of labels.
    pub fn head(&self, name: &str, inputs: usize, outputs: usize) -> Linear<B> {
        let (seed, deviation, shape) = (self.seed, self.deviation, [inputs, outputs]);
        let weight = format!("{name}.weight");
        Linear {
            weight: self.parameter(shape, move || {
                normals(seed, &weight, deviation, f64::INFINITY, shape)
            }),
            bias: self.vector(0.0, outputs),
        }
    }

    /// A layer normalisation.
    pub fn layer_norm(&self, hidden: usize, eps: f64) -> LayerNorm<B> {
        LayerNorm {
            weight: self.vector(1.0, hidden),
            bias: self.vector(0.0, hidden),
            eps,
        }
    }
}

/// In standard deviations.
const TRUNCATED_AT: f64 = 2.0;

fn normals(
    seed: u64,
    name: &str,
    deviation: f64,
    limit: f64,
    [rows, columns]: [usize; 2],
) -> Vec<f32> {
    let mut random = generator(seed, name, &[]);
    let mut values = Vec::with_capacity(rows * columns);
    while values.len() < rows * columns {
        // Box and Muller's pair, without those beyond the limit.
        let radius = (-2.0 * (1.0 - random.random::<f64>()).ln()).sqrt();
        let angle = std::f64::consts::TAU * random.random::<f64>();
        for value in [radius * angle.cos(), radius * angle.sin()] {
            if value.abs() <= limit && values.len() < rows * columns {
                values.push((value * deviation) as f32);
            }
        }
    }
    values
}
