//! Opening what people bring: plain, packed, or standard input.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use crate::error::{Error, Result};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A file's content after any UTF-8 byte-order mark, unpacked where its name ends in `.gz`; `-` is
/// standard input.
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
    let file = BufReader::new(file);
    if is_gzip(path) {
        after_mark(path, BufReader::new(MultiGzDecoder::new(file)))
    } else {
        after_mark(path, file)
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

/// The extension in lower case; of `x.csv.gz` it is `csv`. Empty where there is none.
pub fn extension(path: &Path) -> String {
    if is_gzip(path) {
        last_extension(&path.with_extension(""))
    } else {
        last_extension(path)
    }
}

fn is_gzip(path: &Path) -> bool {
    last_extension(path) == "gz"
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
    fn all_members_of_a_gzip_file_are_read() {
        let both = [gzip(b"one\n"), gzip(b"two\n")].concat();
        assert_eq!(content("a.TXT.GZ", &both), "one\ntwo\n");
    }

    #[test]
    fn a_missing_file_a_directory_and_a_false_gzip_are_io_errors() {
        let dir = tempfile::tempdir().unwrap();
        let false_gzip = dir.path().join("a.gz");
        fs::write(&false_gzip, "plain text").unwrap();
        for path in [&dir.path().join("missing"), dir.path(), &false_gzip] {
            let error = open(path).err().unwrap();
            assert!(matches!(error, Error::Io { .. }), "{error}");
            assert!(error.to_string().contains(path.to_str().unwrap()));
        }
    }

    #[test]
    fn the_extension_is_looked_for_before_gz() {
        for (name, wanted) in [
            ("d/a.JSONL", "jsonl"),
            ("a.b.csv.gz", "csv"),
            ("a.gz", ""),
            ("a", ""),
            ("-", ""),
        ] {
            assert_eq!(extension(Path::new(name)), wanted, "{name}");
        }
    }
}
