//! The optimizers' formulas, computed in f64 element by element, and a module to try them on.

use bert_core::config::OptimizerConfig;
use bert_core::config::from_value;
use bert_core::nn::{Init, LayerNorm, Linear};
use bert_core::ops::BertAutodiffBackend;
use bert_core::optim::BertOptimizer;
use burn::module::Module;
use burn::optim::{GradientsParams, Optimizer};
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use serde_json::json;

/// One parameter of each kind: a matrix, which decays, and three vectors, which do not.
#[derive(Module, Debug)]
pub(crate) struct Toy<B: Backend> {
    dense: Linear<B>,
    /// Under no name that says what it is.
    scaled: LayerNorm<B>,
}

const SIZES: [usize; 4] = [3 * 5, 5, 3, 3];
const DECAYS: [bool; 4] = [true, false, false, false];

/// The gradient of every element at a step: what the loss below is made of.
fn gradients(step: usize) -> [Vec<f64>; 4] {
    let value =
        |parameter: usize, i: usize| ((step * 31 + parameter * 17 + i * 7) % 23) as f64 / 5.0 - 2.1;
    std::array::from_fn(|p| (0..SIZES[p]).map(|i| value(p, i)).collect())
}

impl<B: BertAutodiffBackend> Toy<B> {
    pub(crate) fn new(device: &B::Device) -> Self {
        let init = Init::<B> {
            seed: 5,
            deviation: 0.5,
            device,
        };
        Self {
            dense: init.linear("dense", 3, 5),
            scaled: init.layer_norm(3, 1e-12),
        }
    }

    /// A loss whose gradients are [`gradients`].
    pub(crate) fn loss(&self, step: usize, device: &B::Device) -> Tensor<B, 1> {
        let [weight, bias, gamma, beta] = gradients(step);
        // Burn keeps the type of the data it is given.
        let weight = TensorData::new(weight, [3, 5]).convert::<B::FloatElem>();
        let weight = Tensor::<B, 2>::from_data(weight, device);
        let vector = |values: Vec<f64>| {
            let length = values.len();
            let data = TensorData::new(values, [length]).convert::<B::FloatElem>();
            Tensor::<B, 1>::from_data(data, device)
        };
        (self.dense.weight.val() * weight).sum()
            + (self.dense.bias.val() * vector(bias)).sum()
            + (self.scaled.weight.val() * vector(gamma)).sum()
            + (self.scaled.bias.val() * vector(beta)).sum()
    }

    /// As if its layer norm were frozen.
    #[allow(dead_code)] // one of the test programs uses it
    pub(crate) fn forget_layer_norm(&self, grads: &mut GradientsParams) {
        for parameter in [&self.scaled.weight, &self.scaled.bias] {
            grads.remove::<B::InnerBackend, 1>(parameter.id);
        }
    }

    pub(crate) fn values(&self) -> [Vec<f64>; 4] {
        let list = |data: TensorData| data.iter::<f64>().collect();
        [
            list(self.dense.weight.val().into_data()),
            list(self.dense.bias.val().into_data()),
            list(self.scaled.weight.val().into_data()),
            list(self.scaled.bias.val().into_data()),
        ]
    }
}

/// The formulas of the papers. Learning rates grow from step to step as in a warm-up.
fn expected(
    start: [Vec<f64>; 4],
    [lamb, corrected]: [bool; 2],
    decay: f64,
    clip: Option<f64>,
) -> [Vec<f64>; 4] {
    let (b1, b2, eps) = (0.9_f64, 0.98_f64, 1e-6);
    let mut theta = start;
    let mut m = SIZES.map(|size| vec![0.0; size]);
    let mut v = SIZES.map(|size| vec![0.0; size]);
    for step in 1..=3 {
        let rate = 0.01 * step as f64;
        let grads = gradients(step);
        let norm = grads.iter().flatten().map(|g| g * g).sum::<f64>().sqrt();
        let scale = clip.map_or(1.0, |clip| (clip / (norm + 1e-6)).min(1.0));
        let (c1, c2) = if corrected {
            (1.0 - b1.powi(step as i32), 1.0 - b2.powi(step as i32))
        } else {
            (1.0, 1.0)
        };
        for p in 0..4 {
            let lambda = if DECAYS[p] { decay } else { 0.0 };
            let mut u = vec![0.0; SIZES[p]];
            for i in 0..SIZES[p] {
                let g = grads[p][i] * scale;
                m[p][i] = b1 * m[p][i] + (1.0 - b1) * g;
                v[p][i] = b2 * v[p][i] + (1.0 - b2) * g * g;
                u[i] = (m[p][i] / c1) / ((v[p][i] / c2).sqrt() + eps) + lambda * theta[p][i];
            }
            let length = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
            let ratio = if lamb && DECAYS[p] {
                length(&theta[p]) / length(&u)
            } else {
                1.0
            };
            for (theta, u) in theta[p].iter_mut().zip(u) {
                *theta -= rate * ratio * u;
            }
        }
    }
    theta
}

/// Three updates of every kind, compared with the formulas.
pub(crate) fn follows_the_formulas<B: BertAutodiffBackend>(tolerance: f64) {
    for lamb in [false, true] {
        for corrected in [true, false] {
            for decay in [0.1, 0.0] {
                for clip in [None, Some(0.7), Some(1e6)] {
                    follows::<B>([lamb, corrected], decay, clip, tolerance);
                }
            }
        }
    }
}

fn follows<B: BertAutodiffBackend>(
    [lamb, corrected]: [bool; 2],
    decay: f64,
    clip: Option<f64>,
    tolerance: f64,
) {
    let device = B::Device::default();
    let kind = if lamb { "lamb" } else { "adamw" };
    let config: OptimizerConfig = from_value(
        "test",
        json!({"type": kind, "weight_decay": decay, "beta_2": 0.98, "bias_correction": corrected}),
    )
    .unwrap();
    let mut toy = Toy::<B>::new(&device);
    let formulas = expected(toy.values(), [lamb, corrected], decay, clip);
    let mut optimizer = BertOptimizer::<B>::new(config, clip);
    for step in 1..=3 {
        let grads = toy.loss(step, &device).backward();
        let grads = GradientsParams::from_grads(grads, &toy);
        toy = optimizer.step(0.01 * step as f64, toy, grads);
        let norm: f64 = optimizer
            .gradient_norm()
            .unwrap()
            .into_data()
            .iter()
            .next()
            .unwrap();
        let exact = gradients(step)
            .iter()
            .flatten()
            .map(|g| g * g)
            .sum::<f64>()
            .sqrt();
        assert!(
            (norm - exact).abs() < tolerance * exact,
            "{norm} is not {exact}"
        );
    }
    for (p, (ours, formula)) in toy.values().iter().zip(&formulas).enumerate() {
        for (ours, formula) in ours.iter().zip(formula) {
            assert!(
                (ours - formula).abs() < tolerance * (1.0 + formula.abs()),
                "{kind}, decay {decay}, parameter {p}: {ours} is not {formula}"
            );
        }
    }
}
