//! In which type the factors of large products are rounded before they are multiplied.

use std::sync::atomic::{AtomicBool, Ordering};

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

/// Whether products that may be rounded are; one setting for the process, because `NdArray` has one device.
static BF16: AtomicBool = AtomicBool::new(false);

impl Precision {
    /// Of the linear maps and the masked-LM head, as configured.
    pub(crate) fn configured() -> Self {
        if BF16.load(Ordering::Relaxed) {
            Self::Bf16
        } else {
            Self::F32
        }
    }

    pub(crate) fn bf16_is_possible() -> bool {
        #[cfg(target_arch = "x86_64")]
        {
            is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bf16")
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            false
        }
    }
}

/// Sets the precision of the products of linear maps and of the masked-LM head, for the whole process.
///
/// # Errors
/// [`Error::Backend`] where this processor has no instructions for bf16.
pub fn set_compute(compute: Compute) -> Result<()> {
    let bf16 = compute == Compute::Bf16;
    if bf16 && !Precision::bf16_is_possible() {
        return Err(Error::Backend {
            backend: "ndarray",
            problem:
                "this processor has no AVX-512 instructions for products in bf16 (AVX512_BF16)"
                    .into(),
            help: "set backend.compute to \"f32\"".into(),
        });
    }
    BF16.store(bf16, Ordering::Relaxed);
    Ok(())
}
