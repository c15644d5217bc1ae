//! File content as it is shown in messages, and the name that was probably meant.

const SHOWN_CHARS: usize = 60;
const SHOWN_NAMES: usize = 20;

/// A name longer than this is a text in the wrong place rather than a slip of the pen.
const NAME_CHARS: usize = 64;

/// The text in quotes, with control characters escaped, cut where it is long.
pub(crate) fn quoted(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// The names in quotes, with commas between; of many only the first.
pub(crate) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    joined(names.into_iter().map(quoted))
}

/// The names as they are, with commas between; of many only the first.
pub(crate) fn named(names: &[String]) -> String {
    joined(names.iter().cloned())
}

fn joined(names: impl Iterator<Item = String>) -> String {
    let mut names = names;
    let shown: Vec<String> = names.by_ref().take(SHOWN_NAMES).collect();
    let more = match names.count() {
        0 => String::new(),
        count => format!(" and {count} more"),
    };
    shown.join(", ") + &more
}

/// What is wrong with JSON, without the place: that is told in the lines of the file.
pub(crate) fn syntax(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let what = message.split(" at line ").next().unwrap_or_default();
    what.to_string()
}

/// The first of the names that differ least from the wanted one, if any is near enough to have been meant.
pub(crate) fn nearest<'a>(
    wanted: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let length = wanted.chars().count();
    if length > NAME_CHARS {
        return None;
    }
    let limit = (length / 3).max(1);
    let wanted = wanted.to_lowercase();
    names
        .into_iter()
        .filter(|name| name.chars().count().abs_diff(length) <= limit)
        .map(|name| {
            let distance = strsim::damerau_levenshtein(&wanted, &name.to_lowercase());
            (distance, name)
        })
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_cut_between_characters_and_line_ends_are_escaped() {
        assert_eq!(quoted("a\nb"), r#""a\nb""#);
        let shown = quoted(&"é".repeat(100));
        assert_eq!(shown, format!("\"{}\"...", "é".repeat(60)));
    }

    #[test]
    fn of_many_names_the_first_are_listed() {
        assert_eq!(listed(["a", "b"]), r#""a", "b""#);
        assert!(listed(["x"; 23]).ends_with(r#""x" and 3 more"#));
    }

    #[test]
    fn the_nearest_name_is_near_and_case_is_no_distance() {
        let names = ["positive", "negative", "neutral"];
        assert_eq!(nearest("postive", names), Some("positive"));
        assert_eq!(nearest("NEGATIVE", names), Some("negative"));
        assert_eq!(nearest("entailment", names), None);
        assert_eq!(nearest(&"negative ".repeat(20), names), None);
        assert_eq!(nearest("", names), None);
    }
}
