//! The inputs of entry points, as files.
#![allow(dead_code)] // each crate uses a part

use std::fmt::Debug;
use std::path::{Path, PathBuf};

use bert_core::config::{FromSection, apply_overrides, from_value, read_value};
use serde::Serialize;
use serde_json::Value;

thread_local! {
    static DIRECTORY: tempfile::TempDir = tempfile::tempdir().unwrap();
}

/// An empty directory.
pub(crate) fn empty() -> PathBuf {
    DIRECTORY.with(|directory| {
        let path = directory.path().join("input");
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).unwrap();
        path
    })
}

/// Writes a file.
pub(crate) fn put(directory: &Path, name: &str, content: &[u8]) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, content).unwrap();
    path
}

/// A configuration file with the overrides that follow it after zero bytes, and whether these could be applied.
pub(crate) fn overridden(bytes: &[u8]) -> (Value, bool) {
    let mut parts = bytes.split(|byte| *byte == 0);
    let path = put(&empty(), "config.json", parts.next().unwrap_or_default());
    let overrides = parts.map(|part| String::from_utf8_lossy(part).into_owned());
    let overrides: Vec<String> = overrides.collect();
    let mut value = read_value(&path).unwrap_or(Value::Null);
    let applied = apply_overrides(&mut value, &overrides).is_ok();
    (value, applied)
}

/// Reads a configuration, which resolved must read back as the same.
pub(crate) fn configuration<T: FromSection + Serialize + PartialEq + Debug>(bytes: &[u8]) -> bool {
    let (value, applied) = overridden(bytes);
    let Ok(config) = from_value::<T>("config.json", value) else {
        return false;
    };
    let resolved = serde_json::to_value(&config).unwrap();
    let again = from_value::<T>("resolved", resolved).unwrap();
    assert_eq!(config, again);
    applied
}
