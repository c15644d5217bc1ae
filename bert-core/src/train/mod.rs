//! Training through burn-train's learner and dashboard, with a strategy that counts optimizer steps.
//!
//! | file | what it holds |
//! |---|---|
//! | [`task`] | what a task gives the loop: batches, losses as sums, metrics made of them |
//! | [`strategy`] | the loop: steps, accumulation, evaluation, checkpoints, interruption |
//! | [`checkpoint`] | all that an exact resume needs, in one directory |
//! | [`metrics`] | `metrics.jsonl`, and the same numbers for the dashboard |
//! | [`renderer`] | the dashboard, or a tidy line per logged step where there is no terminal |
//! | [`run`] | a run directory, and the launch of the learner in it |

pub mod checkpoint;
pub mod metrics;
pub mod renderer;
pub mod run;
pub mod strategy;
pub mod task;

pub use metrics::{MetricInfo, StepMetrics};
pub use run::{Dashboard, RunSettings, train};
pub use strategy::{Ending, LoopConfig, Outcome};
pub use task::{BatchLoader, StepOutput, Task, TaskBatch};
