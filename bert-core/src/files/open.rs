//! Opening what people bring: plain, packed, or standard input.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::error::{Error, Result};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A file's content after any UTF-8 byte-order mark, [unpacked]; `-` is standard input.
///
/// # Errors
///
/// [`Error::Io`] where the file is missing, is a directory, or its first bytes cannot be read.
pub fn open(path: &Path) -> Result<Box<dyn BufRead + Send>> {
    if path == Path::new("-") {
        return after_mark(path, BufReader::new(io::stdin()));
    }
    let file = File::open(path).map_err(Error::io("open", path))?;
    let metadata = file.metadata().map_err(Error::io("open", path))?;
    if metadata.is_dir() {
        let source = io::Error::from(io::ErrorKind::IsADirectory);
        return Err(Error::io("open", path)(source));
    }
    after_mark(path, BufReader::new(unpacked(path, file)?))
}

/// What a file's bytes hold, where its name ends in `.gz` or `.zst`; the bytes themselves otherwise.
///
/// # Errors
///
/// [`Error::Io`] where there is no memory for unpacking.
pub fn unpacked(path: &Path, bytes: impl Read + Send + 'static) -> Result<Box<dyn Read + Send>> {
    Ok(match Packing::of(path) {
        None => Box::new(bytes),
        Some(Packing::Gzip) => Box::new(MultiGzDecoder::new(bytes)),
        Some(Packing::Zstd) => {
            Box::new(zstd::stream::read::Decoder::new(bytes).map_err(Error::io("unpack", path))?)
        }
    })
}

/// Whether a file's name says that it is packed.
pub fn is_packed(path: &Path) -> bool {
    Packing::of(path).is_some()
}

/// How files are packed.
enum Packing {
    Gzip,
    Zstd,
}

impl Packing {
    fn of(path: &Path) -> Option<Self> {
        match last_extension(path).as_str() {
            "gz" => Some(Self::Gzip),
            "zst" => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// The first bytes of an input, `most` where it has so many, and all of it to be read from there.
///
/// # Errors
///
/// [`Error::Io`] where they cannot be read.
pub fn peek(
    path: &Path,
    mut input: Box<dyn BufRead + Send>,
    most: usize,
) -> Result<(Vec<u8>, Box<dyn BufRead + Send>)> {
    let mut start = Vec::new();
    let read = input.by_ref().take(most as u64).read_to_end(&mut start);
    read.map_err(Error::io("read", path))?;
    Ok((start.clone(), Box::new(Cursor::new(start).chain(input))))
}

/// The extension in lower case; of `x.csv.gz` and `x.csv.zst` it is `csv`. Empty where there is none.
pub fn extension(path: &Path) -> String {
    if is_packed(path) {
        last_extension(&path.with_extension(""))
    } else {
        last_extension(path)
    }
}

fn last_extension(path: &Path) -> String {
    let extension = path.extension().unwrap_or_default();
    extension.to_string_lossy().to_lowercase()
}

fn after_mark(
    path: &Path,
    mut input: impl BufRead + Send + 'static,
) -> Result<Box<dyn BufRead + Send>> {
    let mut first = Vec::with_capacity(BYTE_ORDER_MARK.len());
    let wanted = BYTE_ORDER_MARK.len() as u64;
    input
        .by_ref()
        .take(wanted)
        .read_to_end(&mut first)
        .map_err(Error::io("read", path))?;
    if first == BYTE_ORDER_MARK {
        first.clear();
    }
    Ok(Box::new(Cursor::new(first).chain(input)))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn content(name: &str, bytes: &[u8]) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        let mut text = String::new();
        open(&path).unwrap().read_to_string(&mut text).unwrap();
        text
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_byte_order_mark_is_skipped_only_at_the_start() {
        assert_eq!(content("a.csv", b"\xef\xbb\xbfa\xef\xbb\xbf"), "a\u{feff}");
        assert_eq!(
            content("a.csv.gz", &gzip(b"\xef\xbb\xbfa,b\n1,2")),
            "a,b\n1,2"
        );
        assert_eq!(content("a.csv", b"ab"), "ab");
        assert_eq!(content("a.csv", b""), "");
    }

    #[test]
    fn all_parts_of_a_packed_file_are_read() {
        let both = [gzip(b"one\n"), gzip(b"two\n")].concat();
        assert_eq!(content("a.TXT.GZ", &both), "one\ntwo\n");
        let both = [b"one\n", b"two\n"].map(|part| zstd::encode_all(&part[..], 1).unwrap());
        assert_eq!(content("a.txt.Zst", &both.concat()), "one\ntwo\n");
    }

    #[test]
    fn a_missing_file_a_directory_and_a_falsely_packed_one_are_io_errors() {
        let dir = tempfile::tempdir().unwrap();
        let false_gzip = dir.path().join("a.gz");
        fs::write(&false_gzip, "plain text").unwrap();
        let false_zstd = dir.path().join("a.zst");
        fs::write(&false_zstd, "plain text").unwrap();
        for path in [
            &dir.path().join("missing"),
            dir.path(),
            &false_gzip,
            &false_zstd,
        ] {
            let error = open(path).err().unwrap();
            assert!(matches!(error, Error::Io { .. }), "{error}");
            assert!(error.to_string().contains(path.to_str().unwrap()));
        }
    }

    #[test]
    fn the_extension_is_looked_for_before_that_of_packing() {
        for (name, wanted) in [
            ("d/a.JSONL", "jsonl"),
            ("a.b.csv.gz", "csv"),
            ("a.csv.zst", "csv"),
            ("a.gz", ""),
            ("a", ""),
            ("-", ""),
        ] {
            assert_eq!(extension(Path::new(name)), wanted, "{name}");
        }
    }
}
