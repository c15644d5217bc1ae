//! Which backend computes.

use std::fmt;

use serde::{Serialize, Serializer};

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
    /// Any GPU through wgpu: Vulkan or Metal.
    Wgpu {
        /// Which of them.
        device: WgpuDevice,
    },
}

/// A device of wgpu: `default`, `cpu`, or `discrete`, `integrated` or `virtual` with a number, 0 where it is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WgpuDevice {
    /// What wgpu thinks best.
    Default,
    /// A driver that computes on the CPU.
    Cpu,
    /// A graphics card.
    Discrete(usize),
    /// A GPU beside the CPU.
    Integrated(usize),
    /// A GPU of a virtual machine.
    Virtual(usize),
}

impl WgpuDevice {
    fn parse(text: &str) -> Option<Self> {
        let (kind, number) = match text.split_once(':') {
            Some((kind, number)) => (kind, Some(number.parse().ok()?)),
            None => (text, None),
        };
        let numbered = |device: fn(usize) -> Self| Some(device(number.unwrap_or(0)));
        match kind {
            "default" if number.is_none() => Some(Self::Default),
            "cpu" if number.is_none() => Some(Self::Cpu),
            "discrete" => numbered(Self::Discrete),
            "integrated" => numbered(Self::Integrated),
            "virtual" => numbered(Self::Virtual),
            _ => None,
        }
    }
}

impl fmt::Display for WgpuDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, number) = match self {
            Self::Default => return f.write_str("default"),
            Self::Cpu => return f.write_str("cpu"),
            Self::Discrete(number) => ("discrete", number),
            Self::Integrated(number) => ("integrated", number),
            Self::Virtual(number) => ("virtual", number),
        };
        match number {
            0 => f.write_str(kind),
            number => write!(f, "{kind}:{number}"),
        }
    }
}

impl Serialize for WgpuDevice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
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
            let device = WgpuDevice::parse(&section.or("device", "default".to_string()));
            section.check(
                device.is_some(),
                "device",
                "must be \"default\", \"cpu\", or \"discrete\", \"integrated\" or \"virtual\" with an \
                 optional number, as in \"discrete:1\"",
            );
            Self::Wgpu {
                device: device.unwrap_or(WgpuDevice::Default),
            }
        } else {
            let choices = [("f32", Compute::F32), ("bf16", Compute::Bf16)];
            Self::Ndarray {
                compute: section.choice("compute", &choices, Compute::F32),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_as_they_are_written() {
        for name in [
            "default",
            "cpu",
            "discrete",
            "discrete:2",
            "integrated",
            "virtual:1",
        ] {
            assert_eq!(WgpuDevice::parse(name).unwrap().to_string(), name);
        }
        assert_eq!(
            WgpuDevice::parse("discrete:0"),
            Some(WgpuDevice::Discrete(0))
        );
        for name in ["", "gpu", "cpu:0", "default:1", "discrete:", "discrete:x"] {
            assert_eq!(WgpuDevice::parse(name), None, "{name}");
        }
    }
}
