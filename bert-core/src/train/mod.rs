//! Training through burn-train's learner and dashboard, with a strategy that counts optimizer steps.
//!
//! | file | what it holds |
//! |---|---|
//! | [`task`] | what a task gives the loop: batches, losses as sums, metrics made of them |
//! | [`strategy`] | the loop: steps, accumulation, evaluation, checkpoints, interruption |
//! | [`checkpoint`] | all that an exact resume needs, in one directory |
//! | `background` | files written beside the training |
//! | [`metrics`] | `metrics.jsonl`, and the same numbers as metrics of burn-train |
//! | `renderer` | burn-train's renderer: one report per logged step and per evaluation |
//! | `dashboard` | reports in a terminal: tables, a chart, keys |
//! | `plain` | reports as lines |
//! | `display` | numbers and names as people read them |
//! | `stop` | Ctrl-C, SIGTERM and the dashboard's keys: first a checkpoint, then at once |
//! | [`run`] | a run directory, and the launch of the learner in it |

mod background;
pub mod checkpoint;
mod dashboard;
mod display;
pub mod metrics;
mod plain;
mod renderer;
pub mod run;
mod stop;
pub mod strategy;
pub mod task;

pub use metrics::{MetricInfo, StepMetrics};
pub use run::{Dashboard, RunSettings, train};
pub use strategy::{Cadence, Ending, LoopConfig, Outcome};
pub use task::{BatchLoader, StepOutput, Task, TaskBatch};
