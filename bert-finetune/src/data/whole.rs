//! Files that have to be read whole.

use std::io::Read;
use std::path::Path;

use bert_core::error::{Error, Result};
use bert_core::files::is_packed;

/// All text of an input that messages call by this path.
///
/// # Errors
/// [`Error::Io`] where it cannot be read, [`Error::Data`] where it is not UTF-8 or unpacks to more than text can.
pub(super) fn text(path: &Path, input: impl Read) -> Result<String> {
    let mut bytes = Vec::new();
    let most = most_unpacked(path);
    input
        .take(most)
        .read_to_end(&mut bytes)
        .map_err(Error::io("read", path))?;
    if bytes.len() as u64 == most {
        return Err(Error::Data {
            path: path.to_path_buf(),
            line: None,
            problem: format!("it unpacks to {most} bytes and more, too many for its size"),
            help: "unpack it, where it is what it should be".into(),
        });
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        Error::Data {
            path: path.to_path_buf(),
            line: Some(line_feeds(&error.as_bytes()[..valid]) + 1),
            problem: "this is not UTF-8".into(),
            help: "convert the file to UTF-8".into(),
        }
    })
}

/// Text packs ten to one at best; what unpacks to a multiple of that was made to fill the memory.
fn most_unpacked(path: &Path) -> u64 {
    match path.metadata() {
        Ok(metadata) if is_packed(path) => (64 << 20) + 50 * metadata.len(),
        _ => u64::MAX,
    }
}

pub(super) fn line_feeds(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}
