//! Deterministic sampling and packed batches.

pub mod packed;
pub mod random;
