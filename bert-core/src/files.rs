//! Writing files so that a crash, a full disk or a second process never leaves half of one.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Writes a file under a temporary name beside its target, flushes it to disk and renames it into place.
///
/// # Errors
/// [`Error::Io`]; the target is then as it was before.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    write_atomically_with(path, |file| {
        file.write_all(bytes).map_err(Error::io("write", path))
    })
}

/// As [`write_atomically`], for content that is produced piece by piece. What is not a regular file, such as a pipe or
/// `/dev/null`, is written to as it stands.
///
/// # Errors
/// What `write` returns, or [`Error::Io`]; the target is then as it was before.
pub fn write_atomically_with(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> Result<()>,
) -> Result<()> {
    if fs::metadata(path).is_ok_and(|target| !target.is_file() && !target.is_dir()) {
        let file = File::options().write(true).open(path);
        let mut file = BufWriter::new(file.map_err(Error::io("open", path))?);
        write(&mut file)?;
        return file.flush().map_err(Error::io("write", path));
    }
    let parent = parent_of(path);
    fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
    let temporary = temporary_beside(path);
    let fill = || {
        let file = File::create(&temporary).map_err(Error::io("create", &temporary))?;
        let mut file = BufWriter::with_capacity(1 << 20, file);
        write(&mut file)?;
        let file = file.into_inner().map_err(|error| error.into_error());
        file.and_then(|file| file.sync_all())
            .map_err(Error::io("write", path))
    };
    if let Err(error) = fill() {
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    fs::rename(&temporary, path).map_err(Error::io("rename", &temporary))?;
    sync_directory(parent);
    Ok(())
}

/// Fills a directory under a temporary name beside its target, then renames it into place, replacing what a
/// former call put there. Readers see the old directory or the new one, whole.
///
/// # Errors
/// What `fill` returns, or [`Error::Io`].
pub fn write_directory_atomically(
    path: &Path,
    fill: impl FnOnce(&Path) -> Result<()>,
) -> Result<()> {
    let parent = parent_of(path);
    fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
    let temporary = temporary_beside(path);
    fs::create_dir_all(&temporary).map_err(Error::io("create", &temporary))?;
    let result = fill(&temporary).and_then(|()| {
        sync_directory(&temporary);
        if path.exists() {
            // A directory cannot be renamed over one that is not empty: the old one steps aside first.
            let old = temporary.with_extension("old.tmp");
            fs::rename(path, &old).map_err(Error::io("rename", path))?;
            fs::rename(&temporary, path).map_err(Error::io("rename", &temporary))?;
            fs::remove_dir_all(&old).map_err(Error::io("remove", &old))
        } else {
            fs::rename(&temporary, path).map_err(Error::io("rename", &temporary))
        }
    });
    if result.is_err() {
        let _ = fs::remove_dir_all(&temporary);
    }
    sync_directory(parent);
    result
}

fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn temporary_beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.tmp", std::process::id()))
}

/// Makes a rename durable. Not every file system can, and none loses data when it cannot.
fn sync_directory(path: &Path) {
    if let Ok(directory) = File::open(path) {
        let _ = directory.sync_all();
    }
}
