//! The fused optimizers against their papers' formulas, and their state in and out of checkpoints.
#![cfg(feature = "ndarray")]

mod formulas;

use bert_core::config::OptimizerConfig;
use bert_core::optim::BertOptimizer;
use burn::optim::{GradientsParams, Optimizer};
use burn_autodiff::Autodiff;
use burn_ndarray::NdArray;
use formulas::Toy;

#[test]
fn fused_updates_follow_the_formulas() {
    formulas::follows_the_formulas::<Autodiff<NdArray<f32>>>(1e-6);
}

#[test]
fn a_restored_optimizer_goes_on_to_the_same_bits() {
    type B = Autodiff<NdArray<f32>>;
    let device = Default::default();
    let toy = Toy::<B>::new(&device);
    let new = || BertOptimizer::<B>::new(OptimizerConfig::default(), Some(1.0));
    let step = |optimizer: &mut BertOptimizer<B>, toy: Toy<B>, step: usize| {
        let grads = GradientsParams::from_grads(toy.loss(step, &device).backward(), &toy);
        optimizer.step(0.01, toy, grads)
    };
    let mut straight = new();
    let half = step(&mut straight, toy, 1);
    let restored = new();
    let moments = straight.moments().into_iter();
    let moments = moments.map(|(path, moment)| (path, moment.into_data()));
    assert!(restored.restore(1, moments.collect(), &device));
    let mut restored = restored;
    let a = step(&mut straight, half.clone(), 2);
    let b = step(&mut restored, half, 2);
    assert_eq!(a.values(), b.values());
}
