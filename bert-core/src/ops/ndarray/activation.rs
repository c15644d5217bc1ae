//! The functions after a linear map, element by element, with the sums that backward steps need.

use std::mem::MaybeUninit;

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

/// `z Φ(z)` and its slope `Φ(z) + z φ(z)`.
#[inline(always)]
fn gelu_and_slope(z: f32) -> (f32, f32) {
    /// 1 / sqrt(2π)
    const DENSITY: f32 = 0.398_942_3;
    let cdf = cdf(z);
    (z * cdf, cdf + z * DENSITY * exp(-0.5 * z * z))
}

/// sqrt(2/π)
const GATE: f32 = 0.797_884_6;
const CUBE: f32 = 0.044_715;

#[inline(always)]
fn gelu_tanh(z: f32) -> f32 {
    0.5 * z * (1.0 + tanh(GATE * z * (1.0 + CUBE * z * z)))
}

#[inline(always)]
fn gelu_tanh_and_slope(z: f32) -> (f32, f32) {
    let gate = tanh(GATE * z * (1.0 + CUBE * z * z));
    let inner = GATE * (1.0 + 3.0 * CUBE * z * z);
    let half = 0.5 * (1.0 + gate);
    (z * half, half + 0.5 * z * (1.0 - gate * gate) * inner)
}

#[inline(always)]
fn relu(z: f32) -> f32 {
    // NaN stays NaN, which `max` would hide.
    if z < 0.0 { 0.0 } else { z }
}

#[inline(always)]
fn relu_slope(z: f32) -> f32 {
    if z <= 0.0 { 0.0 } else { 1.0 }
}

#[inline(always)]
fn tanh_and_slope(z: f32) -> (f32, f32) {
    let y = tanh(z);
    (y, 1.0 - y * y)
}

/// `z ← z + b` for a part of a row.
#[inline(always)]
pub(super) fn add_bias(z: &mut [f32], bias: &[f32]) {
    for (z, b) in z.iter_mut().zip(bias) {
        *z += b;
    }
}

/// `z ← activation(z + b)` for a part of a row.
#[inline(always)]
pub(super) fn activate(activation: Activation, z: &mut [f32], bias: &[f32]) {
    match activation {
        Activation::Identity => add_bias(z, bias),
        Activation::Gelu => map(z, bias, gelu),
        Activation::GeluTanh => map(z, bias, gelu_tanh),
        Activation::Relu => map(z, bias, relu),
        Activation::Tanh => map(z, bias, tanh),
    }
}

#[inline(always)]
fn map(z: &mut [f32], bias: &[f32], f: impl Fn(f32) -> f32) {
    for (z, &b) in z.iter_mut().zip(bias) {
        *z = f(*z + b);
    }
}

/// `y ← activation(z)` for a part of a row, all of it.
#[inline(always)]
pub(super) fn activate_into(activation: Activation, z: &[f32], y: &mut [MaybeUninit<f32>]) {
    match activation {
        Activation::Identity => map_into(
            z,
            y,
            #[inline(always)]
            |z| z,
        ),
        Activation::Gelu => map_into(z, y, gelu),
        Activation::GeluTanh => map_into(z, y, gelu_tanh),
        Activation::Relu => map_into(z, y, relu),
        Activation::Tanh => map_into(z, y, tanh),
    }
}

#[inline(always)]
fn map_into(z: &[f32], y: &mut [MaybeUninit<f32>], f: impl Fn(f32) -> f32) {
    assert_eq!(z.len(), y.len());
    for (&z, y) in z.iter().zip(y) {
        y.write(f(z));
    }
}

/// `dy ← dy * activation'(z); y ← activation(z)` for a part of a row, all of y. z may be longer.
#[inline(always)]
pub(super) fn activate_and_slope(
    activation: Activation,
    dy: &mut [f32],
    z: &[f32],
    y: &mut [MaybeUninit<f32>],
) {
    match activation {
        Activation::Identity => both(
            dy,
            z,
            y,
            #[inline(always)]
            |z| (z, 1.0),
        ),
        Activation::Gelu => both(dy, z, y, gelu_and_slope),
        Activation::GeluTanh => both(dy, z, y, gelu_tanh_and_slope),
        Activation::Relu => both(
            dy,
            z,
            y,
            #[inline(always)]
            |z| (relu(z), relu_slope(z)),
        ),
        Activation::Tanh => both(dy, z, y, tanh_and_slope),
    }
}

#[inline(always)]
fn both(dy: &mut [f32], z: &[f32], y: &mut [MaybeUninit<f32>], f: impl Fn(f32) -> (f32, f32)) {
    let z = &z[..y.len()];
    assert_eq!(dy.len(), y.len());
    for ((dy, &z), to) in dy.iter_mut().zip(z).zip(y) {
        let (y, slope) = f(z);
        *dy *= slope;
        to.write(y);
    }
}

/// `dy ← dy * activation'(z)` for whole rows, added up over the rows in `sums`.
#[inline(always)]
pub(super) fn slope_and_sums(activation: Activation, dy: &mut [f32], z: &[f32], sums: &mut [f32]) {
    match activation {
        Activation::Identity => unreachable!("the identity keeps no z"),
        Activation::Gelu => slopes(
            dy,
            z,
            sums,
            #[inline(always)]
            |z| gelu_and_slope(z).1,
        ),
        Activation::GeluTanh => slopes(
            dy,
            z,
            sums,
            #[inline(always)]
            |z| gelu_tanh_and_slope(z).1,
        ),
        Activation::Relu => slopes(dy, z, sums, relu_slope),
        Activation::Tanh => slopes(
            dy,
            z,
            sums,
            #[inline(always)]
            |z| tanh_and_slope(z).1,
        ),
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
