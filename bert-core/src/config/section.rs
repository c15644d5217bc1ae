//! A reader of JSON objects that goes on after a problem, so that all of them are reported at once.

use std::cell::RefCell;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::rc::Rc;

use serde_json::{Map, Value};

use crate::error::ConfigProblem;

/// Where the problems of one file are gathered.
pub type Problems = Rc<RefCell<Vec<ConfigProblem>>>;

/// A type that is read from one JSON object.
pub trait FromSection: Sized {
    /// Reads the object. Problems are recorded in the section; the result then holds placeholders.
    fn from_section(section: &mut Section) -> Self;
}

/// A type that is read from one JSON value.
pub trait FromValue: Sized {
    /// What is expected, for messages: "a positive integer".
    const EXPECTED: &'static str;
    /// The value, or `None` where it is of another kind.
    fn from_value(value: &Value) -> Option<Self>;
    /// Stands in for a value that is missing or of another kind, until the problems are reported.
    fn placeholder() -> Self;
}

/// One JSON object being read.
pub struct Section {
    path: String,
    object: Map<String, Value>,
    known: Vec<&'static str>,
    problems: Problems,
}

impl Section {
    /// The object at `path` (empty for the whole file). A value of another kind is a problem.
    pub fn new(path: &str, value: Value, problems: Problems) -> Self {
        let object = match value {
            Value::Object(object) => object,
            other => {
                problems.borrow_mut().push(ConfigProblem {
                    key: path.to_string(),
                    problem: format!("expected an object, found {}", kind_of(&other)),
                });
                Map::new()
            }
        };
        Self {
            path: path.to_string(),
            object,
            known: vec!["description"],
            problems,
        }
    }

    /// Whether the object has the key.
    pub fn has(&self, key: &str) -> bool {
        self.object.contains_key(key)
    }

    /// A value that must be there.
    pub fn required<T: FromValue>(&mut self, key: &'static str) -> T {
        self.known.push(key);
        match self.object.get(key) {
            Some(value) => self.parse(key, &value.clone()),
            None => {
                self.problem(key, format!("missing; expected {}", T::EXPECTED));
                T::placeholder()
            }
        }
    }

    /// A value with a default.
    pub fn or<T: FromValue>(&mut self, key: &'static str, default: T) -> T {
        self.known.push(key);
        match self.object.get(key) {
            Some(value) => self.parse(key, &value.clone()),
            None => default,
        }
    }

    /// A fraction in `0..1`, the upper end left out.
    pub fn fraction(&mut self, key: &'static str, default: f64) -> f64 {
        let value = self.or(key, default);
        self.check(
            (0.0..1.0).contains(&value),
            key,
            "must be at least 0 and below 1",
        );
        value
    }

    /// An integer of at least 1.
    pub fn positive(&mut self, key: &'static str, default: usize) -> usize {
        let value = self.or(key, default);
        self.check(value > 0, key, "must be at least 1");
        value
    }

    /// An integer of at least 1, or none.
    pub fn optional_positive(&mut self, key: &'static str) -> Option<usize> {
        let value = self.or(key, None);
        self.check(value != Some(0), key, "must be at least 1, or null");
        value
    }

    /// A number in a range.
    pub fn number<T: FromValue + PartialOrd + Display>(
        &mut self,
        key: &'static str,
        default: T,
        range: RangeInclusive<T>,
    ) -> T {
        let (value, sound) = self.sound(|section| section.or(key, default));
        let (least, most) = (range.start(), range.end());
        self.check(
            !sound || range.contains(&value),
            key,
            format!("must be at least {least} and at most {most}, found {value}"),
        );
        value
    }

    /// A path that must be there.
    pub fn path(&mut self, key: &'static str) -> PathBuf {
        let (path, sound) = self.sound(|section| section.required::<PathBuf>(key));
        self.check(
            !sound || !path.as_os_str().is_empty(),
            key,
            "must not be empty",
        );
        path
    }

    /// A path with a default.
    pub fn path_or(&mut self, key: &'static str, default: &str) -> PathBuf {
        self.path_if_any(key).unwrap_or_else(|| default.into())
    }

    /// A path, where there is one.
    pub fn path_if_any(&mut self, key: &'static str) -> Option<PathBuf> {
        if self.has(key) {
            return Some(self.path(key));
        }
        self.known.push(key);
        None
    }

    /// A path or null; null where it is left out.
    pub fn optional_path(&mut self, key: &'static str) -> Option<PathBuf> {
        self.optional_name(key).map(PathBuf::from)
    }

    /// A string that is not empty.
    pub fn name(&mut self, key: &'static str, default: &str) -> String {
        let (name, sound) = self.sound(|section| section.or(key, default.to_string()));
        self.check(!sound || !name.is_empty(), key, "must not be empty");
        name
    }

    /// A string that is not empty, or null; null where it is left out.
    pub fn optional_name(&mut self, key: &'static str) -> Option<String> {
        let name: Option<String> = self.or(key, None);
        self.check(
            name.as_ref().is_none_or(|name| !name.is_empty()),
            key,
            "must not be empty; null for none",
        );
        name
    }

    /// Any value, where there is one, to be read elsewhere.
    pub fn value(&mut self, key: &'static str) -> Option<Value> {
        self.known.push(key);
        self.object.get(key).cloned()
    }

    /// Gives a key that is left out a value of its own, in place of the default of what reads it.
    pub fn set_default(&mut self, key: &str, value: Value) {
        self.object.entry(key).or_insert(value);
    }

    /// Reads a value and says whether it was read: else the problem is reported and the value a placeholder.
    pub fn sound<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> (T, bool) {
        let before = self.problems.borrow().len();
        let value = read(self);
        let sound = self.problems.borrow().len() == before;
        (value, sound)
    }

    /// One of a few names, given with the values they stand for.
    pub fn choice<T: Copy>(&mut self, key: &'static str, choices: &[(&str, T)], default: T) -> T {
        self.known.push(key);
        let Some(value) = self.object.get(key) else {
            return default;
        };
        let found = value.as_str().map(str::to_string);
        for (name, choice) in choices {
            if found.as_deref() == Some(name) {
                return *choice;
            }
        }
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let found = value.to_string();
        self.problem(key, format!("{found} is not one of {}", quoted(&names)));
        default
    }

    /// An object inside; an empty one where it is missing, so that its defaults apply.
    pub fn section(&mut self, key: &'static str) -> Section {
        self.known.push(key);
        let value = self
            .object
            .get(key)
            .cloned()
            .unwrap_or_else(|| Value::Object(Map::new()));
        Section::new(&self.key_path(key), value, self.problems.clone())
    }

    /// A configuration inside.
    pub fn child<T: FromSection>(&mut self, key: &'static str) -> T {
        let mut section = self.section(key);
        let child = T::from_section(&mut section);
        section.finish();
        child
    }

    /// Records a problem with a key unless `holds`.
    pub fn check(&mut self, holds: bool, key: &str, problem: impl Into<String>) {
        if !holds {
            self.problem(key, problem);
        }
    }

    /// Records a problem with a key.
    pub fn problem(&mut self, key: &str, problem: impl Into<String>) {
        let key = self.key_path(key);
        self.problems.borrow_mut().push(ConfigProblem {
            key,
            problem: problem.into(),
        });
    }

    /// Where this object's problems go.
    pub fn problems(&self) -> Problems {
        self.problems.clone()
    }

    /// Reports the keys that nobody asked for, each with the nearest that somebody did.
    pub fn finish(mut self) {
        let keys: Vec<String> = self.object.keys().cloned().collect();
        for key in keys {
            if key == "description" && !self.object[&key].is_string() {
                self.problem("description", "expected a string");
            }
            if self.known.contains(&key.as_str()) {
                continue;
            }
            let nearest = self
                .known
                .iter()
                .map(|known| (strsim::damerau_levenshtein(known, &key), *known))
                .filter(|(distance, known)| *distance <= known.len().max(key.len()).div_ceil(2))
                .min();
            let problem = match nearest {
                Some((_, nearest)) => format!("unknown key; did you mean \"{nearest}\"?"),
                None => {
                    let known: Vec<&str> = self.known[1..].to_vec();
                    format!("unknown key; the keys here are {}", quoted(&known))
                }
            };
            self.problem(&key, problem);
        }
    }

    fn parse<T: FromValue>(&mut self, key: &str, value: &Value) -> T {
        T::from_value(value).unwrap_or_else(|| {
            let problem = format!("expected {}, found {}", T::EXPECTED, kind_of(value));
            self.problem(key, problem);
            T::placeholder()
        })
    }

    fn key_path(&self, key: &str) -> String {
        match (self.path.is_empty(), key.is_empty()) {
            (true, _) => key.to_string(),
            (_, true) => self.path.clone(),
            _ => format!("{}.{key}", self.path),
        }
    }
}

fn quoted(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    names.join(", ")
}

fn kind_of(value: &Value) -> String {
    match value {
        Value::Object(_) => "an object".into(),
        Value::Array(_) => "an array".into(),
        other => other.to_string(),
    }
}

macro_rules! from_value {
    ($type:ty, $expected:literal, $placeholder:expr, $parse:expr) => {
        impl FromValue for $type {
            const EXPECTED: &'static str = $expected;
            fn from_value(value: &Value) -> Option<Self> {
                let parse: fn(&Value) -> Option<$type> = $parse;
                parse(value)
            }
            fn placeholder() -> Self {
                $placeholder
            }
        }
    };
}

/// A whole number, also as `1e3`.
fn whole(value: &Value) -> Option<u64> {
    /// To here every whole number has a float of its own.
    const MOST: f64 = 9_007_199_254_740_992.0;
    let of_float =
        |value: f64| (value.fract() == 0.0 && (0.0..MOST).contains(&value)).then_some(value as u64);
    value.as_u64().or_else(|| of_float(value.as_f64()?))
}

from_value!(bool, "true or false", false, Value::as_bool);
from_value!(u64, "a whole number of at least 0", 1, whole);
from_value!(usize, "a whole number of at least 0", 1, |value| {
    whole(value).and_then(|value| usize::try_from(value).ok())
});
from_value!(f64, "a number", 0.5, Value::as_f64);
from_value!(String, "a string", String::new(), |value| {
    value.as_str().map(str::to_string)
});
from_value!(PathBuf, "a path", PathBuf::new(), |value| {
    value.as_str().map(PathBuf::from)
});
from_value!(Vec<String>, "an array of strings", Vec::new(), |value| {
    let items = value.as_array()?;
    items
        .iter()
        .map(|item| item.as_str().map(str::to_string))
        .collect()
});
from_value!(Option<String>, "a string or null", None, |value| {
    match value {
        Value::Null => Some(None),
        other => String::from_value(other).map(Some),
    }
});
from_value!(Option<bool>, "true, false or null", None, |value| {
    match value {
        Value::Null => Some(None),
        other => other.as_bool().map(Some),
    }
});
from_value!(Option<f64>, "a number or null", None, |value| {
    match value {
        Value::Null => Some(None),
        other => other.as_f64().map(Some),
    }
});
from_value!(Option<usize>, "a whole number or null", None, |value| {
    match value {
        Value::Null => Some(None),
        other => usize::from_value(other).map(Some),
    }
});
