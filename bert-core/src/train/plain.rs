//! One tidy line on standard error per logged step and per evaluation.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use ratatui::crossterm::style::Stylize;
use ratatui::crossterm::terminal;

use super::display;
use super::metrics::OF_STEPS;
use super::renderer::{Report, Show, Split};
use crate::tell;

/// Columns of a line that goes to a file, enough for all metrics of pre-training; in a terminal it fits its width.
const COLUMNS: usize = 160;

/// The lines of a run.
pub(super) struct PlainLines {
    terminal: bool,
    /// Step and time of the first report: what came before it is warm-up and says little about the time left.
    first: Option<(u64, Instant)>,
}

impl PlainLines {
    pub(super) fn new() -> Self {
        Self {
            terminal: std::io::stderr().is_terminal(),
            first: None,
        }
    }
}

impl Show for PlainLines {
    fn show(&mut self, report: Report) {
        let (first, since) = *self.first.get_or_insert((report.step, Instant::now()));
        let left = time_left(first, since.elapsed(), &report);
        if !self.terminal {
            tell!("{}", line(&report, left, COLUMNS));
            return;
        }
        let columns = terminal::size().map_or(COLUMNS, |(columns, _)| usize::from(columns));
        let columns = columns.clamp(60, COLUMNS) - (BAR + 1);
        let line = line(&report, left, columns);
        match report.split {
            Split::Train => tell!("{} {line}", bar(&report)),
            Split::Valid => tell!("{:BAR$} {}", "", line.bold()),
        }
    }
}

fn time_left(first: u64, elapsed: Duration, report: &Report) -> Option<Duration> {
    let done = report.step.checked_sub(first).filter(|done| *done > 0)?;
    let left = report.steps.saturating_sub(report.step);
    Some(elapsed.mul_f64(left as f64 / done as f64))
}

/// Characters of the progress bar.
const BAR: usize = 10;

fn bar(report: &Report) -> String {
    let filled = (report.step as usize * BAR).checked_div(report.steps as usize);
    let filled = filled.unwrap_or(0).min(BAR);
    "█".repeat(filled) + &"░".repeat(BAR - filled)
}

/// A report in at most `columns`: the first metric and how the steps go always, then as many metrics as there is room
/// for, in their order. All are in `metrics.jsonl`.
fn line(report: &Report, left: Option<Duration>, columns: usize) -> String {
    let (done, steps) = (report.step, report.steps);
    let width = steps.to_string().len();
    let (split, left) = match report.split {
        Split::Train => ("train", left.map_or("-:--".to_string(), display::clock)),
        Split::Valid => ("valid", String::new()),
    };
    let left = if left.is_empty() {
        left
    } else {
        format!("{left} left")
    };
    let head = format!("{done:>width$}/{steps} {left:>12}  {split}");
    let of_steps = |name: &str| OF_STEPS.iter().any(|info| info.name == name);
    let part = |(name, value): &(String, f64)| {
        format!(
            "  {} {}",
            display::short(name),
            display::value(name, *value)
        )
    };
    let (of_steps, metrics): (Vec<_>, Vec<_>) =
        report.values.iter().partition(|(name, _)| of_steps(name));
    let tail: String = of_steps.into_iter().map(part).collect();
    let mut line = head;
    for (index, metric) in metrics.into_iter().enumerate() {
        let part = part(metric);
        let fits = line.chars().count() + part.chars().count() + tail.chars().count() <= columns;
        if index > 0 && !fits {
            break;
        }
        line += &part;
    }
    line + &tail
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(split: Split, names: &[(&str, f64)]) -> Report {
        let values = names.iter().map(|(name, value)| (name.to_string(), *value));
        Report {
            split,
            step: 40,
            steps: 12_000,
            values: values.collect(),
        }
    }

    const TRAIN: [(&str, f64); 8] = [
        ("learning_rate", 1e-3),
        ("gradient_norm", 1.25),
        ("tokens_per_second", 11_204.4),
        ("loss", 7.1234),
        ("mlm_loss", 6.43),
        ("mlm_accuracy", 0.125),
        ("nsp_loss", 0.6875),
        ("nsp_accuracy", 0.5125),
    ];

    #[test]
    fn a_line_fits_its_columns_and_leaves_out_the_last_metrics() {
        let left = Some(Duration::from_secs(3723));
        let line = line(&report(Split::Train, &TRAIN), left, 120);
        assert_eq!(
            line,
            "   40/12000 1:02:03 left  train  loss 7.123  mlm_loss 6.430  mlm_acc 0.125  \
             lr 1.00e-3  norm 1.250  tok/s 11,204"
        );
    }

    #[test]
    fn the_loss_and_the_pace_are_shown_however_narrow_it_is() {
        let line = line(&report(Split::Train, &TRAIN), None, 20);
        assert!(line.contains("-:-- left"), "{line}");
        assert!(line.contains("loss 7.123  lr 1.00e-3  norm"), "{line}");
        assert!(!line.contains("mlm_loss"), "{line}");
    }

    #[test]
    fn lines_of_evaluations_stand_under_those_of_steps() {
        let train = line(&report(Split::Train, &TRAIN), None, COLUMNS);
        let valid = line(&report(Split::Valid, &[("loss", 7.0)]), None, COLUMNS);
        assert!(valid.ends_with("valid  loss 7.000"), "{valid}");
        assert_eq!(train.find("train"), valid.find("valid"));
    }

    #[test]
    fn the_time_left_follows_from_the_steps_since_the_first_report() {
        let report = report(Split::Train, &[]);
        let left = time_left(20, Duration::from_secs(10), &report);
        assert_eq!(left, Some(Duration::from_secs(5980)));
        assert_eq!(time_left(40, Duration::from_secs(10), &report), None);
    }

    #[test]
    fn the_bar_is_whole_only_at_the_end() {
        let mut report = report(Split::Train, &[]);
        report.step = report.steps - 1;
        assert_eq!(bar(&report), "█████████░");
        report.step += 1;
        assert_eq!(bar(&report), "██████████");
        report.steps = 0;
        assert_eq!(bar(&report), "░░░░░░░░░░");
    }
}
