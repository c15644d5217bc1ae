//! Checksums of the files of a directory.
//!
//! `checksums.xxh128` has a line for each file, `HASH  NAME`, as `xxh128sum` writes and checks it. The hash finds damage,
//! not forgery.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use super::write_atomically;
use crate::error::{Error, Result};

/// The name of the file.
pub const FILE: &str = "checksums.xxh128";

/// Writes the checksums of all files of a directory into it.
///
/// # Errors
/// [`Error::Io`].
pub fn write_checksums(directory: &Path) -> Result<()> {
    let mut lines = Vec::new();
    for entry in fs::read_dir(directory).map_err(Error::io("read", directory))? {
        let path = entry.map_err(Error::io("read", directory))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_file() && name != FILE {
            let hash = hash(&path).map_err(Error::io("read", &path))?;
            lines.push((name.into_owned(), hash));
        }
    }
    lines.sort();
    let lines = lines.iter();
    let text: String = lines
        .map(|(name, hash)| format!("{hash:032x}  {name}\n"))
        .collect();
    write_atomically(&directory.join(FILE), text.as_bytes())
}

/// What is wrong with a directory that [`write_checksums`] saw: the first file that is missing or not what it was.
/// Files that it did not see count for nothing. `None` where all is well.
pub fn damage(directory: &Path) -> Option<String> {
    let text = match fs::read_to_string(directory.join(FILE)) {
        Ok(text) => text,
        Err(error) => return Some(format!("{FILE} cannot be read ({error})")),
    };
    if !text.ends_with('\n') {
        return Some(format!("{FILE} is cut off"));
    }
    for line in text.lines() {
        let Some((expected, name)) = line.split_once("  ") else {
            return Some(format!("{FILE} has a line that is none of its own"));
        };
        if Path::new(name).file_name() != Some(name.as_ref()) {
            return Some(format!("{FILE} names {name:?}, which is not in it"));
        }
        match hash(&directory.join(name)) {
            Err(error) => return Some(format!("{name} cannot be read ({error})")),
            Ok(hash) if format!("{hash:032x}") != expected => {
                return Some(format!("{name} is not what was written"));
            }
            Ok(_) => {}
        }
    }
    None
}

/// One number for the content of a directory, made of its checksums.
///
/// # Errors
/// [`Error::Io`].
pub fn fingerprint(directory: &Path) -> Result<String> {
    let path = directory.join(FILE);
    let text = fs::read(&path).map_err(Error::io("read", &path))?;
    Ok(format!("{:032x}", xxh3_128(&text)))
}

fn hash(path: &Path) -> std::io::Result<u128> {
    let mut file = File::open(path)?;
    let mut hash = Xxh3::new();
    let mut piece = vec![0; 1 << 20];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hash.digest128()),
            read => hash.update(&piece[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_change_to_any_file_is_found_and_named() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let damage = || damage(directory.path());
        assert!(
            damage()
                .unwrap()
                .contains("checksums.xxh128 cannot be read")
        );
        fs::write(at("empty"), "").unwrap();
        fs::write(at("weights"), vec![7; 3 << 20]).unwrap();
        write_checksums(directory.path()).unwrap();
        assert_eq!(damage(), None);
        let before = fingerprint(directory.path()).unwrap();

        fs::write(at("other"), "not listed").unwrap();
        assert_eq!(damage(), None);
        let mut bytes = fs::read(at("weights")).unwrap();
        bytes[2_000_000] ^= 1;
        fs::write(at("weights"), &bytes).unwrap();
        assert_eq!(damage().unwrap(), "weights is not what was written");
        bytes[2_000_000] ^= 1;
        fs::write(at("weights"), &bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(damage().unwrap(), "weights is not what was written");
        fs::write(at("weights"), &bytes).unwrap();
        fs::remove_file(at("empty")).unwrap();
        assert!(damage().unwrap().starts_with("empty cannot be read"));
        fs::write(at("empty"), "").unwrap();
        assert_eq!(damage(), None);
        assert_eq!(fingerprint(directory.path()).unwrap(), before);

        let sums = fs::read(at(FILE)).unwrap();
        for length in 0..sums.len() {
            fs::write(at(FILE), &sums[..length]).unwrap();
            let whole_lines = sums[..length].ends_with(b"\n");
            assert!(whole_lines || damage().is_some(), "{length} bytes");
        }
        fs::write(at(FILE), format!("{:032x}  ../other\n", 0)).unwrap();
        assert!(damage().unwrap().contains("../other"));
    }

    #[test]
    fn the_hash_is_the_standard_one() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("a"), "abc").unwrap();
        write_checksums(directory.path()).unwrap();
        let sums = fs::read_to_string(directory.path().join(FILE)).unwrap();
        assert_eq!(sums, "06b05ab6733a618578af5f94892f3950  a\n");
    }
}
