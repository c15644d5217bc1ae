//! The text of a row of JSON.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The string in a field of a row. Other fields are passed over and take no memory, whatever they hold; of several fields
/// with the name the last counts.
///
/// # Errors
/// What is wrong with the row.
pub(super) fn text_of_row(row: &str, field: &str) -> Result<String, String> {
    let found = if row.trim_start().starts_with('{') {
        let mut json = serde_json::Deserializer::from_str(row);
        let found = json.deserialize_map(Row { field });
        found.and_then(|found| json.end().map(|()| found))
    } else {
        serde_json::from_str::<IgnoredAny>(row).map(|_| None)
    };
    match found {
        Ok(Some(Some(text))) => Ok(text),
        Ok(Some(None)) => Err(format!("field \"{field}\" is not a string")),
        Ok(None) => Err(format!("no field \"{field}\"")),
        Err(error) => Err(format!("not JSON ({error})")),
    }
}

/// Finds a field of an object: `Some` where it is there.
struct Row<'a> {
    field: &'a str,
}

impl<'de> Visitor<'de> for Row<'_> {
    type Value = Option<Option<String>>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<String>()? {
            if key == self.field {
                found = Some(map.next_value_seed(Text)?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// Takes a string, `Some`, and passes over anything else.
struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<Self::Value, D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = Option<String>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(text.to_string()))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        IgnoredAny.visit_seq(list).map(|_| None)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        IgnoredAny.visit_map(map).map(|_| None)
    }
}

#[cfg(test)]
mod tests {
    use super::text_of_row;

    #[test]
    fn the_text_is_found_whatever_stands_beside_it() {
        let deep = "[".repeat(5000) + &"]".repeat(5000);
        for row in [
            r#"{"text": "a\u00e9\n"}"#.to_string(),
            r#" {"id": 1, "meta": {"text": "b"}, "text": "a\u00e9\n", "x": [1.5e3, null]} "#.into(),
            r#"{"te\u0078t": "a\u00e9\n"}"#.into(),
            format!(r#"{{"x": {deep}, "text": "a\u00e9\n"}}"#),
        ] {
            assert_eq!(text_of_row(&row, "text").unwrap(), "a\u{e9}\n");
        }
    }

    #[test]
    fn of_several_fields_with_the_name_the_last_counts() {
        let text = |row| text_of_row(row, "text");
        assert_eq!(text(r#"{"text": 1, "text": "a"}"#).unwrap(), "a");
        assert_eq!(text(r#"{"text": "a", "text": "b"}"#).unwrap(), "b");
        let error = text(r#"{"text": "a", "text": [1]}"#).unwrap_err();
        assert_eq!(error, "field \"text\" is not a string");
    }

    #[test]
    fn a_row_without_a_text_is_told_from_one_that_is_not_json() {
        let problem = |row: &str| text_of_row(row, "text").unwrap_err();
        for row in ["{}", r#"{"body": "a"}"#, "[1, 2]", r#""text""#, "3", "null"] {
            assert_eq!(problem(row), "no field \"text\"", "{row}");
        }
        for value in [
            "null",
            "true",
            "-1",
            "1",
            "1.5",
            "[\"a\", [0]]",
            r#"{"text": "a"}"#,
        ] {
            let row = format!("{{\"text\": {value}}}");
            assert_eq!(problem(&row), "field \"text\" is not a string", "{row}");
        }
        for row in [
            "text",
            "[1, 2",
            "{\"text\": \"a\"",
            "{\"text\": \"a\"} x",
            "{\"text\": \"a\", \"x\": [1,}",
            "{\"text\": 01}",
            "{text: 1}",
        ] {
            let problem = problem(row);
            assert!(problem.starts_with("not JSON ("), "{row}: {problem}");
            assert!(problem.contains("at line 1 column"), "{row}: {problem}");
        }
    }
}
