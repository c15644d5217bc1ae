//! burn-train's renderer: gathers the numbers of a logged step or of an evaluation into one report, and shows that.

use std::collections::HashMap;

use burn_train::LearnerSummary;
use burn_train::metric::{MetricDefinition, MetricId};
use burn_train::renderer::{
    EvaluationName, EvaluationProgress, MetricState, MetricsRenderer, MetricsRendererEvaluation,
    MetricsRendererTraining, ProgressType, TrainingProgress,
};
use serde_json::{Map, Value};

/// Which documents or rows the numbers are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Split {
    Train,
    Valid,
}

/// The numbers of a logged step or of an evaluation. What was not measured, or is not finite, is left out.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Report {
    pub(super) split: Split,
    /// Optimizer steps done.
    pub(super) step: u64,
    /// Optimizer steps in all.
    pub(super) steps: u64,
    pub(super) values: Vec<(String, f64)>,
}

/// Shows reports. Training waits for it, so it must not take long.
pub(super) trait Show: Send + Sync {
    fn show(&mut self, report: Report);
}

/// Shows nothing.
pub(super) struct Nothing;

impl Show for Nothing {
    fn show(&mut self, _report: Report) {}
}

/// What burn-train calls, metric by metric.
pub(super) struct ReportRenderer {
    show: Box<dyn Show>,
    names: HashMap<MetricId, String>,
    values: Vec<(String, f64)>,
    others: Vec<(String, f64)>,
}

impl ReportRenderer {
    pub(super) fn new(show: Box<dyn Show>) -> Self {
        Self {
            show,
            names: HashMap::new(),
            values: Vec::new(),
            others: Vec::new(),
        }
    }

    fn update(&mut self, state: MetricState) {
        match state {
            MetricState::Numeric(entry, value) => {
                let value = value.current();
                if let Some(name) = self.names.get(&entry.metric_id)
                    && value.is_finite()
                {
                    self.values.push((name.clone(), value));
                }
            }
            // `OtherValues` is the only metric without a number of its own.
            MetricState::Generic(entry) => {
                let others: Map<String, Value> =
                    serde_json::from_str(&entry.serialized_entry.serialized).unwrap_or_default();
                let others = others.into_iter();
                self.others
                    .extend(others.filter_map(|(name, value)| Some((name, value.as_f64()?))));
            }
        }
    }

    fn render(&mut self, split: Split, progress: &TrainingProgress) {
        let mut values = std::mem::take(&mut self.values);
        values.append(&mut self.others); // burn-train gives them first
        self.show.show(Report {
            split,
            step: progress.global_progress.items_processed as u64,
            steps: progress.global_progress.items_total as u64,
            values,
        });
    }
}

impl MetricsRendererTraining for ReportRenderer {
    fn update_train(&mut self, state: MetricState) {
        self.update(state);
    }

    fn update_valid(&mut self, state: MetricState) {
        self.update(state);
    }

    fn render_train(&mut self, item: TrainingProgress, _indicators: Vec<ProgressType>) {
        self.render(Split::Train, &item);
    }

    fn render_valid(&mut self, item: TrainingProgress, _indicators: Vec<ProgressType>) {
        self.render(Split::Valid, &item);
    }

    fn on_train_end(
        &mut self,
        _summary: Option<LearnerSummary>,
    ) -> Result<(), Box<dyn std::error::Error>> {
        Ok(()) // the default prints
    }
}

impl MetricsRendererEvaluation for ReportRenderer {
    fn update_test(&mut self, _name: EvaluationName, _state: MetricState) {}

    fn render_test(&mut self, _item: EvaluationProgress, _indicators: Vec<ProgressType>) {}
}

impl MetricsRenderer for ReportRenderer {
    fn manual_close(&mut self) {}

    fn register_metric(&mut self, definition: MetricDefinition) {
        self.names.insert(definition.metric_id, definition.name);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use burn::data::dataloader::Progress;
    use burn_train::metric::{Metric, MetricEntry, MetricMetadata, Numeric};

    use super::*;
    use crate::train::metrics::{DashboardMetric, MetricInfo, OtherValues, StepMetrics};

    struct Kept(Sender<Report>);

    impl Show for Kept {
        fn show(&mut self, report: Report) {
            self.0.send(report).unwrap();
        }
    }

    #[test]
    fn a_report_holds_the_tasks_metrics_in_order_and_then_all_others() {
        let (sender, reports) = channel();
        let mut renderer = ReportRenderer::new(Box::new(Kept(sender)));
        let progress = || Progress::new(3, 7);
        let metadata = MetricMetadata {
            progress: progress(),
            global_progress: progress(),
            iteration: None,
            lr: None,
        };
        let item = StepMetrics {
            values: vec![("perplexity", 9.0), ("loss", 2.5), ("baseline", f64::NAN)],
        };
        let mut others = OtherValues::new(&["loss", "accuracy"]);
        let entry = others.update(&item, &metadata);
        let id = MetricId::new(others.name());
        renderer.update_valid(MetricState::Generic(MetricEntry::new(id, entry)));
        for name in ["loss", "accuracy"] {
            let mut metric = DashboardMetric::new(MetricInfo {
                name,
                higher_is_better: false,
            });
            let id = MetricId::new(metric.name());
            renderer.register_metric(MetricDefinition::new(id.clone(), &metric));
            let entry = MetricEntry::new(id, metric.update(&item, &metadata));
            renderer.update_valid(MetricState::Numeric(entry, metric.value()));
        }
        renderer.render_valid(
            TrainingProgress {
                progress: None,
                global_progress: progress(),
                iteration: None,
            },
            Vec::new(),
        );
        let expected = Report {
            split: Split::Valid,
            step: 3,
            steps: 7,
            values: vec![("loss".into(), 2.5), ("perplexity".into(), 9.0)],
        };
        assert_eq!(reports.recv().unwrap(), expected);
    }
}
