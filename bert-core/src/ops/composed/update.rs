//! The parameter updates.

use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;
use burn::tensor::{Shape, Tensor, TensorMetadata};

use crate::ops::{AdamArgs, Moments, primitive, tensor};

pub(super) fn adamw<B: Backend>(
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

pub(super) fn lamb<B: Backend>(
    parameter: FloatTensor<B>,
    grad: FloatTensor<B>,
    grad_scale: FloatTensor<B>,
    moments: Moments<B>,
    args: AdamArgs,
) -> (FloatTensor<B>, Moments<B>) {
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

pub(super) fn squared_norm<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let shape = x.shape();
    let x = flat::<B>(x, &shape);
    primitive((x.clone() * x).sum())
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
