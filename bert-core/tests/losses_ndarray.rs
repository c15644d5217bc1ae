//! The losses of fine-tuning heads on the CPU against PyTorch.
#![cfg(feature = "ndarray")]

mod losses;

use burn_autodiff::Autodiff;
use burn_ndarray::NdArray;
use losses::Check;

type B = Autodiff<NdArray<f32>>;

const EVERY_CASE: Check = Check {
    tolerance: 1e-5,
    most: usize::MAX,
};

#[test]
fn cross_entropy_of_weighed_and_smoothed_classes_is_that_of_pytorch() {
    losses::cross_entropy::<B>(EVERY_CASE);
}

#[test]
fn cross_entropy_of_distributions_is_that_of_pytorch() {
    losses::soft_targets::<B>(EVERY_CASE);
}

#[test]
fn cross_entropy_over_the_rows_of_each_group_is_that_of_pytorch() {
    losses::grouped_cross_entropy::<B>(EVERY_CASE);
}

#[test]
fn binary_cross_entropy_is_that_of_pytorch() {
    losses::binary_cross_entropy::<B>(EVERY_CASE);
}

#[test]
fn squared_error_is_that_of_pytorch() {
    losses::squared_error::<B>(EVERY_CASE);
}
