//! AdamW and LAMB over a whole model: parameter groups, clipping by the global norm, schedules.

mod optimizer;
mod schedule;

pub use optimizer::{BertOptimizer, layer_decay};
pub use schedule::Schedule;
