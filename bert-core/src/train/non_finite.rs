//! The batch of a step whose loss or gradient was not finite, for study.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::task::TaskBatch;
use crate::error::Result;
use crate::files::write_atomically;

/// Writes the micro-batches of a step to `non_finite/step-NNNNNN.json` in the run directory.
pub(super) fn save<T: TaskBatch>(
    run_dir: &Path,
    step: u64,
    what: &str,
    micro_batches: &[T],
) -> Result<PathBuf> {
    let path = run_dir.join(format!("non_finite/step-{step:06}.json"));
    let micro_batches: Vec<Value> = micro_batches.iter().map(TaskBatch::record).collect();
    let record = json!({"step": step, "not_finite": what, "micro_batches": micro_batches});
    write_atomically(&path, format!("{record}\n").as_bytes())?;
    Ok(path)
}
