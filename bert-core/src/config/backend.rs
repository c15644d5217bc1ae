//! Which backend computes.

use serde::Serialize;

use super::{FromSection, Section};

/// The backend of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum BackendConfig {
    /// The CPU.
    Ndarray {
        /// The type of matrix products.
        compute: Compute,
    },
    /// Any GPU through wgpu: Vulkan, Metal, DirectX 12.
    Wgpu {
        /// `default`, `discrete`, `discrete:1`, `integrated`, `virtual` or `cpu`.
        device: String,
    },
}

/// The type of matrix products; everything else is f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Compute {
    /// Single precision.
    F32,
    /// bfloat16 operands, accumulated in f32.
    Bf16,
}

impl Default for BackendConfig {
    fn default() -> Self {
        Self::Ndarray {
            compute: Compute::F32,
        }
    }
}

impl FromSection for BackendConfig {
    fn from_section(section: &mut Section) -> Self {
        if section.choice("type", &[("ndarray", false), ("wgpu", true)], false) {
            let device = section.or("device", "default".to_string());
            let (kind, index) = device.split_once(':').unwrap_or((&device, "0"));
            let indexed = ["discrete", "integrated", "virtual"].contains(&kind);
            let known = indexed || (["default", "cpu"].contains(&kind) && !device.contains(':'));
            section.check(
                known && index.parse::<usize>().is_ok(),
                "device",
                "must be \"default\", \"cpu\", or \"discrete\", \"integrated\" or \"virtual\" with an \
                 optional number, as in \"discrete:1\"",
            );
            Self::Wgpu { device }
        } else {
            let choices = [("f32", Compute::F32), ("bf16", Compute::Bf16)];
            Self::Ndarray {
                compute: section.choice("compute", &choices, Compute::F32),
            }
        }
    }
}
