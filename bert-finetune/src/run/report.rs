//! Metrics as people read them.

use serde_json::Value;

use crate::tasks::Report;

/// Metrics as a table, and what there is by class.
pub(super) fn readable(report: &Report) -> String {
    let mut lines: Vec<String> = (report.values.iter())
        .map(|(name, value)| format!("{name:<18} {value:>9.4}"))
        .collect();
    for key in ["rows", "skipped_rows", "truncated_texts"] {
        if let Some(count) = report.details.get(key) {
            lines.push(format!("{key:<18} {count:>9}"));
        }
    }
    for key in ["per_class", "per_type"] {
        let Some(Value::Object(classes)) = report.details.get(key) else {
            continue;
        };
        let width = classes.keys().map(|name| name.chars().count()).max();
        let width = width.unwrap_or(0).max(8);
        lines.push(format!(
            "\n{:<width$} {:>9} {:>9} {:>9} {:>9}",
            "", "precision", "recall", "f1", "rows"
        ));
        for (name, scores) in classes {
            let number = |key: &str| scores.get(key).and_then(Value::as_f64).unwrap_or(f64::NAN);
            lines.push(format!(
                "{name:<width$} {:>9.4} {:>9.4} {:>9.4} {:>9}",
                number("precision"),
                number("recall"),
                number("f1"),
                number("support")
            ));
        }
    }
    let matrix = report.details.get("confusion").and_then(Value::as_array);
    let names = report.details.get("labels").and_then(Value::as_array);
    if let (Some(rows), Some(names)) = (matrix, names)
        && names.len() <= 10
    {
        let name = |index: usize| names[index].as_str().unwrap_or_default();
        let width = (0..names.len()).map(|i| name(i).chars().count()).max();
        let width = width.unwrap_or(0).max(7);
        let heads = (0..names.len()).map(|i| format!("{:>width$}", name(i)));
        let heads: Vec<String> = heads.collect();
        lines.push(format!(
            "\n{:<width$}  predicted\n{:<width$}  {}",
            "",
            "right",
            heads.join("  ")
        ));
        for (index, row) in rows.iter().enumerate() {
            let cells = row.as_array().into_iter().flatten();
            let cells = cells.map(|cell| format!("{:>width$}", cell.as_u64().unwrap_or(0)));
            let cells: Vec<String> = cells.collect();
            lines.push(format!("{:<width$}  {}", name(index), cells.join("  ")));
        }
    }
    for key in ["has_answer", "no_answer"] {
        if let Some(part) = report.details.get(key) {
            lines.push(format!(
                "{key:<11} f1 {:>8.2}  exact_match {:>8.2}  of {}",
                part["f1"].as_f64().unwrap_or(f64::NAN),
                part["exact_match"].as_f64().unwrap_or(f64::NAN),
                part["total"]
            ));
        }
    }
    lines.join("\n")
}
