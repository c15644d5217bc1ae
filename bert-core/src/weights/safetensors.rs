//! Safetensors files: a header of names, types, shapes and offsets in JSON, then the values.

use std::collections::HashMap;
use std::io::{BufWriter, Read, Write};
use std::path::Path;
use std::sync::Arc;

use safetensors::tensor::{Dtype, Metadata, TensorInfo};

use super::stored::{DataFile, Element, StoredTensor};
use super::weights_error;
use crate::error::{Error, Result};
use crate::files::write_atomically_with;

/// The format's own limit.
const LARGEST_HEADER: u64 = 100_000_000;

/// Every tensor of a file. Only the header is read.
///
/// # Errors
/// [`Error::Io`], or [`Error::Weights`] where the file is not whole, or offsets leave gaps or overlap.
pub(super) fn tensors_of(file: &Arc<DataFile>) -> Result<Vec<(String, StoredTensor)>> {
    let broken = |problem: String| file.error(format!("not a whole safetensors file: {problem}"));
    let mut reader = file.at(0);
    let mut length = [0; 8];
    reader
        .read_exact(&mut length)
        .map_err(|_| broken("it is shorter than 8 bytes".into()))?;
    let length = u64::from_le_bytes(length);
    let rest = file.length() - 8;
    if length > LARGEST_HEADER || length > rest {
        return Err(broken(format!(
            "its header claims {length} bytes, {rest} are left"
        )));
    }
    let mut header = vec![0; length as usize];
    reader
        .read_exact(&mut header)
        .map_err(Error::io("read", file.path()))?;
    // Checks that the tensors follow each other without gaps and have the sizes of their shapes.
    let header: Metadata =
        serde_json::from_slice(&header).map_err(|error| broken(error.to_string()))?;
    let (found, claimed) = (rest - length, header.data_len() as u64);
    if found != claimed {
        return Err(broken(format!(
            "its tensors take {claimed} bytes, {found} are there"
        )));
    }
    let start = 8 + length;
    let mut tensors = Vec::new();
    for (name, info) in header.tensors() {
        let (from, to) = info.data_offsets;
        let span = [start + from as u64, start + to as u64];
        let tensor = StoredTensor::new(file, span, element(info.dtype), info.shape.clone(), None)
            .map_err(|problem| broken(format!("tensor {name}: {problem}")))?;
        tensors.push((name, tensor));
    }
    Ok(tensors)
}

fn element(dtype: Dtype) -> Element {
    match dtype {
        Dtype::F32 => Element::F32,
        Dtype::F16 => Element::F16,
        Dtype::BF16 => Element::Bf16,
        Dtype::F64 => Element::Other("F64", 8),
        Dtype::I64 => Element::Other("I64", 8),
        Dtype::I32 => Element::Other("I32", 4),
        Dtype::I8 => Element::Other("I8", 1),
        Dtype::U8 => Element::Other("U8", 1),
        Dtype::BOOL => Element::Other("BOOL", 1),
        // Their bytes are never looked at, and the header was checked already.
        _ => Element::Other("of an unusual type", 0),
    }
}

/// Writes f32 tensors of the given names and shapes, whose values `fill` passes on in that order, so that a file can
/// be larger than memory. The metadata says `format: pt`, without which transformers refuses the file.
///
/// # Errors
/// [`Error::Io`] and what `fill` returns; [`Error::Weights`] where two tensors have one name, or there are too many for
/// the format.
pub fn write_safetensors(
    path: &Path,
    layout: Vec<(String, Vec<usize>)>,
    fill: impl FnOnce(&mut ValueWriter<'_>) -> Result<()>,
) -> Result<()> {
    let mut end = 0;
    let names = layout.len();
    let mut infos = Vec::with_capacity(names);
    for (name, shape) in layout {
        let start = end;
        end += 4 * shape.iter().product::<usize>();
        let dtype = Dtype::F32;
        let data_offsets = (start, end);
        let info = TensorInfo {
            dtype,
            shape,
            data_offsets,
        };
        infos.push((name, info));
    }
    let metadata = HashMap::from([("format".to_string(), "pt".to_string())]);
    let header = Metadata::new(Some(metadata), infos)
        .map_err(|error| weights_error(path, error.to_string()))?;
    if header.tensors().len() != names {
        return Err(weights_error(path, "two tensors have one name"));
    }
    let mut header =
        serde_json::to_vec(&header).map_err(|error| weights_error(path, error.to_string()))?;
    header.resize(header.len().next_multiple_of(8), b' ');
    if header.len() as u64 > LARGEST_HEADER {
        let problem = format!("{names} tensors are too many for one safetensors file");
        return Err(weights_error(path, problem));
    }
    write_atomically_with(path, |file| {
        let start = |file: &mut BufWriter<_>| {
            file.write_all(&(header.len() as u64).to_le_bytes())?;
            file.write_all(&header)
        };
        start(file).map_err(Error::io("write", path))?;
        let mut values = ValueWriter {
            file,
            path,
            written: 0,
        };
        fill(&mut values)?;
        if values.written == end {
            return Ok(());
        }
        let problem = format!("{} bytes of values instead of {end}", values.written);
        Err(weights_error(path, problem))
    })
}

/// Takes the values of a file that is being written.
pub struct ValueWriter<'a> {
    file: &'a mut BufWriter<std::fs::File>,
    path: &'a Path,
    written: usize,
}

impl ValueWriter<'_> {
    /// The next values.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&mut self, values: &[f32]) -> Result<()> {
        self.written += 4 * values.len();
        let written = if cfg!(target_endian = "little") {
            self.file.write_all(bytemuck::cast_slice(values))
        } else {
            let mut values = values.iter();
            values.try_for_each(|value| self.file.write_all(&value.to_le_bytes()))
        };
        written.map_err(Error::io("write", self.path))
    }
}
