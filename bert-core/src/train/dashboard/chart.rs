//! The selected metric over the steps.

use ratatui::Frame;
use ratatui::layout::{Alignment, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, Borders, Chart, Dataset, GraphType, Paragraph};

use super::series::Point;
use super::state::State;
use super::view::{BEST, TRAIN, VALID};
use crate::train::display;

/// Draws the chart of the selected metric.
pub(super) fn draw(state: &State, frame: &mut Frame, area: Rect) {
    let metric = state.selected();
    let (from, to) = state.span();
    let train = metric.train.points_from(from);
    // More points than dots across would be a block of colour: then their mean is drawn through them.
    let dense = train.len() > 2 * usize::from(area.width);
    let means = if dense {
        metric.train.means_from(from, usize::from(area.width) / 2)
    } else {
        Vec::new()
    };
    let valid = metric.valid.points_from(from);
    let best: Vec<Point> = metric.best.into_iter().filter(|p| p.0 >= from).collect();
    let block = Block::new()
        .borders(Borders::TOP)
        .border_style(Style::new().dim())
        .title_top(title(&metric.name, &train, dense, &valid, &best))
        .title_top(Line::from(zoom(state.part())).right_aligned().dim());
    let inner = block.inner(area);
    let points = || train.iter().chain(&valid).map(|point| point.1);
    let low = points().fold(f64::INFINITY, f64::min);
    let high = points().fold(f64::NEG_INFINITY, f64::max);
    if low > high {
        frame.render_widget(block, area);
        let waiting = if state.step == state.about.start {
            "waiting for the first logged step"
        } else {
            "not measured in these steps"
        };
        let middle = Rect {
            y: inner.y + inner.height / 2,
            height: inner.height.min(1),
            ..inner
        };
        frame.render_widget(Paragraph::new(waiting).centered().dim(), middle);
        return;
    }
    // Two rows are the axis and its labels; a label every second row can be told from the next.
    let most = usize::from(inner.height.saturating_sub(2) / 2).clamp(2, 9);
    let ticks = ticks(low, high, most);
    let y_labels = ticks.iter().map(|tick| Span::from(tick.text.clone()).dim());
    let x_labels = [from, (from + to) / 2.0, to];
    let x_labels = x_labels.map(|step| Span::from(display::count(step.round() as i64)).dim());
    let line = |data, color| {
        Dataset::default()
            .data(data)
            .marker(Marker::Braille)
            .graph_type(GraphType::Line)
            .style(color)
    };
    let dots = |data, character, color| {
        Dataset::default()
            .data(data)
            .marker(Marker::Custom(character))
            .style(color)
    };
    let chart = Chart::new(vec![
        line(&train, if dense { RANGE } else { TRAIN }),
        line(&means, TRAIN),
        dots(&valid, DOT, VALID),
        dots(&best, DIAMOND, BEST),
    ])
    .block(block)
    .legend_position(None)
    .x_axis(
        Axis::default()
            .bounds([from, to.max(from + 1.0)])
            .labels(x_labels)
            .labels_alignment(Alignment::Right)
            .dim(),
    )
    .y_axis(
        Axis::default()
            .bounds([ticks[0].value, ticks[ticks.len() - 1].value])
            .labels(y_labels)
            .labels_alignment(Alignment::Right)
            .dim(),
    );
    frame.render_widget(chart, area);
}

/// Behind the mean.
const RANGE: Color = Color::DarkGray;
const DOT: char = '●';
const DIAMOND: char = '◆';

/// The name, and what the marks that are there mean.
fn title(
    name: &str,
    train: &[Point],
    dense: bool,
    valid: &[Point],
    best: &[Point],
) -> Line<'static> {
    let mut title = vec![Span::from(format!(" {name} ")).bold()];
    if !train.is_empty() {
        title.push(Span::from(" ── train ").fg(TRAIN));
    }
    if dense {
        title.push(Span::from(" ░ its range ").fg(RANGE));
    }
    if !valid.is_empty() {
        title.push(Span::from(format!(" {DOT} valid ")).fg(VALID));
    }
    if !best.is_empty() {
        title.push(Span::from(format!(" {DIAMOND} best ")).fg(BEST));
    }
    Line::from(title)
}

fn zoom(part: u64) -> String {
    match part {
        1 => " whole run ".to_string(),
        part => format!(" last 1/{part} of the steps "),
    }
}

/// A labelled value of an axis.
#[derive(Debug, Clone, PartialEq)]
struct Tick {
    value: f64,
    text: String,
}

/// At least two and at most `most` evenly spaced round values, the first at or below `low`, the last at or above `high`.
fn ticks(low: f64, high: f64, most: usize) -> Vec<Tick> {
    let (low, high) = if high > low {
        (low, high)
    } else {
        let margin = (low.abs() * 0.1).max(1e-9);
        (low - margin, high + margin)
    };
    let rough = (high - low) / most.max(2) as f64;
    let mut unit = 10_f64.powf(rough.log10().floor());
    loop {
        for step in [unit, 2.0 * unit, 5.0 * unit] {
            let (first, last) = ((low / step).floor(), (high / step).ceil());
            if last - first < most.max(2) as f64 || step > 10.0 * (high - low) {
                let count = (last - first).max(1.0) as usize;
                let values = (0..=count).map(|index| (first + index as f64) * step);
                let tick = |value| Tick {
                    value,
                    text: label(value, step),
                };
                return values.map(tick).collect();
            }
        }
        unit *= 10.0;
    }
}

/// A value with as many decimals as tell it from the next tick.
fn label(value: f64, step: f64) -> String {
    let decimals = -step.log10().floor();
    if decimals <= 0.0 && value.abs() < 1e9 {
        display::count(value.round() as i64)
    } else if decimals <= 5.0 && decimals > 0.0 {
        let decimals = decimals as usize;
        format!("{value:.decimals$}")
    } else {
        format!("{value:.1e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(low: f64, high: f64, most: usize) -> Vec<String> {
        let ticks = ticks(low, high, most);
        assert!(ticks[0].value <= low && ticks[ticks.len() - 1].value >= high);
        ticks.into_iter().map(|tick| tick.text).collect()
    }

    #[test]
    fn ticks_are_round_and_span_the_values() {
        assert_eq!(texts(2.3, 7.9, 4), ["2", "4", "6", "8"]);
        assert_eq!(
            texts(0.013, 0.047, 6),
            ["0.01", "0.02", "0.03", "0.04", "0.05"]
        );
        assert_eq!(
            texts(980.0, 12_345.0, 4),
            ["0", "5,000", "10,000", "15,000"]
        );
        assert_eq!(texts(-1.0, 1.0, 3), ["-1", "0", "1"]);
        assert_eq!(
            texts(0.9e-7, 2.1e-7, 4),
            ["0.0e0", "1.0e-7", "2.0e-7", "3.0e-7"]
        );
    }

    #[test]
    fn there_are_never_more_ticks_than_asked_for_nor_fewer_than_two() {
        for (low, high) in [
            (0.0, 0.0),
            (5.0, 5.0),
            (-3.3, -3.3),
            (0.1, 0.3),
            (-7.0, 1e12),
        ] {
            for most in 0..10 {
                let count = texts(low, high, most).len();
                assert!(
                    (2..=most.max(3)).contains(&count),
                    "{low} {high} {most} {count}"
                );
            }
        }
    }
}
