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

use super::display;
use super::renderer::{self, Report};
use crate::error::{Error, Result};
use crate::files::write_atomically;

/// A metric's name and direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricInfo {
    /// Its name in `metrics.jsonl`.
    pub name: &'static str,
    /// Whether more is better.
    pub higher_is_better: bool,
}

/// What the loop itself measures at every logged step, whatever the task.
pub(super) const OF_STEPS: [MetricInfo; 4] = [
    MetricInfo {
        name: "learning_rate",
        higher_is_better: true,
    },
    MetricInfo {
        name: "gradient_norm",
        higher_is_better: false,
    },
    // The share of the time that steps waited for their batches.
    MetricInfo {
        name: "wait_fraction",
        higher_is_better: false,
    },
    MetricInfo {
        name: "tokens_per_second",
        higher_is_better: true,
    },
];

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

    /// As an object; what is not finite becomes null.
    pub fn to_json(&self) -> Map<String, Value> {
        let values = self.values.iter();
        values
            .map(|(name, value)| ((*name).to_string(), Value::from(*value)))
            .collect()
    }
}

/// `metrics.jsonl`: one object per logged step and per evaluation, flushed as it is written.
pub(super) struct MetricsFile {
    path: PathBuf,
    file: File,
}

impl MetricsFile {
    /// Opens a run's file. Rows after `step` belong to a future that a resumed run makes anew: they are dropped.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn open(path: &Path, step: u64) -> Result<Self> {
        if path.exists() {
            let file = File::open(path).map_err(Error::io("read", path))?;
            let mut kept = Vec::new();
            // What a crash tore off need not be text.
            for line in BufReader::new(file).split(b'\n') {
                let line = line.map_err(Error::io("read", path))?;
                let row: Option<Value> = serde_json::from_slice(&line).ok();
                let at = row.and_then(|row| row.get("step").and_then(Value::as_u64));
                if at.is_some_and(|at| at <= step) {
                    kept.extend_from_slice(&line);
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

    /// For flushing it to disk from another thread.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn handle(&self) -> Result<Self> {
        let file = self.file.try_clone();
        Ok(Self {
            path: self.path.clone(),
            file: file.map_err(Error::io("open", &self.path))?,
        })
    }

    /// Flushes what was appended to disk.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn sync(&self) -> Result<()> {
        self.file
            .sync_data()
            .map_err(Error::io("write", &self.path))
    }

    /// Appends one row.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn append(&mut self, step: u64, split: &str, metrics: &StepMetrics) -> Result<()> {
        let mut row = Map::new();
        row.insert("step".into(), step.into());
        row.insert("split".into(), split.into());
        row.extend(metrics.to_json());
        let line = format!("{}\n", Value::Object(row));
        self.file
            .write_all(line.as_bytes())
            .map_err(Error::io("write", &self.path))
    }
}

/// What a run's file says of the steps up to `step`, for the dashboard of a resumed run of `steps`. A file or a row that
/// cannot be read is left out: it is the past, and only for show.
pub(super) fn read_reports(path: &Path, step: u64, steps: u64) -> Vec<Report> {
    let Ok(file) = File::open(path) else {
        return Vec::new();
    };
    let rows = BufReader::new(file).lines().map_while(std::io::Result::ok);
    let rows = rows.filter_map(|row| {
        let row: Map<String, Value> = serde_json::from_str(&row).ok()?;
        let split = match row.get("split")?.as_str()? {
            "train" => renderer::Split::Train,
            "valid" => renderer::Split::Valid,
            _ => return None,
        };
        let at = row.get("step")?.as_u64().filter(|at| *at <= step)?;
        let values = row.into_iter().filter(|(name, _)| name != "step");
        let values = values.filter_map(|(name, value)| Some((name, value.as_f64()?)));
        Some(Report {
            split,
            step: at,
            steps,
            values: values.collect(),
        })
    });
    rows.collect()
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
            display::value(self.info.name, self.value),
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

/// The values that have no metric of their own, such as what a task adds to its evaluations, as one metric of
/// burn-train whose text is a JSON object. burn-train wants every metric named before training; these are not.
#[derive(Debug, Clone)]
pub(super) struct OtherValues {
    known: Vec<&'static str>,
}

impl OtherValues {
    /// All values but those of `known` metrics.
    pub(super) fn new(known: &[&'static str]) -> Self {
        Self {
            known: known.to_vec(),
        }
    }
}

impl Metric for OtherValues {
    type Input = StepMetrics;

    fn name(&self) -> Arc<String> {
        Arc::new("other_values".to_string())
    }

    fn update(&mut self, item: &StepMetrics, _metadata: &MetricMetadata) -> SerializedEntry {
        let others = item.values.iter();
        let others = others.filter(|(name, _)| !self.known.contains(name));
        let others: Map<String, Value> = others
            .map(|(name, value)| (name.to_string(), Value::from(*value)))
            .collect();
        let text = Value::Object(others).to_string();
        SerializedEntry::new(text.clone(), text)
    }

    fn clear(&mut self) {}
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

#[cfg(test)]
mod tests {
    use super::renderer::Split;
    use super::*;

    #[test]
    fn the_reports_of_a_file_end_at_the_step_that_a_run_goes_on_from() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("metrics.jsonl");
        let mut file = MetricsFile::open(&path, 0).unwrap();
        let metrics = |loss| StepMetrics {
            values: vec![("loss", loss), ("accuracy", f64::NAN)],
        };
        file.append(3, "train", &metrics(7.5)).unwrap();
        file.append(5, "valid", &metrics(6.25)).unwrap();
        file.file.write_all(b"half a ro\n").unwrap();
        file.append(7, "train", &metrics(5.0)).unwrap();
        let report = |split, step, loss| Report {
            split,
            step,
            steps: 11,
            values: vec![("loss".into(), loss)],
        };
        let expected = [report(Split::Train, 3, 7.5), report(Split::Valid, 5, 6.25)];
        assert_eq!(read_reports(&path, 5, 11), expected);
        let nowhere = directory.path().join("none");
        assert_eq!(read_reports(&nowhere, 5, 11), []);
    }
}
