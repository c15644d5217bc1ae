//! What the dashboard knows: reports folded into histories, and what the user chose to look at.

use std::time::Duration;

use super::series::Series;
use crate::train::metrics::{MetricInfo, OF_STEPS};
use crate::train::renderer::{Report, Split};

/// What runs.
#[derive(Debug, Clone, Default)]
pub(in crate::train) struct About {
    pub(in crate::train) run_dir: String,
    pub(in crate::train) backend: String,
    pub(in crate::train) parameters: usize,
    /// Optimizer steps done before this process, and in all.
    pub(in crate::train) start: u64,
    pub(in crate::train) steps: u64,
    /// The task's metrics, in its order.
    pub(in crate::train) metrics: Vec<MetricInfo>,
}

/// One metric.
#[derive(Debug, Clone)]
pub(super) struct Metric {
    pub(super) name: String,
    /// Unknown of what a task adds beside its metrics: such a value has no best.
    higher_is_better: Option<bool>,
    pub(super) train: Series,
    pub(super) valid: Series,
    /// Step and value of the best evaluation.
    pub(super) best: Option<(f64, f64)>,
}

impl Metric {
    fn new(name: &str, higher_is_better: Option<bool>) -> Self {
        Self {
            name: name.to_string(),
            higher_is_better,
            train: Series::default(),
            valid: Series::default(),
            best: None,
        }
    }

    fn push(&mut self, split: Split, step: u64, value: f64) {
        match split {
            Split::Train => self.train.push(step, value),
            Split::Valid => {
                self.valid.push(step, value);
                let better = |(_, best)| match self.higher_is_better {
                    Some(true) => value > best,
                    Some(false) => value < best,
                    None => false,
                };
                if self.best.map_or(self.higher_is_better.is_some(), better) {
                    self.best = Some((step as f64, value));
                }
            }
        }
    }
}

/// The last and narrowest choice of [`State::zoom`].
const MAX_ZOOM: u32 = 4;

/// Everything that is drawn.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) about: About,
    /// First [`OF_STEPS`], then the task's, then what else came, each in order.
    metrics: Vec<Metric>,
    selected: usize,
    /// The chart shows the last `1 / 2^zoom` of the steps done.
    zoom: u32,
    pub(super) step: u64,
    /// Since the process began to train.
    pub(super) elapsed: Duration,
    /// Step and time of the first and of the last report of this process.
    first_report: Option<(u64, Duration)>,
    last_report: Option<(u64, Duration)>,
    pub(super) stopping: bool,
}

impl State {
    pub(super) fn new(about: About) -> Self {
        let infos = OF_STEPS.iter().chain(&about.metrics);
        let metrics: Vec<Metric> = infos
            .map(|info| Metric::new(info.name, Some(info.higher_is_better)))
            .collect();
        Self {
            // The task's first metric is its loss.
            selected: OF_STEPS.len().min(metrics.len() - 1),
            metrics,
            zoom: 0,
            step: about.start,
            elapsed: Duration::ZERO,
            first_report: None,
            last_report: None,
            stopping: false,
            about,
        }
    }

    /// Folds in what was reported just now.
    pub(super) fn report(&mut self, report: &Report) {
        self.remember(report);
        let now = (report.step, self.elapsed);
        self.first_report.get_or_insert(now);
        self.last_report = Some(now);
        self.step = report.step;
        self.about.steps = report.steps;
    }

    /// Folds in what was reported before this process began.
    pub(super) fn remember(&mut self, report: &Report) {
        for (name, value) in &report.values {
            let known = self.metrics.iter().position(|metric| metric.name == *name);
            let index = known.unwrap_or_else(|| {
                self.metrics.push(Metric::new(name, None));
                self.metrics.len() - 1
            });
            self.metrics[index].push(report.split, report.step, *value);
        }
    }

    /// How the steps go.
    pub(super) fn of_steps(&self) -> &[Metric] {
        &self.metrics[..OF_STEPS.len()]
    }

    /// How the task goes.
    pub(super) fn of_task(&self) -> &[Metric] {
        &self.metrics[OF_STEPS.len()..]
    }

    pub(super) fn selected(&self) -> &Metric {
        &self.metrics[self.selected]
    }

    pub(super) fn is_selected(&self, metric: &Metric) -> bool {
        std::ptr::eq(self.selected(), metric)
    }

    /// Selects the metric after the selected one, or the one before it.
    pub(super) fn select(&mut self, forward: bool) {
        let count = self.metrics.len();
        self.selected = (self.selected + if forward { 1 } else { count - 1 }) % count;
    }

    /// Looks closer at the recent steps, or at more of them.
    pub(super) fn zoom(&mut self, closer: bool) {
        self.zoom = if closer {
            (self.zoom + 1).min(MAX_ZOOM)
        } else {
            self.zoom.saturating_sub(1)
        };
    }

    /// What part of the steps is charted: 1, or the last half, and so on.
    pub(super) fn part(&self) -> u64 {
        1 << self.zoom
    }

    /// The steps the chart spans.
    pub(super) fn span(&self) -> (f64, f64) {
        let step = self.step as f64;
        (step - step / self.part() as f64, step)
    }

    /// How long the steps left will take at the pace so far, evaluations and checkpoints included.
    pub(super) fn time_left(&self) -> Option<Duration> {
        let (step, at) = self.last_report?;
        // The first report ends the warm-up, kernel compilation on a GPU for one; until a second it is all there is.
        let first = self.first_report.filter(|first| first.0 < step);
        let (from, since) = first.unwrap_or((self.about.start, Duration::ZERO));
        let done = step.checked_sub(from).filter(|done| *done > 0)?;
        let left = self.about.steps.saturating_sub(step);
        let left = at.saturating_sub(since).mul_f64(left as f64 / done as f64);
        Some(left.saturating_sub(self.elapsed.saturating_sub(at)))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn info(name: &'static str, higher_is_better: bool) -> MetricInfo {
        MetricInfo {
            name,
            higher_is_better,
        }
    }

    /// A run of 4321 steps, at step 0.
    pub(in super::super) fn fresh() -> State {
        State::new(About {
            run_dir: "runs/quickstart".into(),
            backend: "ndarray Cpu".into(),
            parameters: 4_385_920,
            start: 0,
            steps: 4321,
            metrics: vec![info("loss", false), info("accuracy", true)],
        })
    }

    pub(in super::super) fn report(split: Split, step: u64, values: &[(&str, f64)]) -> Report {
        let values = values
            .iter()
            .map(|(name, value)| (name.to_string(), *value));
        Report {
            split,
            step,
            steps: 4321,
            values: values.collect(),
        }
    }

    fn latest(state: &State, name: &str) -> (Option<f64>, Option<f64>) {
        let metric = state.metrics.iter().find(|metric| metric.name == name);
        let latest = |series: &Series| series.latest().map(|(_, value)| value);
        metric.map_or((None, None), |m| (latest(&m.train), latest(&m.valid)))
    }

    #[test]
    fn a_report_becomes_the_latest_values_of_its_split() {
        let mut state = fresh();
        state.report(&report(
            Split::Train,
            10,
            &[("loss", 7.0), ("learning_rate", 1e-3)],
        ));
        state.report(&report(Split::Train, 20, &[("loss", 6.0)]));
        state.report(&report(Split::Valid, 20, &[("loss", 6.5)]));
        assert_eq!(latest(&state, "loss"), (Some(6.0), Some(6.5)));
        assert_eq!(latest(&state, "learning_rate"), (Some(1e-3), None));
        assert_eq!(latest(&state, "accuracy"), (None, None));
        assert_eq!(state.step, 20);
    }

    #[test]
    fn a_metric_nobody_announced_follows_those_of_the_task() {
        let mut state = fresh();
        state.report(&report(
            Split::Valid,
            9,
            &[("baseline", 5.0), ("loss", 6.0)],
        ));
        let names: Vec<&str> = state.of_task().iter().map(|m| m.name.as_str()).collect();
        assert_eq!(names, ["loss", "accuracy", "baseline"]);
        assert_eq!(state.of_task()[2].best, None);
    }

    #[test]
    fn the_best_evaluation_is_the_lowest_loss_and_the_highest_accuracy() {
        let mut state = fresh();
        for (step, loss, accuracy) in [(3, 5.0, 0.2), (5, 4.0, 0.1), (7, 4.5, 0.3)] {
            let values = [("loss", loss), ("accuracy", accuracy)];
            state.report(&report(Split::Valid, step, &values));
        }
        assert_eq!(state.of_task()[0].best, Some((5.0, 4.0)));
        assert_eq!(state.of_task()[1].best, Some((7.0, 0.3)));
    }

    #[test]
    fn selecting_goes_round_all_metrics_and_starts_at_the_loss() {
        let mut state = fresh();
        let mut names = vec![state.selected().name.clone()];
        for _ in 0..6 {
            state.select(true);
            names.push(state.selected().name.clone());
        }
        assert_eq!(
            names,
            [
                "loss",
                "accuracy",
                "learning_rate",
                "gradient_norm",
                "wait_fraction",
                "tokens_per_second",
                "loss"
            ]
        );
        state.select(false);
        assert_eq!(state.selected().name, "tokens_per_second");
    }

    #[test]
    fn zooming_ends_at_the_whole_run_and_at_a_sixteenth() {
        let mut state = fresh();
        state.step = 1600;
        state.zoom(false);
        assert_eq!(state.span(), (0.0, 1600.0));
        state.zoom(true);
        assert_eq!(state.span(), (800.0, 1600.0));
        for _ in 0..9 {
            state.zoom(true);
        }
        assert_eq!(state.span(), (1500.0, 1600.0));
    }

    #[test]
    fn the_time_left_is_that_of_this_process_and_runs_down_between_reports() {
        let mut about = fresh().about;
        about.start = 4000;
        let mut state = State::new(about);
        state.remember(&report(Split::Train, 4000, &[("loss", 3.0)]));
        assert_eq!(state.time_left(), None);
        let seconds = Duration::from_secs;
        state.elapsed = seconds(50); // 40 of them compile
        state.report(&report(Split::Train, 4010, &[]));
        assert_eq!(state.time_left(), Some(seconds(5 * 311)));
        state.elapsed = seconds(60);
        state.report(&report(Split::Train, 4020, &[]));
        assert_eq!(state.time_left(), Some(seconds(301)));
        state.elapsed = seconds(64);
        assert_eq!(state.time_left(), Some(seconds(297)));
    }

    #[test]
    fn a_run_without_steps_left_has_no_time_left() {
        let mut state = fresh();
        state.elapsed = Duration::from_secs(9);
        state.report(&report(Split::Train, 4321, &[]));
        state.elapsed = Duration::from_secs(19);
        assert_eq!(state.time_left(), Some(Duration::ZERO));
    }
}
