//! The numbers of a run: `metrics.jsonl`, and Burn's metrics for the dashboard.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn_train::logger::MetricLogger;
use burn_train::metric::store::{EpochSummary, MetricsUpdate, Split};
use burn_train::metric::{
    Metric, MetricAttributes, MetricDefinition, MetricMetadata, Numeric, NumericAttributes,
    NumericEntry, SerializedEntry,
};
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::files::write_atomically;

/// A metric's name and direction.
#[derive(Debug, Clone, Copy)]
pub struct MetricInfo {
    /// Its name in `metrics.jsonl`.
    pub name: &'static str,
    /// Whether more is better.
    pub higher_is_better: bool,
}

/// Named numbers of one logged step or evaluation, in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StepMetrics {
    /// Name and value.
    pub values: Vec<(&'static str, f64)>,
}

impl StepMetrics {
    /// The value of a metric, where it was measured.
    pub fn get(&self, name: &str) -> Option<f64> {
        let found = self.values.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| *value)
    }
}

/// `metrics.jsonl`: one object per logged step and per evaluation, flushed as it is written.
pub struct MetricsFile {
    path: PathBuf,
    file: File,
}

impl MetricsFile {
    /// Opens a run's file. Rows after `step` belong to a future that a resumed run makes anew: they are dropped.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn open(path: &Path, step: u64) -> Result<Self> {
        if path.exists() {
            let file = File::open(path).map_err(Error::io("read", path))?;
            let mut kept = Vec::new();
            for line in BufReader::new(file).lines() {
                let line = line.map_err(Error::io("read", path))?;
                let row: Option<Value> = serde_json::from_str(&line).ok();
                let at = row.and_then(|row| row.get("step").and_then(Value::as_u64));
                if at.is_some_and(|at| at <= step) {
                    kept.extend_from_slice(line.as_bytes());
                    kept.push(b'\n');
                }
            }
            write_atomically(path, &kept)?;
        }
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map_err(Error::io("open", path))?;
        Ok(Self {
            path: path.to_path_buf(),
            file,
        })
    }

    /// Appends one row.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn append(&mut self, step: u64, split: &str, metrics: &StepMetrics) -> Result<()> {
        let mut row = Map::new();
        row.insert("step".into(), step.into());
        row.insert("split".into(), split.into());
        for (name, value) in &metrics.values {
            // JSON has no NaN: such a value becomes null.
            row.insert((*name).into(), Value::from(*value));
        }
        let line = format!("{}\n", Value::Object(row));
        self.file
            .write_all(line.as_bytes())
            .map_err(Error::io("write", &self.path))
    }
}

/// One named value as a metric of burn-train.
#[derive(Debug, Clone)]
pub(super) struct DashboardMetric {
    info: MetricInfo,
    value: f64,
}

impl DashboardMetric {
    pub(super) fn new(info: MetricInfo) -> Self {
        Self {
            info,
            value: f64::NAN,
        }
    }
}

impl Metric for DashboardMetric {
    type Input = StepMetrics;

    fn name(&self) -> Arc<String> {
        Arc::new(self.info.name.to_string())
    }

    fn attributes(&self) -> MetricAttributes {
        MetricAttributes::Numeric(NumericAttributes {
            unit: None,
            higher_is_better: self.info.higher_is_better,
        })
    }

    fn update(&mut self, item: &StepMetrics, _metadata: &MetricMetadata) -> SerializedEntry {
        self.value = item.get(self.info.name).unwrap_or(f64::NAN);
        SerializedEntry::new(
            display_value(self.info.name, self.value),
            self.value.to_string(),
        )
    }

    fn clear(&mut self) {
        self.value = f64::NAN;
    }
}

impl Numeric for DashboardMetric {
    fn value(&self) -> NumericEntry {
        NumericEntry::Value(self.value)
    }

    fn running_value(&self) -> NumericEntry {
        NumericEntry::Value(self.value)
    }
}

/// A value as people read it: rates short, learning rates in powers of ten.
pub(super) fn display_value(name: &str, value: f64) -> String {
    match name {
        "learning_rate" => format!("{value:.2e}"),
        "tokens_per_second" => format!("{value:.0}"),
        _ if value.abs() >= 1000.0 => format!("{value:.0}"),
        _ => format!("{value:.3}"),
    }
}

/// Keeps burn-train from writing metric files of its own: `metrics.jsonl` has them all.
pub(super) struct NoLogger;

impl MetricLogger for NoLogger {
    fn log(&mut self, _update: MetricsUpdate, _epoch: usize, _split: &Split) {}

    fn read_numeric(
        &mut self,
        _name: &str,
        _epoch: usize,
        _split: &Split,
    ) -> std::result::Result<Vec<NumericEntry>, String> {
        Ok(Vec::new())
    }

    fn log_metric_definition(&mut self, _definition: MetricDefinition) {}

    fn log_epoch_summary(&mut self, _summary: EpochSummary) {}
}
