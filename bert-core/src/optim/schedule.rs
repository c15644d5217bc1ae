//! The learning rate as a pure function of the step.

use burn::optim::lr_scheduler::LrScheduler;
use burn::tensor::backend::Backend;

use crate::config::ScheduleConfig;

/// A schedule over a known number of steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    config: ScheduleConfig,
    peak: f64,
    steps: u64,
    done: u64,
}

impl Schedule {
    /// Over `steps` optimizer steps, of which `done` lie behind.
    pub fn new(config: ScheduleConfig, peak: f64, steps: u64, done: u64) -> Self {
        Self {
            config,
            peak,
            steps,
            done,
        }
    }

    /// The learning rate of the update that follows `done` updates, as Hugging Face counts: a warm-up starts from 0,
    /// a decay would reach 0 with the update after the last.
    pub fn learning_rate(&self, done: u64) -> f64 {
        let at = done as f64;
        let up = |warmup_steps: u64| at / warmup_steps.max(1) as f64;
        let progress = |warmup_steps: u64| {
            let span = self.steps.saturating_sub(warmup_steps).max(1) as f64;
            ((at - warmup_steps as f64) / span).min(1.0)
        };
        let factor = match self.config {
            ScheduleConfig::Linear { warmup_steps }
            | ScheduleConfig::Cosine { warmup_steps, .. }
            | ScheduleConfig::Constant { warmup_steps }
            | ScheduleConfig::Trapezoid { warmup_steps, .. }
                if done < warmup_steps =>
            {
                up(warmup_steps)
            }
            ScheduleConfig::Linear { warmup_steps } => 1.0 - progress(warmup_steps),
            ScheduleConfig::Cosine {
                warmup_steps,
                final_fraction,
            } => {
                let wave = 0.5 * (1.0 + (std::f64::consts::PI * progress(warmup_steps)).cos());
                final_fraction + (1.0 - final_fraction) * wave
            }
            ScheduleConfig::Constant { .. } => 1.0,
            ScheduleConfig::Trapezoid { decay_steps, .. } => {
                let left = self.steps.saturating_sub(done) as f64;
                (left / decay_steps.max(1) as f64).min(1.0)
            }
        };
        self.peak * factor
    }
}

impl LrScheduler for Schedule {
    type Record<B: Backend> = ();

    fn step(&mut self) -> f64 {
        let learning_rate = self.learning_rate(self.done);
        self.done += 1;
        learning_rate
    }

    /// Empty: the position is the training step, which the checkpoint holds.
    fn to_record<B: Backend>(&self) -> Self::Record<B> {}

    fn load_record<B: Backend>(self, (): Self::Record<B>) -> Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(config: ScheduleConfig, steps: u64) -> Vec<f64> {
        let mut schedule = Schedule::new(config, 2.0, steps, 0);
        (0..steps).map(|_| schedule.step()).collect()
    }

    fn close(a: &[f64], b: &[f64]) {
        assert_eq!(a.len(), b.len());
        for (a, b) in a.iter().zip(b) {
            assert!((a - b).abs() < 1e-12, "{a} is not {b}");
        }
    }

    #[test]
    fn linear_rises_from_zero_and_falls_towards_zero() {
        let rates = rates(ScheduleConfig::Linear { warmup_steps: 2 }, 6);
        close(&rates, &[0.0, 1.0, 2.0, 1.5, 1.0, 0.5]);
    }

    #[test]
    fn cosine_ends_at_its_final_fraction() {
        let config = ScheduleConfig::Cosine {
            warmup_steps: 1,
            final_fraction: 0.1,
        };
        let schedule = Schedule::new(config, 2.0, 5, 0);
        close(
            &[1, 3, 5, 9].map(|done| schedule.learning_rate(done)),
            &[2.0, 1.1, 0.2, 0.2],
        );
    }

    #[test]
    fn constant_and_trapezoid_stay_at_the_peak() {
        close(
            &rates(ScheduleConfig::Constant { warmup_steps: 2 }, 4),
            &[0.0, 1.0, 2.0, 2.0],
        );
        let config = ScheduleConfig::Trapezoid {
            warmup_steps: 1,
            decay_steps: 4,
        };
        close(&rates(config, 7), &[0.0, 2.0, 2.0, 2.0, 1.5, 1.0, 0.5]);
    }

    #[test]
    fn a_schedule_goes_on_where_it_is_told_to() {
        let config = ScheduleConfig::Linear { warmup_steps: 3 };
        let mut resumed = Schedule::new(config.clone(), 2.0, 9, 5);
        assert_eq!(resumed.step(), rates(config, 9)[5]);
    }
}
