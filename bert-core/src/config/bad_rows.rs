//! Rows and lines of data that cannot be used.

use serde::Serialize;

use super::Section;

/// What becomes of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BadRows {
    /// They are an error.
    #[default]
    Refuse,
    /// They are left out and counted.
    Skip,
}

impl BadRows {
    /// The value of a key: `refuse`, also where it is left out, or `skip`.
    pub fn of_key(section: &mut Section, key: &'static str) -> Self {
        let choices = [("refuse", Self::Refuse), ("skip", Self::Skip)];
        section.choice(key, &choices, Self::Refuse)
    }
}
