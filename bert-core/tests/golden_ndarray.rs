//! The fused kernels, and the losses of fine-tuning heads, against PyTorch.
#![cfg(feature = "ndarray")]

mod golden;
mod losses;

use burn_autodiff::Autodiff;
use burn_ndarray::NdArray;
use losses::Check;

type Cpu = NdArray<f32>;
type Training = Autodiff<Cpu>;

const ACTIVATIONS: [&str; 4] = ["gelu", "gelu_new", "gelu_pytorch_tanh", "relu"];

const EVERY_CASE: Check = Check {
    tolerance: 1e-5,
    most: usize::MAX,
};

#[test]
fn hidden_states_attention_heads_and_losses_are_those_of_pytorch() {
    for activation in ACTIVATIONS {
        golden::forward::<Cpu>(activation, 1e-5);
    }
}

#[test]
fn the_gradient_of_every_parameter_is_that_of_pytorch() {
    for activation in ACTIVATIONS {
        golden::gradients::<Training>(activation, 1e-5);
    }
}

#[test]
fn twenty_steps_of_adamw_end_where_pytorch_ends() {
    golden::training::<Training>("adamw", [0.0; 2], 1e-5);
}

#[test]
fn twenty_steps_with_dropout_end_where_pytorch_ends_with_the_same_masks() {
    golden::training::<Training>("adamw_dropout", [0.1, 0.3], 1e-5);
}

#[test]
fn twenty_steps_of_adamw_without_bias_correction_follow_google_research_bert() {
    golden::training::<Training>("adamw_uncorrected", [0.0; 2], 1e-5);
}

#[test]
fn twenty_steps_of_lamb_follow_the_paper() {
    golden::training::<Training>("lamb", [0.0; 2], 1e-5);
}

#[test]
fn cross_entropy_of_weighed_and_smoothed_classes_is_that_of_pytorch() {
    losses::cross_entropy::<Training>(EVERY_CASE);
}

#[test]
fn cross_entropy_of_distributions_is_that_of_pytorch() {
    losses::soft_targets::<Training>(EVERY_CASE);
}

#[test]
fn cross_entropy_over_the_rows_of_each_group_is_that_of_pytorch() {
    losses::grouped_cross_entropy::<Training>(EVERY_CASE);
}

#[test]
fn binary_cross_entropy_is_that_of_pytorch() {
    losses::binary_cross_entropy::<Training>(EVERY_CASE);
}

#[test]
fn squared_error_is_that_of_pytorch() {
    losses::squared_error::<Training>(EVERY_CASE);
}
