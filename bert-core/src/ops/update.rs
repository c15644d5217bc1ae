//! The parameter updates: AdamW (Loshchilov and Hutter 2019, algorithm 2) and LAMB (You et al. 2020, algorithm 2).
//!
//! Both keep the moments `m ← β₁ m + (1 - β₁) g`, `v ← β₂ v + (1 - β₂) g²` and move along
//! `u = (m / c₁) / (sqrt(v / c₂) + ε) + λ θ`, with `c = 1 - βᵗ` or 1 without bias correction. AdamW steps by `η u`,
//! LAMB by `η u ‖θ‖ / ‖u‖`.

use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;
use burn::tensor::{Shape, Tensor, TensorMetadata};

use super::{primitive, tensor};

/// The scalars of one update.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamArgs {
    /// η.
    pub learning_rate: f64,
    /// β₁.
    pub beta_1: f64,
    /// β₂.
    pub beta_2: f64,
    /// ε.
    pub epsilon: f64,
    /// λ, 0 for parameters that do not decay.
    pub weight_decay: f64,
    /// The updates so far with this one, for bias correction; `None` leaves it out, as google-research/bert does.
    pub corrected_step: Option<u64>,
}

impl AdamArgs {
    /// `(c₁, c₂)`.
    pub fn corrections(&self) -> (f64, f64) {
        match self.corrected_step {
            Some(step) => (
                1.0 - self.beta_1.powf(step as f64),
                1.0 - self.beta_2.powf(step as f64),
            ),
            None => (1.0, 1.0),
        }
    }
}

/// The first and second moment of a parameter's gradient, in its shape.
#[derive(Debug, Clone)]
pub struct Moments<B: Backend> {
    /// m
    pub first: FloatTensor<B>,
    /// v
    pub second: FloatTensor<B>,
}

/// `θ - η u`. `grad_scale` `[1]` multiplies the gradient first: global-norm clipping.
pub fn adamw<B: Backend>(
    parameter: FloatTensor<B>,
    grad: FloatTensor<B>,
    grad_scale: FloatTensor<B>,
    moments: Moments<B>,
    args: AdamArgs,
) -> (FloatTensor<B>, Moments<B>) {
    let shape = parameter.shape();
    let theta = flat::<B>(parameter, &shape);
    let (direction, moments) = direction::<B>(theta.clone(), grad, grad_scale, moments, args);
    let theta = theta - direction.mul_scalar(args.learning_rate);
    (unflat(theta, shape), moments)
}

/// `θ - η u ‖θ‖ / ‖u‖`, and `θ - η u` where a norm is zero or the parameter does not decay.
pub fn lamb<B: Backend>(
    parameter: FloatTensor<B>,
    grad: FloatTensor<B>,
    grad_scale: FloatTensor<B>,
    moments: Moments<B>,
    args: AdamArgs,
) -> (FloatTensor<B>, Moments<B>) {
    if args.weight_decay == 0.0 {
        return adamw::<B>(parameter, grad, grad_scale, moments, args);
    }
    let shape = parameter.shape();
    let theta = flat::<B>(parameter, &shape);
    let (direction, moments) = direction::<B>(theta.clone(), grad, grad_scale, moments, args);
    let parameter_norm = norm(theta.clone());
    let direction_norm = norm(direction.clone());
    let zero = parameter_norm
        .clone()
        .equal_elem(0.0)
        .bool_or(direction_norm.clone().equal_elem(0.0));
    let trust_ratio = (parameter_norm / direction_norm).mask_fill(zero, 1.0);
    let theta = theta - direction * trust_ratio.mul_scalar(args.learning_rate);
    (unflat(theta, shape), moments)
}

fn direction<B: Backend>(
    theta: Tensor<B, 1>,
    grad: FloatTensor<B>,
    grad_scale: FloatTensor<B>,
    moments: Moments<B>,
    args: AdamArgs,
) -> (Tensor<B, 1>, Moments<B>) {
    let shape = moments.first.shape();
    let grad = flat::<B>(grad, &shape) * tensor(grad_scale);
    let first = flat::<B>(moments.first, &shape).mul_scalar(args.beta_1)
        + grad.clone().mul_scalar(1.0 - args.beta_1);
    let second = flat::<B>(moments.second, &shape).mul_scalar(args.beta_2)
        + (grad.clone() * grad).mul_scalar(1.0 - args.beta_2);
    let (c1, c2) = args.corrections();
    let denominator = second
        .clone()
        .mul_scalar(1.0 / c2)
        .sqrt()
        .add_scalar(args.epsilon);
    let mut direction = first.clone().mul_scalar(1.0 / c1) / denominator;
    if args.weight_decay != 0.0 {
        direction = direction + theta.mul_scalar(args.weight_decay);
    }
    let moments = Moments {
        first: unflat(first, shape.clone()),
        second: unflat(second, shape),
    };
    (direction, moments)
}

fn norm<B: Backend>(x: Tensor<B, 1>) -> Tensor<B, 1> {
    (x.clone() * x).sum().sqrt()
}

fn flat<B: Backend>(x: FloatTensor<B>, shape: &Shape) -> Tensor<B, 1> {
    tensor(B::float_reshape(x, Shape::new([shape.num_elements()])))
}

fn unflat<B: Backend>(x: Tensor<B, 1>, shape: Shape) -> FloatTensor<B> {
    B::float_reshape(primitive(x), shape)
}
