//! The functions after a linear map, element by element, with the sums that backward steps need.

use super::math::{erf, exp, tanh};
use crate::ops::Activation;

/// `Φ(z)`.
#[inline(always)]
fn cdf(z: f32) -> f32 {
    0.5 * (1.0 + erf(z * std::f32::consts::FRAC_1_SQRT_2))
}

#[inline(always)]
fn gelu(z: f32) -> f32 {
    z * cdf(z)
}

/// `Φ(z) + z φ(z)`.
#[inline(always)]
fn gelu_slope(z: f32) -> f32 {
    /// 1 / sqrt(2π)
    const DENSITY: f32 = 0.398_942_3;
    cdf(z) + z * DENSITY * exp(-0.5 * z * z)
}

/// sqrt(2/π)
const GATE: f32 = 0.797_884_6;
const CUBE: f32 = 0.044_715;

#[inline(always)]
fn gelu_tanh(z: f32) -> f32 {
    0.5 * z * (1.0 + tanh(GATE * z * (1.0 + CUBE * z * z)))
}

#[inline(always)]
fn gelu_tanh_slope(z: f32) -> f32 {
    let gate = tanh(GATE * z * (1.0 + CUBE * z * z));
    0.5 * (1.0 + gate) + 0.5 * z * (1.0 - gate * gate) * GATE * (1.0 + 3.0 * CUBE * z * z)
}

#[inline(always)]
fn tanh_slope(z: f32) -> f32 {
    let y = tanh(z);
    1.0 - y * y
}

/// `z ← z + b; y ← activation(z)` for whole rows. Where z is not needed again, `y` is `None` and z becomes the result.
#[inline(always)]
pub(super) fn bias_and_activation(
    activation: Activation,
    z: &mut [f32],
    bias: &[f32],
    y: Option<&mut [f32]>,
) {
    match activation {
        Activation::Identity => rows(
            z,
            bias,
            y,
            #[inline(always)]
            |z| z,
        ),
        Activation::Gelu => rows(z, bias, y, gelu),
        Activation::GeluTanh => rows(z, bias, y, gelu_tanh),
        Activation::Relu => rows(
            z,
            bias,
            y,
            #[inline(always)]
            |z| z.max(0.0),
        ),
        Activation::Tanh => rows(z, bias, y, tanh),
    }
}

#[inline(always)]
fn rows(z: &mut [f32], bias: &[f32], y: Option<&mut [f32]>, f: impl Fn(f32) -> f32) {
    let columns = bias.len();
    match y {
        Some(y) => {
            for (z, y) in z.chunks_exact_mut(columns).zip(y.chunks_exact_mut(columns)) {
                for ((z, y), &b) in z.iter_mut().zip(y).zip(bias) {
                    *z += b;
                    *y = f(*z);
                }
            }
        }
        None => {
            for z in z.chunks_exact_mut(columns) {
                for (z, &b) in z.iter_mut().zip(bias) {
                    *z = f(*z + b);
                }
            }
        }
    }
}

/// `dy ← dy * activation'(z)` for whole rows, added up over the rows in `sums`.
#[inline(always)]
pub(super) fn slope_and_sums(activation: Activation, dy: &mut [f32], z: &[f32], sums: &mut [f32]) {
    match activation {
        Activation::Identity => unreachable!("the identity keeps no z"),
        Activation::Gelu => slopes(dy, z, sums, gelu_slope),
        Activation::GeluTanh => slopes(dy, z, sums, gelu_tanh_slope),
        Activation::Relu => slopes(
            dy,
            z,
            sums,
            #[inline(always)]
            |z| if z > 0.0 { 1.0 } else { 0.0 },
        ),
        Activation::Tanh => slopes(dy, z, sums, tanh_slope),
    }
}

#[inline(always)]
fn slopes(dy: &mut [f32], z: &[f32], sums: &mut [f32], f: impl Fn(f32) -> f32) {
    let columns = sums.len();
    for (dy, z) in dy.chunks_exact_mut(columns).zip(z.chunks_exact(columns)) {
        for ((dy, &z), sum) in dy.iter_mut().zip(z).zip(sums.iter_mut()) {
            *dy *= f(z);
            *sum += *dy;
        }
    }
}
