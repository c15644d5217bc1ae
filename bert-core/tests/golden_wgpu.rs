//! The composed operations on the GPU backend against PyTorch. Without a graphics adapter, software Vulkan will do
//! (Debian: mesa-vulkan-drivers).
#![cfg(feature = "wgpu")]

mod golden;

use burn_autodiff::Autodiff;
use burn_wgpu::Wgpu;

// One test: all of them compile the same shaders.
#[test]
fn outputs_gradients_and_trained_weights_are_those_of_pytorch() {
    for activation in ["gelu", "gelu_new", "relu"] {
        golden::forward::<Wgpu>(activation, 1e-4);
        golden::gradients::<Autodiff<Wgpu>>(activation, 1e-4);
    }
    for kind in ["adamw", "adamw_uncorrected", "lamb"] {
        golden::training::<Autodiff<Wgpu>>(kind, [0.0; 2], 1e-4);
    }
}
