//! Training through burn-train's learner and dashboard, with a strategy that counts optimizer steps.
//!
//! | file | what it holds |
//! |---|---|
//! | `task` | what a task gives the loop: batches, losses as sums, metrics made of them |
//! | `strategy` | the loop: steps, accumulation, evaluation, checkpoints, interruption |
//! | `directory` | a run directory: one writer, nothing written over, what a resumed run must have in common |
//! | [`checkpoint`] | all that an exact resume needs, in one directory |
//! | `memory` | whether a training can fit into memory |
//! | `non_finite` | the batch of a step that went wrong, for study |
//! | `background` | files written beside the training |
//! | `metrics` | `metrics.jsonl`, and the same numbers as metrics of burn-train |
//! | `renderer` | burn-train's renderer: one report per logged step and per evaluation |
//! | `dashboard` | reports in a terminal: tables, a chart, keys |
//! | `plain` | reports as lines |
//! | `display` | numbers and names as people read them |
//! | `stop` | Ctrl-C, SIGTERM, SIGHUP and the dashboard's keys: first a checkpoint, then at once |
//! | `run` | the launch of the learner in a run directory |

mod background;
pub mod checkpoint;
mod dashboard;
mod directory;
mod display;
mod memory;
mod metrics;
mod non_finite;
mod plain;
mod renderer;
mod run;
mod stop;
mod strategy;
mod task;

pub use directory::{Recipe, RunDirectory};
pub use memory::check_memory;
pub use metrics::{MetricInfo, StepMetrics};
pub use run::{Dashboard, RunSettings, train};
pub use strategy::{Cadence, Ending, LoopConfig, Outcome, SaveModel};
pub use task::{BatchLoader, StepOutput, Task, TaskBatch};
