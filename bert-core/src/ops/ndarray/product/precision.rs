//! To which type the factors of a model's products are rounded before they are multiplied.

use std::sync::atomic::{AtomicBool, Ordering};

use super::super::instructions;
use crate::config::Compute;
use crate::error::{Error, Result};

/// The type of the factors. Sums are f32 in either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Precision {
    /// 24 bits.
    F32,
    /// 8 bits, by the processor's dot products of pairs.
    Bf16,
}

/// Whether a model's products are rounded; one setting for the process, because `NdArray` has one device.
static BF16: AtomicBool = AtomicBool::new(false);

impl Precision {
    /// Of linear maps, attention and the masked-LM head, as configured.
    pub(crate) fn configured() -> Self {
        if BF16.load(Ordering::Relaxed) {
            Self::Bf16
        } else {
            Self::F32
        }
    }
}

/// Sets the precision of the products of linear maps, attention and the masked-LM head, for the whole process.
///
/// # Errors
/// What [`check_compute`] gives.
pub fn set_compute(compute: Compute) -> Result<()> {
    check_compute(compute)?;
    BF16.store(compute == Compute::Bf16, Ordering::Relaxed);
    Ok(())
}

/// Whether this processor can multiply in a precision. Nothing is set.
///
/// # Errors
/// [`Error::Backend`] where this processor has no instructions for bf16, or they are left alone; [`Error::Usage`] where
/// `BERT_CPU` is neither unset nor `portable`.
pub fn check_compute(compute: Compute) -> Result<()> {
    instructions::check()?;
    if compute == Compute::Bf16 && !instructions::have_avx512_bf16() {
        return Err(Error::Backend {
            backend: "ndarray",
            problem:
                "this processor has no AVX-512 instructions for products in bf16 (AVX512_BF16), or \
                 BERT_CPU=portable leaves them alone"
                    .into(),
            help: "set backend.compute to \"f32\"".into(),
        });
    }
    Ok(())
}
