//! What the tables of a chapter of configs/README.md say of keys, held against real configurations.

use std::collections::BTreeSet;

use serde_json::Value;

/// Each row of a chapter's tables: key and default.
fn rows(chapter: &str) -> Vec<(String, String)> {
    let rows = chapter.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 5, "{row}");
        (cells[0].trim_matches('`').to_string(), cells[1].to_string())
    })
    .collect()
}

/// The keys that a chapter has rows of.
pub(crate) fn keys(chapter: &str) -> BTreeSet<String> {
    rows(chapter).into_iter().map(|(key, _)| key).collect()
}

/// Every key of some configurations, with its values.
pub(crate) fn leaves(configurations: &[Value]) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for configuration in configurations {
        add_leaves("", configuration, &mut found);
    }
    found
}

fn add_leaves(path: &str, value: &Value, found: &mut Vec<(String, Value)>) {
    let Value::Object(object) = value else {
        found.push((path.to_string(), value.clone()));
        return;
    };
    for (key, value) in object {
        let path = match path.is_empty() {
            true => key.clone(),
            false => format!("{path}.{key}"),
        };
        add_leaves(&path, value, found);
    }
}

/// Every default that is written in a chapter must be that of one of these configurations, which give only what they must.
pub(crate) fn assert_defaults(chapter: &str, configurations: &[Value]) {
    let real = leaves(configurations);
    let mut checked = 0;
    for (key, cell) in rows(chapter) {
        // A default in italics is described, not written.
        let Some(text) = cell
            .strip_prefix('`')
            .and_then(|cell| cell.split('`').next())
        else {
            assert!(cell.starts_with('*'), "{key}: {cell}");
            continue;
        };
        let default: Value = serde_json::from_str(text).unwrap_or_else(|_| panic!("{key}: {text}"));
        let same = real
            .iter()
            .any(|(real, value)| *real == key && *value == default);
        assert!(same, "the default of {key} is not {text}");
        checked += 1;
    }
    assert!(checked > 35, "{checked} defaults only");
}
