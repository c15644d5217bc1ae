//! The dashboard in a terminal; elsewhere one tidy line per logged step and per evaluation.

use std::collections::HashMap;

use burn::data::dataloader::Progress;
use burn_train::LearnerSummary;
use burn_train::metric::{MetricDefinition, MetricId};
use burn_train::renderer::{
    EvaluationName, EvaluationProgress, MetricState, MetricsRenderer, MetricsRendererEvaluation,
    MetricsRendererTraining, ProgressType, TrainingProgress,
};

type AnyError = Box<dyn std::error::Error>;

/// Burn's dashboard with its progress counted in steps. It is told of a step as "epoch n of N".
pub(super) struct StepDashboard(pub(super) burn_train::renderer::tui::TuiMetricsRendererWrapper);

fn in_steps(indicators: Vec<ProgressType>) -> Vec<ProgressType> {
    let step = indicators
        .into_iter()
        .find_map(|indicator| match indicator {
            ProgressType::Detailed { tag, progress } if tag == "Epoch" => {
                Some(ProgressType::Detailed {
                    tag: "Step".to_string(),
                    progress,
                })
            }
            _ => None,
        });
    step.into_iter().collect()
}

impl MetricsRendererTraining for StepDashboard {
    fn update_train(&mut self, state: MetricState) {
        if measured(&state) {
            self.0.update_train(state);
        }
    }

    fn update_valid(&mut self, state: MetricState) {
        if measured(&state) {
            self.0.update_valid(state);
        }
    }

    fn render_train(&mut self, item: TrainingProgress, indicators: Vec<ProgressType>) {
        self.0.render_train(item, in_steps(indicators));
    }

    fn render_valid(&mut self, item: TrainingProgress, indicators: Vec<ProgressType>) {
        self.0.render_valid(item, in_steps(indicators));
    }

    fn on_train_end(&mut self, summary: Option<LearnerSummary>) -> Result<(), AnyError> {
        self.0.on_train_end(summary)
    }
}

impl MetricsRendererEvaluation for StepDashboard {
    fn update_test(&mut self, name: EvaluationName, state: MetricState) {
        self.0.update_test(name, state);
    }

    fn render_test(&mut self, item: EvaluationProgress, indicators: Vec<ProgressType>) {
        self.0.render_test(item, indicators);
    }
}

impl MetricsRenderer for StepDashboard {
    fn manual_close(&mut self) {
        self.0.manual_close();
    }

    fn register_metric(&mut self, definition: MetricDefinition) {
        self.0.register_metric(definition);
    }
}

fn measured(state: &MetricState) -> bool {
    match state {
        MetricState::Generic(_) => true,
        MetricState::Numeric(_, value) => value.current().is_finite(),
    }
}

/// Lines on standard error, or nothing.
pub(super) struct PlainRenderer {
    silent: bool,
    names: HashMap<MetricId, String>,
    train: Vec<String>,
    valid: Vec<String>,
    started: std::time::Instant,
    first_step: Option<usize>,
}

impl PlainRenderer {
    pub(super) fn new(silent: bool) -> Self {
        Self {
            silent,
            names: HashMap::new(),
            train: Vec::new(),
            valid: Vec::new(),
            started: std::time::Instant::now(),
            first_step: None,
        }
    }

    fn part(&self, state: MetricState) -> Option<String> {
        let MetricState::Numeric(entry, value) = state else {
            return None;
        };
        let name = self.names.get(&entry.metric_id)?;
        value
            .current()
            .is_finite()
            .then(|| format!("{name} {}", entry.serialized_entry.formatted))
    }

    fn line(&mut self, split: &str, progress: &Progress, parts: Vec<String>) {
        if self.silent || parts.is_empty() {
            return;
        }
        let (done, total) = (progress.items_processed, progress.items_total);
        let first = *self.first_step.get_or_insert(done);
        let left = if done > first {
            let each = self.started.elapsed().as_secs_f64() / (done - first) as f64;
            let secs = (each * total.saturating_sub(done) as f64).round() as u64;
            format!("{}:{:02} left", secs / 60, secs % 60)
        } else {
            self.started = std::time::Instant::now();
            "-:-- left".to_string()
        };
        let filled = (done * 20).checked_div(total).unwrap_or(0);
        let bar: String = (0..20)
            .map(|i| if i < filled { '█' } else { '░' })
            .collect();
        eprintln!(
            "{bar} {done:>6}/{total} {left:>10}  {split:<5}  {}",
            parts.join("  ")
        );
    }
}

impl MetricsRendererTraining for PlainRenderer {
    fn update_train(&mut self, state: MetricState) {
        let part = self.part(state);
        self.train.extend(part);
    }

    fn update_valid(&mut self, state: MetricState) {
        let part = self.part(state);
        self.valid.extend(part);
    }

    fn render_train(&mut self, item: TrainingProgress, _indicators: Vec<ProgressType>) {
        let parts = std::mem::take(&mut self.train);
        self.line("train", &item.global_progress, parts);
    }

    fn render_valid(&mut self, item: TrainingProgress, _indicators: Vec<ProgressType>) {
        let parts = std::mem::take(&mut self.valid);
        self.line("valid", &item.global_progress, parts);
    }

    fn on_train_end(&mut self, _summary: Option<LearnerSummary>) -> Result<(), AnyError> {
        Ok(())
    }
}

impl MetricsRendererEvaluation for PlainRenderer {
    fn update_test(&mut self, _name: EvaluationName, _state: MetricState) {}

    fn render_test(&mut self, _item: EvaluationProgress, _indicators: Vec<ProgressType>) {}
}

impl MetricsRenderer for PlainRenderer {
    fn manual_close(&mut self) {}

    fn register_metric(&mut self, definition: MetricDefinition) {
        self.names.insert(definition.metric_id, definition.name);
    }
}
