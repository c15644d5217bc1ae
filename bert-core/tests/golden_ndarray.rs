//! The fused kernels against PyTorch.
#![cfg(feature = "ndarray")]

mod golden;

use burn_autodiff::Autodiff;
use burn_ndarray::NdArray;

const ACTIVATIONS: [&str; 4] = ["gelu", "gelu_new", "gelu_pytorch_tanh", "relu"];

#[test]
fn hidden_states_attention_heads_and_losses_are_those_of_pytorch() {
    for activation in ACTIVATIONS {
        golden::forward::<NdArray<f32>>(activation, 1e-5);
    }
}

#[test]
fn the_gradient_of_every_parameter_is_that_of_pytorch() {
    for activation in ACTIVATIONS {
        golden::gradients::<Autodiff<NdArray<f32>>>(activation, 1e-5);
    }
}

#[test]
fn twenty_steps_of_adamw_end_where_pytorch_ends() {
    golden::training::<Autodiff<NdArray<f32>>>("adamw", [0.0; 2], 1e-5);
}

#[test]
fn twenty_steps_with_dropout_end_where_pytorch_ends_with_the_same_masks() {
    golden::training::<Autodiff<NdArray<f32>>>("adamw_dropout", [0.1, 0.3], 1e-5);
}

#[test]
fn twenty_steps_of_adamw_without_bias_correction_follow_google_research_bert() {
    golden::training::<Autodiff<NdArray<f32>>>("adamw_uncorrected", [0.0; 2], 1e-5);
}

#[test]
fn twenty_steps_of_lamb_follow_the_paper() {
    golden::training::<Autodiff<NdArray<f32>>>("lamb", [0.0; 2], 1e-5);
}
