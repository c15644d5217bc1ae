//! The composed operations, and the losses of fine-tuning heads, on the GPU backend against PyTorch. Without a graphics
//! adapter, software Vulkan will do (Debian: mesa-vulkan-drivers).
#![cfg(feature = "wgpu")]

mod golden;
mod losses;

use burn_autodiff::Autodiff;
use burn_wgpu::Wgpu;

// One test: all of them compile the same shaders.
#[test]
fn outputs_gradients_trained_weights_and_losses_are_those_of_pytorch() {
    for activation in ["gelu", "gelu_new", "relu"] {
        golden::forward::<Wgpu>(activation, 1e-4);
        golden::gradients::<Autodiff<Wgpu>>(activation, 1e-4);
    }
    for kind in ["adamw", "adamw_uncorrected", "lamb"] {
        golden::training::<Autodiff<Wgpu>>(kind, [0.0; 2], 1e-4);
    }
    let check = losses::Check {
        tolerance: 1e-4,
        most: 2,
    };
    losses::cross_entropy::<Autodiff<Wgpu>>(check);
    losses::soft_targets::<Autodiff<Wgpu>>(check);
    losses::grouped_cross_entropy::<Autodiff<Wgpu>>(check);
    losses::binary_cross_entropy::<Autodiff<Wgpu>>(check);
    losses::squared_error::<Autodiff<Wgpu>>(check);
}
