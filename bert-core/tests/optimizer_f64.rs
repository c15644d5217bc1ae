//! The composed optimizers against their papers' formulas. In a program of its own: Burn's ndarray takes the float type of
//! the first backend that a process uses for the default of all.
#![cfg(feature = "ndarray")]

mod formulas;

use burn_autodiff::Autodiff;
use burn_ndarray::NdArray;

#[test]
fn composed_updates_follow_the_formulas() {
    formulas::follows_the_formulas::<Autodiff<NdArray<f64>>>(1e-10);
}
