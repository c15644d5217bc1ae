//! ndarray, the CPU backend. It runs the composed operations; kernels of its own override them here, one file an
//! operation, for f32. f64 stays composed: it serves gradient checks.

use burn_ndarray::NdArray;

use super::BertBackend;

impl BertBackend for NdArray<f32> {}
impl BertBackend for NdArray<f64> {}
