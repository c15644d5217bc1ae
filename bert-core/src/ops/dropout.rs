//! Dropout as a function of a seed (Srivastava et al. 2014), so that a step can be repeated to the bit.

use std::cell::Cell;

use burn::tensor::backend::Backend;
use burn::tensor::{Distribution, Tensor};

use crate::data::random::derive;

/// One use of dropout: its rate, and the seed of its mask.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout {
    /// The probability of dropping an element, in `0..1`.
    pub probability: f64,
    /// Decides which elements are dropped.
    pub seed: u64,
}

impl Dropout {
    /// Nothing is dropped.
    pub const NONE: Self = Self {
        probability: 0.0,
        seed: 0,
    };

    /// `1 / (1 - p)` where an element is kept and 0 where it is dropped; `None` where nothing is dropped.
    pub(crate) fn mask<B: Backend, const D: usize>(
        self,
        shape: [usize; D],
        device: &B::Device,
    ) -> Option<Tensor<B, D>> {
        if self.probability == 0.0 {
            return None;
        }
        let keep = 1.0 - self.probability;
        B::seed(device, self.seed);
        let mask = Tensor::<B, D>::random(shape, Distribution::Bernoulli(keep), device);
        Some(mask.mul_scalar(1.0 / keep))
    }
}

/// Hands each use of dropout in one forward pass a seed of its own.
#[derive(Debug, Clone)]
pub struct DropoutKey {
    seed: Option<u64>,
    used: Cell<u64>,
}

impl DropoutKey {
    /// For inference: nothing is dropped.
    pub fn inference() -> Self {
        Self {
            seed: None,
            used: Cell::new(0),
        }
    }

    /// For one training pass, whose masks are a function of `seed`.
    pub fn training(seed: u64) -> Self {
        Self {
            seed: Some(seed),
            used: Cell::new(0),
        }
    }

    /// The next use, at a rate of `probability`.
    pub fn next(&self, probability: f64) -> Dropout {
        let Some(seed) = self.seed else {
            return Dropout::NONE;
        };
        let index = self.used.get();
        self.used.set(index + 1);
        Dropout {
            probability,
            seed: derive(seed, "dropout", &[index]),
        }
    }
}
