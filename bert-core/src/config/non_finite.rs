//! What becomes of a step whose loss or gradient is not a finite number.

use serde::Serialize;

use super::{FromSection, Section};

/// What the training does at such a step. Its batch is saved in either case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum NonFinite {
    /// It stops.
    #[default]
    Stop,
    /// It passes the step over, weights and moments as they were, and counts it.
    Skip {
        /// So many steps in a row are passed over; at the next it stops: it is the model that is broken, not a batch.
        most_in_a_row: u64,
    },
}

impl FromSection for NonFinite {
    fn from_section(section: &mut Section) -> Self {
        if section.choice("type", &[("stop", false), ("skip", true)], false) {
            Self::Skip {
                most_in_a_row: section.number("most_in_a_row", 10, 1..=1_000_000),
            }
        } else {
            Self::Stop
        }
    }
}
