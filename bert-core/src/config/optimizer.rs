//! Optimizer and learning-rate schedule, as data.

use serde::Serialize;

use super::{FromSection, Section};

/// The update rule.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum OptimizerConfig {
    /// Adam with decoupled weight decay (Loshchilov and Hutter 2019).
    Adamw(AdamConfig),
    /// AdamW with a trust ratio for each parameter, for large batches (You et al. 2020).
    Lamb(AdamConfig),
}

/// What AdamW and LAMB share.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AdamConfig {
    /// The peak of the schedule.
    pub learning_rate: f64,
    /// λ; not applied to biases and layer norms.
    pub weight_decay: f64,
    /// β₁
    pub beta_1: f64,
    /// β₂
    pub beta_2: f64,
    /// ε
    pub epsilon: f64,
    /// Whether moments are divided by `1 - βᵗ`; google-research/bert does not.
    pub bias_correction: bool,
}

impl Default for AdamConfig {
    fn default() -> Self {
        Self {
            learning_rate: 1e-4,
            weight_decay: 0.01,
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-6,
            bias_correction: true,
        }
    }
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self::Adamw(AdamConfig::default())
    }
}

impl OptimizerConfig {
    /// The settings, whichever rule it is.
    pub fn adam(&self) -> &AdamConfig {
        match self {
            Self::Adamw(adam) | Self::Lamb(adam) => adam,
        }
    }
}

impl FromSection for OptimizerConfig {
    fn from_section(section: &mut Section) -> Self {
        let lamb = section.choice("type", &[("adamw", false), ("lamb", true)], false);
        let default = AdamConfig::default();
        let adam = AdamConfig {
            learning_rate: section.or("learning_rate", default.learning_rate),
            weight_decay: section.or("weight_decay", default.weight_decay),
            beta_1: section.fraction("beta_1", default.beta_1),
            beta_2: section.fraction("beta_2", default.beta_2),
            epsilon: section.or("epsilon", default.epsilon),
            bias_correction: section.or("bias_correction", default.bias_correction),
        };
        section.check(adam.learning_rate > 0.0, "learning_rate", "must be above 0");
        section.check(
            adam.weight_decay >= 0.0,
            "weight_decay",
            "must be at least 0",
        );
        section.check(
            adam.epsilon as f32 >= f32::MIN_POSITIVE,
            "epsilon",
            "must be above 0, and a normal number in f32 (from 1.2e-38)",
        );
        if lamb {
            Self::Lamb(adam)
        } else {
            Self::Adamw(adam)
        }
    }
}

/// How the learning rate moves, as a fraction of its peak.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ScheduleConfig {
    /// Up to the peak, then straight down to 0 at the last step.
    Linear {
        /// Steps up to the peak.
        warmup_steps: u64,
    },
    /// Up to the peak, then half a cosine down.
    Cosine {
        /// Steps up to the peak.
        warmup_steps: u64,
        /// Where it ends, as a fraction of the peak.
        final_fraction: f64,
    },
    /// Up to the peak, and on there.
    Constant {
        /// Steps up to the peak.
        warmup_steps: u64,
    },
    /// Up to the peak, on there, and straight down to 0 at the end (warm-up, stable, decay).
    Trapezoid {
        /// Steps up to the peak.
        warmup_steps: u64,
        /// Steps down from it.
        decay_steps: u64,
    },
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self::Linear { warmup_steps: 0 }
    }
}

impl ScheduleConfig {
    /// With another warm-up.
    pub fn set_warmup_steps(&mut self, steps: u64) {
        match self {
            Self::Linear { warmup_steps }
            | Self::Cosine { warmup_steps, .. }
            | Self::Constant { warmup_steps }
            | Self::Trapezoid { warmup_steps, .. } => *warmup_steps = steps,
        }
    }

    /// The steps that it takes at least: warm-up and decay.
    pub fn least_steps(&self) -> u64 {
        match *self {
            Self::Linear { warmup_steps }
            | Self::Cosine { warmup_steps, .. }
            | Self::Constant { warmup_steps } => warmup_steps,
            Self::Trapezoid {
                warmup_steps,
                decay_steps,
            } => warmup_steps.saturating_add(decay_steps),
        }
    }
}

impl FromSection for ScheduleConfig {
    fn from_section(section: &mut Section) -> Self {
        #[derive(Clone, Copy)]
        enum Kind {
            Linear,
            Cosine,
            Constant,
            Trapezoid,
        }
        let choices = [
            ("linear", Kind::Linear),
            ("cosine", Kind::Cosine),
            ("constant", Kind::Constant),
            ("trapezoid", Kind::Trapezoid),
        ];
        let kind = section.choice("type", &choices, Kind::Linear);
        let warmup_steps = section.or("warmup_steps", 0);
        match kind {
            Kind::Linear => Self::Linear { warmup_steps },
            Kind::Constant => Self::Constant { warmup_steps },
            Kind::Cosine => Self::Cosine {
                warmup_steps,
                final_fraction: section.fraction("final_fraction", 0.0),
            },
            Kind::Trapezoid => Self::Trapezoid {
                warmup_steps,
                decay_steps: section.required("decay_steps"),
            },
        }
    }
}
