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

/// As in PyTorch, whose AdamW counts the steps of each parameter.
#[test]
fn a_parameter_that_begins_late_is_corrected_by_its_own_steps() {
    type B = Autodiff<NdArray<f32>>;
    let device = Default::default();
    let new = || BertOptimizer::<B>::new(OptimizerConfig::default(), None);
    let step = |optimizer: &mut BertOptimizer<B>, toy: Toy<B>, step: usize, frozen: bool| {
        let mut grads = GradientsParams::from_grads(toy.loss(step, &device).backward(), &toy);
        if frozen {
            toy.forget_layer_norm(&mut grads);
        }
        optimizer.step(0.01, toy, grads)
    };
    let mut optimizer = new();
    let mut toy = Toy::<B>::new(&device);
    for number in 1..=5 {
        toy = step(&mut optimizer, toy, number, true);
    }
    let (mut fresh, mut fresh_toy) = (new(), toy.clone());
    for number in 6..=8 {
        // Through a checkpoint each time, as a run that is resumed.
        let moments = optimizer.moments().into_iter();
        let moments = moments.map(|(path, moment)| (path, moment.into_data()));
        let mut restored = new();
        assert!(restored.restore(number as u64 - 1, moments.collect(), &device));
        toy = step(&mut restored, toy, number, false);
        optimizer = restored;
        fresh_toy = step(&mut fresh, fresh_toy, number, false);
        let [weight, _, gamma, beta] = toy.values();
        let [fresh_weight, _, fresh_gamma, fresh_beta] = fresh_toy.values();
        assert_eq!((gamma, beta), (fresh_gamma, fresh_beta));
        assert_ne!(weight, fresh_weight);
    }
}
