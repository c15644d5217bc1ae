//! `pytorch_model.bin`, in both of its forms: a zip archive since PyTorch 1.6, before it a row of pickles and then the
//! storages. `burn-store` reads them too, but reserves memory that a damaged file claims, and puts zeros where a
//! storage is missing.

use std::collections::HashMap;
use std::io::{BufReader, Read};
use std::sync::Arc;

use zip::{CompressionMethod, ZipArchive};

use super::pickle::{Pickle, Storage};
use super::stored::{DataFile, Element, StoredTensor};
use crate::error::{Error, Result};

/// Where a storage begins and ends in the file, by its key.
type Spans = HashMap<String, [u64; 2]>;

/// Every tensor of a file. Only their descriptions are read.
///
/// # Errors
/// [`Error::Io`], or [`Error::Weights`] where the file is not whole or describes more than tensors.
pub(super) fn tensors_of(file: &Arc<DataFile>) -> Result<Vec<(String, StoredTensor)>> {
    let mut start = [0; 4];
    let is_zip = file.at(0).read_exact(&mut start).is_ok() && start == *b"PK\x03\x04";
    let (pickle, spans) = if is_zip { zipped(file)? } else { plain(file)? };
    let broken = |problem: String| file.error(format!("not a whole PyTorch file: {problem}"));
    let views = pickle.tensors().map_err(broken)?;
    if views.is_empty() {
        return Err(broken("its dictionary has no tensors".into()));
    }
    let mut tensors = Vec::with_capacity(views.len());
    for (name, view) in views {
        let tensor = (|| {
            let span = spans.get(&view.storage.key).ok_or("its data is missing")?;
            let element = element(&view.storage)?;
            let skipped = view.offset.checked_mul(element.size() as u64);
            let offset = skipped.and_then(|skipped| skipped.checked_add(span[0]));
            let span = [offset.ok_or("its offset overflows")?, span[1]];
            let strides = Some(view.strides.clone());
            StoredTensor::new(file, span, element, view.shape.clone(), strides)
        })();
        let tensor = tensor.map_err(|problem| broken(format!("tensor {name}: {problem}")))?;
        tensors.push((name.to_string(), tensor));
    }
    Ok(tensors)
}

fn element(storage: &Storage) -> Result<Element, String> {
    Ok(match storage.class.as_str() {
        "FloatStorage" => Element::F32,
        "HalfStorage" => Element::F16,
        "BFloat16Storage" => Element::Bf16,
        "DoubleStorage" => Element::Other("F64", 8),
        "LongStorage" => Element::Other("I64", 8),
        "IntStorage" => Element::Other("I32", 4),
        "ShortStorage" => Element::Other("I16", 2),
        "CharStorage" => Element::Other("I8", 1),
        "ByteStorage" => Element::Other("U8", 1),
        "BoolStorage" => Element::Other("BOOL", 1),
        other => return Err(format!("{other} is not known")),
    })
}

/// `NAME/data.pkl` describes the tensors, `NAME/data/KEY` are their storages, uncompressed.
fn zipped(file: &Arc<DataFile>) -> Result<(Pickle, Spans)> {
    let broken = |problem: String| file.error(format!("not a whole PyTorch file: {problem}"));
    let broken_zip = |error: zip::result::ZipError| broken(error.to_string());
    let mut archive = ZipArchive::new(BufReader::new(file.at(0))).map_err(broken_zip)?;
    let (mut pickle, mut spans) = (None, Spans::new());
    for index in 0..archive.len() {
        let mut entry = archive.by_index_raw(index).map_err(broken_zip)?;
        let path = entry.name().to_string();
        let Some((_, name)) = path.split_once('/') else {
            continue;
        };
        if entry.compression() != CompressionMethod::Stored || entry.encrypted() {
            return Err(broken(format!("{path} is compressed or encrypted")));
        }
        match name {
            "data.pkl" if pickle.is_some() => {
                return Err(broken("it has more than one data.pkl".into()));
            }
            "data.pkl" => pickle = Some(Pickle::run(&mut entry).map_err(broken)?),
            "byteorder" => {
                let mut order = Vec::new();
                let read = entry.take(16).read_to_end(&mut order);
                read.map_err(Error::io("read", file.path()))?;
                if order != b"little" {
                    return Err(broken("its numbers are big-endian".into()));
                }
            }
            _ => {
                if let (Some(key), Some(start)) = (name.strip_prefix("data/"), entry.data_start()) {
                    let end = start.saturating_add(entry.size());
                    spans.insert(key.to_string(), [start, end]);
                }
            }
        }
    }
    let pickle = pickle.ok_or_else(|| broken("it has no data.pkl".into()))?;
    Ok((pickle, spans))
}

/// Five pickles: a magic number, the protocol, the machine's sizes, the tensors, and the keys of the storages, which
/// follow in that order, each with its number of elements before it.
fn plain(file: &Arc<DataFile>) -> Result<(Pickle, Spans)> {
    let broken = |problem: String| file.error(format!("not a whole PyTorch file: {problem}"));
    let mut position = 0;
    let mut run = || -> Result<Pickle> {
        let pickle = Pickle::run(BufReader::new(file.at(position))).map_err(broken)?;
        position += pickle.length;
        Ok(pickle)
    };
    for _ in ["magic number", "protocol", "sizes"] {
        run()?;
    }
    let (pickle, keys) = (run()?, run()?);
    let storages = pickle.tensors().map_err(broken)?.into_iter();
    let storages: HashMap<&str, &Storage> = storages
        .map(|(_, view)| (view.storage.key.as_str(), &view.storage))
        .collect();
    let mut spans = Spans::new();
    for key in keys.strings().map_err(broken)? {
        let Some(storage) = storages.get(key) else {
            return Err(broken(format!("storage {key} belongs to no tensor")));
        };
        let mut elements = [0; 8];
        let read = file.at(position).read_exact(&mut elements);
        read.map_err(|_| broken(format!("storage {key} is missing")))?;
        let elements = u64::from_le_bytes(elements);
        if elements != storage.elements {
            return Err(broken(format!(
                "storage {key} has another size than its tensors say"
            )));
        }
        let size = element(storage).map_err(broken)?.size() as u64;
        let start = position + 8;
        let end = elements
            .checked_mul(size)
            .and_then(|bytes| bytes.checked_add(start));
        position = end
            .filter(|end| *end <= file.length())
            .ok_or_else(|| broken(format!("storage {key} is cut short")))?;
        spans.insert(key.to_string(), [start, position]);
    }
    Ok((pickle, spans))
}
