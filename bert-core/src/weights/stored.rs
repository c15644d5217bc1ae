//! Tensors where they lie in files, and reading their values.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use half::{bf16, f16};

use super::weights_error;
use crate::error::{Error, Result};

/// An open file of tensors.
#[derive(Debug)]
pub(super) struct DataFile {
    path: PathBuf,
    file: File,
    length: u64,
}

impl DataFile {
    pub(super) fn open(path: &Path) -> Result<Arc<Self>> {
        let file = File::open(path).map_err(Error::io("open", path))?;
        let length = file.metadata().map_err(Error::io("read", path))?.len();
        Ok(Arc::new(Self {
            path: path.to_path_buf(),
            file,
            length,
        }))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// The file from a position on.
    pub(super) fn at(&self, position: u64) -> Reader<'_> {
        Reader {
            file: self,
            position,
        }
    }

    pub(super) fn error(&self, problem: impl Into<String>) -> Error {
        weights_error(&self.path, problem)
    }
}

/// Reads a file from a position of its own: several may read the same file at once.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    file: &'a DataFile,
    position: u64,
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.file.read_at(buffer, self.position)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for Reader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.file.length.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = to.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}

/// How numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    F32,
    F16,
    Bf16,
    /// A type that no parameter of BERT has, by the name its file gives it, with its size in bytes.
    Other(&'static str, usize),
}

impl Element {
    pub(super) fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::Other(_, size) => size,
        }
    }
}

/// One tensor in a file. Its bytes are known to lie within the file.
#[derive(Debug, Clone)]
pub(super) struct StoredTensor {
    file: Arc<DataFile>,
    /// Of the first element, in bytes.
    offset: u64,
    element: Element,
    shape: Vec<usize>,
    /// From one element to the next along each axis, in elements; `None` in row-major order.
    strides: Option<Vec<usize>>,
    /// From the first element to behind the last, in elements.
    extent: usize,
}

/// Bytes converted at a time.
const PIECE: usize = 1 << 18;

impl StoredTensor {
    /// A tensor in row-major order, or with strides.
    ///
    /// # Errors
    /// A message where it reaches beyond `end`, the end of its storage, or has more elements than it spans there.
    pub(super) fn new(
        file: &Arc<DataFile>,
        [offset, end]: [u64; 2],
        element: Element,
        shape: Vec<usize>,
        strides: Option<Vec<usize>>,
    ) -> Result<Self, String> {
        let row_major = row_major_strides(&shape).ok_or("its shape overflows")?;
        let strides = strides.filter(|strides| {
            // The stride along an axis of one element says nothing.
            let axes = shape.iter().zip(strides.iter().zip(&row_major));
            axes.clone().any(|(size, (a, b))| *size > 1 && a != b)
        });
        // No product of those that come before a zero overflows.
        let is_empty = shape.contains(&0);
        let elements: usize = if is_empty { 0 } else { shape.iter().product() };
        let mut extent = 1_usize;
        for (size, stride) in shape.iter().zip(strides.as_ref().unwrap_or(&row_major)) {
            let reach = size.saturating_sub(1).checked_mul(*stride);
            extent = reach
                .and_then(|reach| extent.checked_add(reach))
                .ok_or("its strides overflow")?;
        }
        if is_empty {
            extent = 0;
        }
        if extent < elements {
            return Err("its elements overlap".into());
        }
        let bytes = extent as u128 * element.size() as u128;
        if u128::from(offset) + bytes > u128::from(end.min(file.length)) {
            return Err("it reaches beyond the end of its data".into());
        }
        Ok(Self {
            file: file.clone(),
            offset,
            element,
            shape,
            strides,
            extent,
        })
    }

    pub(super) fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The values in row-major order, as f32; all three types convert exactly.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::Weights`] where the elements are of another type.
    pub(super) fn read(&self, name: &str) -> Result<Vec<f32>> {
        let span = self.read_span(name)?;
        let Some(strides) = &self.strides else {
            return Ok(span);
        };
        let elements = self.shape.iter().product();
        let mut values = Vec::with_capacity(elements);
        let mut index = vec![0; self.shape.len()];
        while values.len() < elements {
            let at: usize = index.iter().zip(strides).map(|(i, s)| i * s).sum();
            values.push(span[at]);
            for axis in (0..index.len()).rev() {
                index[axis] += 1;
                if index[axis] < self.shape[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
        Ok(values)
    }

    /// The elements as they lie in the file.
    fn read_span(&self, name: &str) -> Result<Vec<f32>> {
        let mut reader = self.file.at(self.offset);
        let fail = Error::io("read", &self.file.path);
        let mut values = vec![0.0_f32; self.extent];
        let convert: fn([u8; 2]) -> f32 = match self.element {
            Element::F32 => {
                let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut values);
                reader.read_exact(bytes).map_err(fail)?;
                for value in &mut values {
                    *value = f32::from_bits(u32::from_le(value.to_bits()));
                }
                return Ok(values);
            }
            Element::F16 => |bytes| f16::from_le_bytes(bytes).to_f32(),
            Element::Bf16 => |bytes| bf16::from_le_bytes(bytes).to_f32(),
            Element::Other(kind, _) => {
                let problem =
                    format!("tensor {name} is {kind}; parameters are read from F32, F16 and BF16");
                return Err(self.file.error(problem));
            }
        };
        let mut bytes = vec![0; PIECE.min(2 * self.extent)];
        let mut read = || -> std::io::Result<()> {
            for piece in values.chunks_mut(PIECE / 2) {
                let bytes = &mut bytes[..2 * piece.len()];
                reader.read_exact(bytes)?;
                for (value, bytes) in piece.iter_mut().zip(bytes.as_chunks().0) {
                    *value = convert(*bytes);
                }
            }
            Ok(())
        };
        read().map_err(fail)?;
        Ok(values)
    }

    /// Whether two tensors have the same shape and values.
    ///
    /// # Errors
    /// As [`StoredTensor::read`].
    pub(super) fn equals(&self, other: &Self, name: &str) -> Result<bool> {
        if self.shape != other.shape {
            return Ok(false);
        }
        let same_storage = Arc::ptr_eq(&self.file, &other.file)
            && (self.offset, self.element) == (other.offset, other.element)
            && self.strides == other.strides;
        Ok(same_storage || self.read(name)? == other.read(name)?)
    }
}

fn row_major_strides(shape: &[usize]) -> Option<Vec<usize>> {
    let mut strides = vec![1; shape.len()];
    let mut next = 1_usize;
    for (stride, size) in strides.iter_mut().zip(shape).rev() {
        *stride = next;
        next = next.checked_mul(*size)?;
    }
    Some(strides)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tensor_without_elements_has_no_values_whatever_its_strides() {
        let path = tempfile::NamedTempFile::new().unwrap();
        let file = DataFile::open(path.path()).unwrap();
        for strides in [None, Some(vec![5, 2]), Some(vec![0, 1 << 40])] {
            let tensor = StoredTensor::new(&file, [0, 0], Element::F32, vec![0, 3], strides);
            assert!(tensor.unwrap().read("a").unwrap().is_empty());
        }
    }
}
