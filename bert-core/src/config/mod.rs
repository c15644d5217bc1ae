//! Strict JSON configurations: read, overridden with `--set`, parsed, validated; every problem reported at once.

mod backend;
mod bad_rows;
mod bert;
mod load;
mod non_finite;
mod optimizer;
mod section;

pub use backend::{BackendConfig, Compute, WgpuDevice};
pub use bad_rows::BadRows;
pub use bert::{BertConfig, HiddenActivation};
pub use load::{apply_overrides, from_value, read_value, set_backend, write_resolved};
pub use non_finite::NonFinite;
pub use optimizer::{AdamConfig, OptimizerConfig, ScheduleConfig};
pub use section::{FromSection, FromValue, Problems, Section};
