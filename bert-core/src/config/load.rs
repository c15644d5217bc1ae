//! From a file to a configuration: read, `--set`, parse, validate; and back, resolved.

use std::cell::RefCell;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::rc::Rc;

use serde::Serialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::{FromSection, Section};
use crate::error::{ConfigProblem, Error, Result};
use crate::files::write_atomically;

/// The index of a large model's shards takes a tenth of a megabyte, ten thousand labels less than one; in memory a value
/// takes up to eighty times its text.
const LARGEST_FILE: u64 = 2 << 20;

/// Reads a JSON file; a key that stands twice in one object is an error.
///
/// # Errors
/// [`Error::Io`], or [`Error::Config`] with the line and column of the first syntax error.
pub fn read_value(path: &Path) -> Result<Value> {
    let file = File::open(path).map_err(Error::io("read", path))?;
    let mut text = String::new();
    file.take(LARGEST_FILE)
        .read_to_string(&mut text)
        .map_err(Error::io("read", path))?;
    if text.len() as u64 == LARGEST_FILE {
        let problem = format!("it has {LARGEST_FILE} bytes and more");
        return Err(config_error(&path.display().to_string(), "", problem));
    }
    // Some editors begin a file with a byte-order mark.
    let json = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut deserializer = serde_json::Deserializer::from_str(json);
    Unique
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|error| config_error(&path.display().to_string(), "", error.to_string()))
}

/// Parses and validates a configuration. `origin` names it in messages.
///
/// # Errors
/// [`Error::Config`] with every problem.
pub fn from_value<T: FromSection>(origin: &str, value: Value) -> Result<T> {
    let problems = Rc::new(RefCell::new(Vec::new()));
    let mut section = Section::new("", value, problems.clone());
    let parsed = T::from_section(&mut section);
    section.finish();
    let problems = problems.take();
    if problems.is_empty() {
        Ok(parsed)
    } else {
        Err(Error::Config {
            origin: origin.to_string(),
            problems,
        })
    }
}

/// Applies `key.path=value` overrides. A value that is not JSON is taken as a string.
///
/// # Errors
/// [`Error::Config`] with every override that cannot be applied.
pub fn apply_overrides(value: &mut Value, overrides: &[String]) -> Result<()> {
    let mut problems = Vec::new();
    for text in overrides {
        if let Err(problem) = apply_override(value, text) {
            problems.push(problem);
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::Config {
        origin: "--set".to_string(),
        problems,
    })
}

fn apply_override(value: &mut Value, text: &str) -> std::result::Result<(), ConfigProblem> {
    let problem = |key: &str, problem: &str| ConfigProblem {
        key: key.to_string(),
        problem: problem.to_string(),
    };
    let Some((path, new)) = text.split_once('=') else {
        return Err(problem(text, "expected key.path=value"));
    };
    let new = serde_json::from_str(new).unwrap_or_else(|_| Value::String(new.to_string()));
    let mut place = value;
    for key in path.split('.') {
        if key.is_empty() {
            return Err(problem(text, "a key has an empty part"));
        }
        if place.is_null() {
            *place = Value::Object(Map::new());
        }
        place = match place {
            Value::Object(object) => object.entry(key).or_insert(Value::Null),
            Value::Array(items) => {
                let index: Option<usize> = key.parse().ok();
                match index.and_then(|index| items.get_mut(index)) {
                    Some(item) => item,
                    None => return Err(problem(path, "no such element in the array")),
                }
            }
            _ => return Err(problem(path, "leads through a value that is not an object")),
        };
    }
    *place = new;
    Ok(())
}

/// Chooses the backend as `--backend` and `--compute` do: settings of another backend are dropped.
pub fn set_backend(value: &mut Value, kind: Option<&str>, compute: Option<&str>) {
    let Value::Object(config) = value else { return };
    let backend = config
        .entry("backend")
        .or_insert_with(|| serde_json::json!({"type": "ndarray"}));
    let is = backend.get("type").map_or(Some("ndarray"), Value::as_str);
    if let Some(kind) = kind
        && is != Some(kind)
    {
        *backend = serde_json::json!({ "type": kind });
    }
    if let (Some(compute), Value::Object(backend)) = (compute, backend) {
        backend.insert("compute".to_string(), Value::from(compute));
    }
}

/// Writes a resolved configuration, which reads back as the same.
///
/// # Errors
/// [`Error::Io`].
pub fn write_resolved<T: Serialize>(path: &Path, config: &T) -> Result<()> {
    let mut text = serde_json::to_string_pretty(config)
        .map_err(|error| config_error(&path.display().to_string(), "", error.to_string()))?;
    text.push('\n');
    write_atomically(path, text.as_bytes())
}

fn config_error(origin: &str, key: &str, problem: String) -> Error {
    Error::Config {
        origin: origin.to_string(),
        problems: vec![ConfigProblem {
            key: key.to_string(),
            problem,
        }],
    }
}

/// Any JSON value whose objects have every key once.
struct Unique;

impl<'de> DeserializeSeed<'de> for Unique {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(Unique)? {
            array.push(item);
        }
        Ok(array.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if object.contains_key(&key) {
                return Err(A::Error::custom(format!(
                    "the key \"{key}\" stands here twice"
                )));
            }
            let value = entries.next_value_seed(Unique)?;
            object.insert(key, value);
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{BackendConfig, OptimizerConfig};
    use serde_json::json;

    #[derive(Debug)]
    struct Pair {
        backend: BackendConfig,
        optimizer: OptimizerConfig,
    }

    impl FromSection for Pair {
        fn from_section(section: &mut Section) -> Self {
            Self {
                backend: section.child("backend"),
                optimizer: section.child("optimizer"),
            }
        }
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("c.json");
        std::fs::write(&path, "\u{feff}{\"seed\": 3}").unwrap();
        assert_eq!(read_value(&path).unwrap(), json!({"seed": 3}));
    }

    #[test]
    fn every_problem_is_reported_at_once_with_its_key_and_the_nearest_real_key() {
        let value = json!({
            "backend": {"type": "ndarray", "compte": "f32"},
            "optimiser": {},
            "optimizer": {"type": "adamw", "learning_rate": "fast", "beta_1": 1.5},
        });
        let message = from_value::<Pair>("x.json", value).unwrap_err().to_string();
        for part in [
            "backend.compte: unknown key; did you mean \"compute\"?",
            "optimiser: unknown key; did you mean \"optimizer\"?",
            "optimizer.learning_rate: expected a number, found \"fast\"",
            "optimizer.beta_1: must be",
        ] {
            assert!(message.contains(part), "{message} lacks {part}");
        }
    }

    #[test]
    fn overrides_are_json_or_strings_and_create_what_they_lead_through() {
        let mut value = json!({"a": {"b": [1, 2]}, "c": 1});
        let overrides = ["a.b.1=5", "d.e=word", "d.f=null"].map(String::from);
        apply_overrides(&mut value, &overrides).unwrap();
        assert_eq!(
            value,
            json!({"a": {"b": [1, 5]}, "c": 1, "d": {"e": "word", "f": null}})
        );
        for wrong in ["c.x=1", "a.b.7=1", "novalue", "a..b=1"] {
            assert!(apply_overrides(&mut value, &[wrong.to_string()]).is_err());
        }
    }

    #[test]
    fn a_key_that_stands_twice_is_an_error_with_its_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("c.json");
        std::fs::write(&path, "{\"a\": 1,\n \"a\": 2}").unwrap();
        let message = read_value(&path).unwrap_err().to_string();
        assert!(message.contains("\"a\" stands here twice"), "{message}");
        assert!(message.contains("line 2"), "{message}");
    }

    #[test]
    fn another_backend_drops_the_settings_of_the_first() {
        let mut value = json!({"backend": {"type": "wgpu", "device": "cpu"}});
        set_backend(&mut value, Some("ndarray"), Some("f32"));
        assert_eq!(
            value,
            json!({"backend": {"type": "ndarray", "compute": "f32"}})
        );
        let pair = from_value::<Pair>("x", value).unwrap();
        assert_eq!(pair.backend, BackendConfig::default());
        assert_eq!(pair.optimizer, OptimizerConfig::default());
    }
}
