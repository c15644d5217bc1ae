//! Which of the processor's instructions our own code uses: all that are found, or those alone that every processor of
//! its kind has.

use std::sync::LazyLock;

use crate::error::{Error, Result};

/// The environment variable that says `portable` to leave newer instructions alone, such as to compare results.
const VARIABLE: &str = "BERT_CPU";

static WANTED: LazyLock<Option<String>> =
    LazyLock::new(|| std::env::var_os(VARIABLE).map(|value| value.to_string_lossy().into_owned()));

/// Refuses a value of the variable that means nothing.
///
/// # Errors
/// [`Error::Usage`].
pub(super) fn check() -> Result<()> {
    match WANTED.as_deref() {
        None | Some("" | "portable") => Ok(()),
        Some(other) => Err(Error::Usage {
            problem: format!("the environment variable {VARIABLE} is \"{other}\""),
            help: "unset it, or set it to \"portable\"".into(),
        }),
    }
}

/// Whether newer ones are left alone.
pub(super) fn are_portable() -> bool {
    WANTED.as_deref() == Some("portable")
}

/// Whether f32 products can be our own, on vectors of 16.
#[cfg(target_arch = "x86_64")]
pub(super) fn have_avx512() -> bool {
    !are_portable() && is_x86_feature_detected!("avx512f")
}

/// Whether they can on vectors of 8.
#[cfg(target_arch = "x86_64")]
pub(super) fn have_avx2() -> bool {
    !are_portable() && is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

/// Whether products can be in bf16.
pub(super) fn have_avx512_bf16() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        have_avx512() && is_x86_feature_detected!("avx512bf16")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}
