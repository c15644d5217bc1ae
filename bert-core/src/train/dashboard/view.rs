//! The state as a frame. A pure function: the same state and size give the same frame.
//!
//! ```text
//! what runs
//! steps, and the time left
//! time, learning rate, gradient norm, speed
//!
//! the task's metrics: train, valid, best      | their histories in small, where it is wide
//! the selected metric over the steps
//! keys
//! ```
//!
//! In a small terminal the lines at the top become one, then columns go, then the chart.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Sparkline};

use super::chart;
use super::series::Series;
use super::state::{Metric, State};
use crate::train::display;
use crate::train::stop::STOPPING;

// The sixteen colours that every terminal has, as its owner chose them.
pub(super) const TRAIN: Color = Color::Cyan;
pub(super) const VALID: Color = Color::Yellow;
pub(super) const BEST: Color = Color::Green;

/// Draws everything.
pub(super) fn draw(state: &State, frame: &mut Frame) {
    let area = frame.area();
    let (width, height) = (area.width, area.height);
    let roomy = width >= 60 && height >= 14;
    let head = if roomy { 4 } else { 1 };
    let foot = u16::from(height >= 3);
    let body = height.saturating_sub(head + foot);
    // A chart needs a title, an axis with labels, and some rows to speak.
    let charted = body >= 9 && width >= 30;
    let wanted = state.of_task().len() as u16 + 1;
    let listed = wanted.min(if charted { body / 2 } else { body });
    let [head, table, chart, foot] = Layout::vertical([
        Constraint::Length(head),
        Constraint::Length(listed),
        Constraint::Min(0),
        Constraint::Length(foot),
    ])
    .areas(area);
    if roomy {
        draw_head(state, frame, head);
    } else {
        frame.render_widget(progress(state, width), head);
    }
    draw_metrics(state, frame, table);
    if charted {
        chart::draw(state, frame, chart);
    }
    frame.render_widget(keys(state, width), foot);
}

fn draw_head(state: &State, frame: &mut Frame, area: Rect) {
    let about = &state.about;
    let parameters = display::rough(about.parameters);
    let facts = format!("{}   {parameters} parameters ", about.backend);
    let columns = usize::from(area.width);
    let room = columns.saturating_sub(facts.chars().count() + 4);
    let title = Span::from(format!(" {}", shortened(&about.run_dir, room))).bold();
    let rows = Layout::vertical([Constraint::Length(1); 3]).split(area);
    frame.render_widget(Line::from(title), rows[0]);
    if room >= 12 {
        frame.render_widget(Line::from(facts).right_aligned().dim(), rows[0]);
    }
    frame.render_widget(progress(state, area.width), rows[1]);
    frame.render_widget(pace(state, columns), rows[2]);
}

/// The end of a path that is too long.
fn shortened(path: &str, columns: usize) -> String {
    let length = path.chars().count();
    if length <= columns {
        return path.to_string();
    }
    let end = path.chars().skip(length + 1 - columns.max(1));
    std::iter::once('…').chain(end).collect()
}

/// How far it is, as much of it as there is room for.
fn progress(state: &State, columns: u16) -> Line<'static> {
    let columns = usize::from(columns);
    let (step, steps) = (state.step, state.about.steps);
    let percent = (step * 100).checked_div(steps).unwrap_or(0);
    let (done, all) = (display::count(step as i64), display::count(steps as i64));
    let left = state.time_left().map_or("-:--".to_string(), display::clock);
    let start = format!(" step {done} of {all}  ");
    let end = format!("  {percent} %  {left} left ");
    let used = start.chars().count() + end.chars().count();
    let bar = columns.saturating_sub(used);
    if bar >= 8 {
        let filled = (bar as u64 * step).checked_div(steps).unwrap_or(0);
        let filled = (filled as usize).min(bar);
        return Line::from(vec![
            Span::from(start).bold(),
            Span::from("━".repeat(filled)).fg(TRAIN),
            Span::from("─".repeat(bar - filled)).dim(),
            Span::from(end),
        ]);
    }
    let variants = [
        format!(" {done}/{all}  {percent} %  {left} left"),
        format!("{done}/{all} {percent} %"),
    ];
    let fitting = variants.iter().find(|text| text.chars().count() <= columns);
    Line::from(fitting.unwrap_or(&variants[1]).clone()).bold()
}

/// The time, and the latest of what every step has.
fn pace(state: &State, columns: usize) -> Line<'static> {
    let line = |name: fn(&str) -> String| {
        let elapsed = display::clock(state.elapsed);
        let mut spans = vec![Span::from("  elapsed ").dim(), Span::from(elapsed)];
        for metric in state.of_steps() {
            let (mark, style) = mark(state, metric);
            spans.push(Span::from(format!("  {mark} ")).style(style));
            spans.push(Span::from(name(&metric.name)).style(if mark == MARK {
                style
            } else {
                Style::new().dim()
            }));
            let value = latest(&metric.name, &metric.train);
            spans.push(Span::from(format!(" {value}")).style(style));
        }
        Line::from(spans)
    };
    let long = line(|name| name.replace('_', " "));
    if long.width() <= columns {
        long
    } else {
        line(display::short)
    }
}

const MARK: &str = "▸";

/// What tells the selected metric from the others.
fn mark(state: &State, metric: &Metric) -> (&'static str, Style) {
    if state.is_selected(metric) {
        (MARK, Style::new().bold())
    } else {
        (" ", Style::new())
    }
}

fn latest(name: &str, series: &Series) -> String {
    let latest = series.latest();
    latest.map_or("–".to_string(), |(_, value)| display::value(name, value))
}

/// Columns of a value in the table.
const VALUE: usize = 12;
/// Columns of the only value in a narrow one.
const NARROW_VALUE: usize = 8;

fn draw_metrics(state: &State, frame: &mut Frame, area: Rect) {
    let metrics = state.of_task();
    let width = usize::from(area.width);
    let table = Table::fitting(metrics, width);
    let (table_area, small_area) = if width >= table.width() + 40 && area.height >= 4 {
        let [table, _, small] = Layout::horizontal([
            Constraint::Length(table.width() as u16),
            Constraint::Length(4),
            Constraint::Min(0),
        ])
        .areas(area);
        (table, small)
    } else {
        (area, Rect::ZERO)
    };
    let rows = usize::from(area.height);
    let headed = rows > 3;
    let shown = rows - usize::from(headed).min(rows);
    let selected = metrics.iter().position(|metric| state.is_selected(metric));
    let first = (selected.unwrap_or(0) + 1).saturating_sub(shown.max(1));
    let last = (first + shown).min(metrics.len());
    let mut lines = Vec::new();
    if headed {
        let all = last - first == metrics.len();
        lines.push(table.header(&if all {
            "metric".to_string()
        } else {
            format!("{}–{last} of {}", first + 1, metrics.len())
        }));
    }
    lines.extend(metrics[first..last].iter().map(|m| table.row(state, m)));
    frame.render_widget(Paragraph::new(lines), table_area);
    if small_area.height > 0 {
        draw_small(state, frame, small_area);
    }
}

/// The columns there is room for: train, valid, best, and the step of the best; or only the newest value.
struct Table {
    name: usize,
    value: usize,
    values: usize,
}

impl Table {
    fn fitting(metrics: &[Metric], width: usize) -> Self {
        let names = metrics.iter().map(|metric| metric.name.chars().count());
        let name = names.max().unwrap_or(0).max("14–21 of 32".chars().count()) + 2;
        let (name, value, values) = match width.saturating_sub(name) / VALUE {
            0 | 1 => (
                width.saturating_sub(NARROW_VALUE).min(name),
                NARROW_VALUE,
                1,
            ),
            2 | 3 => (name, VALUE, 2),
            _ => (name, VALUE, 4),
        };
        Self {
            name,
            value,
            values,
        }
    }

    fn width(&self) -> usize {
        self.name + self.values * self.value
    }

    fn name(&self, mark: &str, name: &str) -> String {
        let width = self.name.saturating_sub(2);
        let name = if name.chars().count() > width {
            display::short(name)
        } else {
            name.to_string()
        };
        format!("{mark} {name:<width$.width$}")
    }

    fn header(&self, name: &str) -> Line<'static> {
        let width = self.value;
        let titles: &[&str] = match self.values {
            1 => &["latest"],
            2 => &["train", "valid"],
            _ => &["train", "valid", "best valid", "at step"],
        };
        let titles = titles.iter().map(|title| format!("{title:>width$}"));
        Line::from(self.name(" ", name) + &titles.collect::<String>()).dim()
    }

    fn row(&self, state: &State, metric: &Metric) -> Line<'static> {
        let (mark, style) = mark(state, metric);
        let width = self.value;
        let cell = |text: String| Span::from(format!("{text:>width$}"));
        let train = cell(latest(&metric.name, &metric.train)).fg(TRAIN);
        let valid = cell(latest(&metric.name, &metric.valid)).fg(VALID);
        let mut spans = vec![Span::from(self.name(mark, &metric.name))];
        if self.values == 1 {
            let evaluated = metric.train.latest().is_none();
            spans.push(if evaluated { valid } else { train });
        } else {
            spans.extend([train, valid]);
        }
        if self.values == 4
            && let Some((step, value)) = metric.best
        {
            spans.push(cell(display::value(&metric.name, value)).fg(BEST));
            spans.push(cell(display::count(step as i64)).dim());
        }
        Line::from(spans).style(style)
    }
}

/// The histories of what every step has, one over the other.
fn draw_small(state: &State, frame: &mut Frame, area: Rect) {
    let of_steps = state.of_steps();
    let each = (area.height / of_steps.len() as u16).max(1);
    for (index, metric) in (0..).zip(of_steps) {
        let row = Rect {
            y: area.y + index * each,
            height: each,
            ..area
        };
        let [name, history] = Layout::horizontal([Constraint::Length(20), Constraint::Min(0)])
            .areas(row.intersection(area));
        let points = metric.train.points_from(state.span().0);
        let points = &points[points.len().saturating_sub(usize::from(history.width))..];
        let values = || points.iter().map(|point| point.1);
        let low = values().fold(f64::INFINITY, f64::min);
        let high = values().fold(f64::NEG_INFINITY, f64::max);
        // From 1, so that the lowest can be seen too.
        let scaled =
            values().map(|value| 1 + (99.0 * (value - low) / (high - low).max(1e-300)) as u64);
        let [_, baseline] =
            Layout::vertical([Constraint::Min(0), Constraint::Length(1)]).areas(name);
        frame.render_widget(Line::from(metric.name.replace('_', " ")).dim(), baseline);
        let bars = Sparkline::default()
            .data(scaled.collect::<Vec<u64>>())
            .max(100);
        frame.render_widget(bars.fg(TRAIN), history);
    }
}

/// What the keys do, or that the run is stopping.
fn keys(state: &State, columns: u16) -> Line<'static> {
    let variants: &[String] = if state.stopping {
        &[
            format!(" {STOPPING}   Ctrl-C: quit now"),
            " stopping   Ctrl-C: quit now".to_string(),
            "stopping".to_string(),
        ]
    } else {
        &[
            " ← → metric   ↑ ↓ recent/whole   q stop with a checkpoint   Ctrl-C twice quit"
                .to_string(),
            " ←→ metric  ↑↓ zoom  q stop  Ctrl-C×2 quit".to_string(),
            "←→ metric  q stop".to_string(),
        ]
    };
    let fitting = variants
        .iter()
        .find(|text| text.chars().count() <= usize::from(columns));
    let line = Line::from(fitting.or(variants.last()).cloned().unwrap_or_default());
    if state.stopping {
        line.style(Style::new().fg(VALID).bold())
    } else {
        line.dim()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::super::state::tests::{fresh, report};
    use super::*;
    use crate::train::renderer::Split;

    fn drawn(state: &State, columns: u16, rows: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
        terminal.draw(|frame| draw(state, frame)).unwrap();
        let buffer = terminal.backend().buffer();
        let row = |row| (0..columns).map(move |column| buffer[(column, row)].symbol());
        let rows = (0..rows).map(|index| row(index).collect::<String>());
        rows.collect::<Vec<_>>().join("\n")
    }

    /// At step 1234 of 4321, with an evaluation every 100 steps.
    fn running() -> State {
        let mut state = fresh();
        for step in 1..=1234_u64 {
            state.elapsed = Duration::from_millis(3000 * step);
            let loss = 2.0 + 6.0 / (1.0 + step as f64 / 90.0) + 0.2 * (step as f64).sin();
            let values = [
                ("loss", loss),
                ("accuracy", 1.0 / loss),
                ("learning_rate", 1e-6 * step as f64),
                ("gradient_norm", 1.5),
                ("tokens_per_second", 11_204.0),
            ];
            state.report(&report(Split::Train, step, &values));
            if step.is_multiple_of(100) {
                let values = [("loss", loss - 0.25), ("baseline", 6.1875)];
                state.report(&report(Split::Valid, step, &values));
            }
        }
        state
    }

    #[test]
    fn everything_is_there_in_a_terminal_of_80_by_24() {
        let screen = drawn(&running(), 80, 24);
        let words: Vec<&str> = screen.split_whitespace().collect();
        let words = words.join(" ");
        for text in [
            "runs/quickstart",
            "ndarray Cpu 4.39 M parameters",
            "step 1,234 of 4,321 ━━━",
            "28 % 2:34:21 left",
            "elapsed 1:01:42",
            "lr 1.23e-3",
            "norm 1.500",
            "tok/s 11,204",
            "metric train valid best valid at step",
            "▸ loss 2.",
            "accuracy 0.",
            "baseline – 6.188",
            "── train ░ its range ● valid ◆ best",
            "whole run",
            "617",
            "← → metric ↑ ↓ recent/whole q stop with a checkpoint",
        ] {
            assert!(words.contains(text), "{text:?} in\n{screen}");
        }
        assert!(screen.contains(['⠁', '⣀', '⠤', '⡇']), "{screen}");
    }

    #[test]
    fn a_wide_terminal_spells_the_names_out_and_shows_the_pace_over_time() {
        let screen = drawn(&running(), 120, 40);
        for text in ["learning rate 1.23e-3", "tokens per second 11,204", "█"] {
            assert!(screen.contains(text), "{text:?} in\n{screen}");
        }
    }

    #[test]
    fn a_tiny_terminal_has_the_step_the_selected_metric_and_the_keys() {
        let mut state = running();
        let screen = drawn(&state, 20, 5);
        for text in ["1,234/4,321 28 %", "▸ loss", "q stop"] {
            assert!(screen.contains(text), "{text:?} in\n{screen}");
        }
        let value = format!("{:.3}", state.selected().train.latest().unwrap().1);
        assert!(screen.contains(&value), "{value:?} in\n{screen}");
        state.stopping = true;
        assert!(drawn(&state, 20, 5).contains("stopping"));
    }

    #[test]
    fn a_narrow_table_shortens_names_before_it_hides_values() {
        let mut state = fresh();
        let values = [("mlm_accuracy", 0.125), ("mlm_unigram_loss", 5.4125)];
        state.report(&report(Split::Valid, 3, &values));
        let screen = drawn(&state, 19, 8);
        assert!(screen.contains("  mlm_acc     0.125"), "{screen}");
        assert!(screen.contains("  mlm_unigr   5.412"), "{screen}");
    }

    #[test]
    fn no_size_and_no_choice_is_too_small_to_draw() {
        for mut state in [fresh(), running()] {
            for _ in 0..7 {
                for (columns, rows) in (1..=34).flat_map(|c| (1..=16).map(move |r| (c, r))) {
                    drawn(&state, columns, rows);
                }
                drawn(&state, 250, 3);
                drawn(&state, 3, 90);
                state.select(true);
                state.zoom(true);
            }
        }
    }

    #[test]
    fn no_line_is_cut_off_at_80_by_24_when_the_numbers_are_large() {
        let mut state = fresh();
        state.elapsed = Duration::from_secs(1_234_567);
        let values = [("loss", 1234.5), ("tokens_per_second", 1_234_567.0)];
        let mut large = report(Split::Train, 12_345_678, &values);
        large.steps = 99_999_999;
        state.report(&large);
        let screen = drawn(&state, 80, 24);
        for text in [
            "12,345,678 of 99,999,999",
            "left",
            "elapsed 342:56:07",
            "tok/s 1,234,567",
        ] {
            assert!(screen.contains(text), "{text:?} in\n{screen}");
        }
    }

    #[test]
    fn metrics_that_do_not_fit_scroll_to_the_selected_one() {
        let mut state = fresh();
        let names: Vec<String> = (0..30).map(|index| format!("metric_{index:02}")).collect();
        let values: Vec<(&str, f64)> = names.iter().map(|name| (name.as_str(), 0.5)).collect();
        state.report(&report(Split::Valid, 5, &values));
        assert!(drawn(&state, 80, 24).contains("1–8 of 32"));
        for _ in 0..20 {
            state.select(true);
        }
        let screen = drawn(&state, 80, 24);
        assert!(screen.contains("▸ metric_18"), "{screen}");
        assert!(screen.contains("14–21 of 32"), "{screen}");
    }

    #[test]
    fn a_chosen_metric_and_part_are_named_over_the_chart() {
        let mut state = running();
        state.select(true);
        state.zoom(true);
        let screen = drawn(&state, 80, 24);
        assert!(screen.contains(" accuracy  ── train"), "{screen}");
        assert!(screen.contains("last 1/2 of the steps"), "{screen}");
    }

    #[test]
    fn before_the_first_report_the_dashboard_says_that_it_waits() {
        let screen = drawn(&fresh(), 80, 24);
        assert!(
            screen.contains("waiting for the first logged step"),
            "{screen}"
        );
        assert!(screen.contains("-:-- left"), "{screen}");
    }

    #[test]
    fn a_stopping_run_says_what_it_still_does() {
        let mut state = running();
        state.stopping = true;
        let screen = drawn(&state, 80, 24);
        assert!(
            screen.contains("finishing the step, then writing a checkpoint"),
            "{screen}"
        );
        assert!(screen.contains("Ctrl-C: quit now"), "{screen}");
    }

    #[test]
    fn a_long_path_keeps_its_end() {
        assert_eq!(shortened("runs/quickstart", 15), "runs/quickstart");
        assert_eq!(shortened("runs/quickstart", 9), "…ickstart");
        assert_eq!(shortened("runs/quickstart", 0).chars().count(), 1);
    }
}
