//! Parameter updates in one pass over parameter, gradient and moments.

use burn_ndarray::NdArrayTensor;
use rayon::prelude::*;

use super::NdArray32;
use super::array::{elements, floats, into_elements, scalar, tensor};
use super::math::{sum_by, vectorized};
use crate::ops::{AdamArgs, Moments};

/// Elements of a task.
const TASK: usize = 1 << 14;

/// The scalars of an update as f32, and what can be divided once.
#[derive(Clone, Copy)]
struct Scalars {
    grad_scale: f32,
    beta_1: f32,
    beta_2: f32,
    /// 1 - β, in f64 before it is rounded.
    one_minus: [f32; 2],
    /// `1 / c₁` and `1 / c₂`.
    inverse_corrections: [f32; 2],
    epsilon: f32,
    weight_decay: f32,
}

/// Zero for what is too small for a normal number. The moments of words that do not occur decay, but rounding keeps them
/// from ever reaching zero, and processors are slow with such numbers.
#[inline(always)]
fn normal(moment: f32) -> f32 {
    if moment.abs() < f32::MIN_POSITIVE {
        0.0
    } else {
        moment
    }
}

impl Scalars {
    fn new(args: AdamArgs, grad_scale: NdArrayTensor) -> Self {
        let (c1, c2) = args.corrections();
        Self {
            grad_scale: scalar(grad_scale),
            beta_1: args.beta_1 as f32,
            beta_2: args.beta_2 as f32,
            one_minus: [(1.0 - args.beta_1) as f32, (1.0 - args.beta_2) as f32],
            inverse_corrections: [(1.0 / c1) as f32, (1.0 / c2) as f32],
            epsilon: args.epsilon as f32,
            weight_decay: args.weight_decay as f32,
        }
    }

    /// The new moments of one element, and its direction u.
    #[inline(always)]
    fn moved(self, theta: f32, grad: f32, [first, second]: [f32; 2]) -> ([f32; 2], f32) {
        let grad = grad * self.grad_scale;
        let first = normal(first * self.beta_1 + grad * self.one_minus[0]);
        let second = normal(second * self.beta_2 + grad * grad * self.one_minus[1]);
        let deviation = (second * self.inverse_corrections[1]).sqrt() + self.epsilon;
        let direction = first * self.inverse_corrections[0] / deviation + self.weight_decay * theta;
        ([first, second], direction)
    }
}

/// Moves the moments of every element, and makes `of(old, u)` of its old value and its direction u.
fn pass(
    old: &[f32],
    shape: &[usize],
    grad: NdArrayTensor,
    scalars: Scalars,
    moments: Moments<NdArray32>,
    of: impl Fn(f32, f32) -> f32 + Copy + Sync,
) -> (Vec<f32>, Moments<NdArray32>) {
    // The gradient's memory becomes the parameter's: burn-train's learner keeps the old parameter until all are new.
    let mut new = into_elements(floats(grad));
    let mut first = into_elements(floats(moments.first));
    let mut second = into_elements(floats(moments.second));
    new.par_chunks_mut(TASK)
        .zip(old.par_chunks(TASK))
        .zip(first.par_chunks_mut(TASK).zip(second.par_chunks_mut(TASK)))
        .for_each(|((new, old), (first, second))| {
            vectorized(
                #[inline(always)]
                || {
                    // Copies, which writing elements cannot change, and with them vectors.
                    let (scalars, of) = (scalars, of);
                    let pairs = new.iter_mut().zip(old);
                    for ((new, &old), (first, second)) in pairs.zip(first.iter_mut().zip(second)) {
                        let (moments, direction) = scalars.moved(old, *new, [*first, *second]);
                        [*first, *second] = moments;
                        *new = of(old, direction);
                    }
                },
            );
        });
    let moments = Moments {
        first: tensor(shape, first),
        second: tensor(shape, second),
    };
    (new, moments)
}

pub(super) fn adamw(
    parameter: NdArrayTensor,
    grad: NdArrayTensor,
    grad_scale: NdArrayTensor,
    moments: Moments<NdArray32>,
    args: AdamArgs,
) -> (NdArrayTensor, Moments<NdArray32>) {
    let parameter = floats(parameter);
    let (old, shape) = (elements(&parameter), parameter.shape());
    let learning_rate = args.learning_rate as f32;
    let (theta, moments) = pass(
        old,
        shape,
        grad,
        Scalars::new(args, grad_scale),
        moments,
        #[inline(always)]
        move |old, direction| old - learning_rate * direction,
    );
    (tensor(shape, theta), moments)
}

pub(super) fn lamb(
    parameter: NdArrayTensor,
    grad: NdArrayTensor,
    grad_scale: NdArrayTensor,
    moments: Moments<NdArray32>,
    args: AdamArgs,
) -> (NdArrayTensor, Moments<NdArray32>) {
    let parameter = floats(parameter);
    let (old, shape) = (elements(&parameter), parameter.shape());
    // First the direction, then the new parameter.
    let (mut theta, moments) = pass(
        old,
        shape,
        grad,
        Scalars::new(args, grad_scale),
        moments,
        #[inline(always)]
        |_, direction| direction,
    );
    let (parameter_norm, direction_norm) = (square(old).sqrt(), square(&theta).sqrt());
    let trust_ratio = if parameter_norm == 0.0 || direction_norm == 0.0 {
        1.0
    } else {
        parameter_norm / direction_norm
    };
    let step = (args.learning_rate * trust_ratio) as f32;
    let tasks = theta.par_chunks_mut(TASK).zip(old.par_chunks(TASK));
    tasks.for_each(|(theta, old)| {
        for (theta, old) in theta.iter_mut().zip(old) {
            *theta = old - step * *theta;
        }
    });
    (tensor(shape, theta), moments)
}

pub(super) fn squared_norm(x: NdArrayTensor) -> NdArrayTensor {
    tensor(&[1], vec![square(elements(&floats(x))) as f32])
}

/// `Σ x²`: each task's in f32, their sum in f64 and in a fixed order.
fn square(x: &[f32]) -> f64 {
    let partial: Vec<f32> = x
        .par_chunks(TASK)
        .map(|x| {
            vectorized(
                #[inline(always)]
                || {
                    sum_by(
                        [x],
                        #[inline(always)]
                        |[x]| x * x,
                    )
                },
            )
        })
        .collect();
    partial.into_iter().map(f64::from).sum()
}
