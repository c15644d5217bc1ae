//! Deterministic sampling and packed batches.

pub mod batches;
pub mod packed;
pub mod random;
