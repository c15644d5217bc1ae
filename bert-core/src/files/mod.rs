//! Files: written so that a crash, a full disk or a second process never leaves half of one; read within bounds.
//!
//! What is written has a temporary name, `.NAME.PROCESS.tmp`, until it is whole and on disk. A process that is killed
//! leaves such names behind; whoever holds the [lock](Lock) of their directory may [remove](remove_leftovers) them.

mod checksums;
mod lines;
mod lock;
mod open;

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::{Error, Result};

pub use checksums::{FILE as CHECKSUMS, damage, fingerprint, write_checksums};
pub use lines::{Lines, content};
pub use lock::Lock;
pub use open::{extension, is_packed, open, peek, unpacked};

/// How the names of what is not whole yet end.
const TEMPORARY: &str = ".tmp";
/// How the name of a directory ends that another is about to replace.
const ASIDE: &str = ".old.tmp";

/// Writes a file under a temporary name beside its target, flushes it to disk and renames it into place.
///
/// # Errors
/// [`Error::Io`]; the target is then as it was before.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    write_atomically_with(path, |file| {
        file.write_all(bytes).map_err(Error::io("write", path))
    })
}

/// Writes a value as JSON that people can read.
///
/// # Errors
/// [`Error::Io`]; the target is then as it was before.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let text = format!("{:#}\n", serde_json::json!(value));
    write_atomically(path, text.as_bytes())
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
    if path.is_dir() {
        let is_a_directory = std::io::Error::from(std::io::ErrorKind::IsADirectory);
        return Err(Error::io("write", path)(is_a_directory));
    }
    let target = &followed(path);
    let parent = parent_of(target);
    fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
    let temporary = temporary_beside(target);
    let fill = || {
        let file = File::create(&temporary).map_err(Error::io("create", &temporary))?;
        if let Ok(before) = fs::metadata(target) {
            // Who may not read it may not read what replaces it.
            file.set_permissions(before.permissions())
                .map_err(Error::io("create", &temporary))?;
        }
        let mut file = BufWriter::with_capacity(1 << 20, file);
        write(&mut file)?;
        let file = file.into_inner().map_err(|error| error.into_error());
        file.and_then(|file| file.sync_all())
            .map_err(Error::io("write", path))?;
        fs::rename(&temporary, target).map_err(Error::io("rename", &temporary))
    };
    if let Err(error) = fill() {
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    sync_directory(parent);
    Ok(())
}

/// Where symbolic links lead: what they name is replaced, not they.
fn followed(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
}

/// Fills a directory under a temporary name beside its target, flushes its files to disk, then renames it into place.
/// Readers see the old directory or the new one, whole.
///
/// A directory that is there already is replaced and **removed with all that is in it**: for names that people choose, ask
/// [`must_be_free`] first.
///
/// # Errors
/// What `fill` returns, or [`Error::Io`].
pub fn write_directory_atomically(
    path: &Path,
    fill: impl FnOnce(&Path) -> Result<()>,
) -> Result<()> {
    let path = &followed(path);
    let parent = parent_of(path);
    fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
    let temporary = temporary_beside(path);
    // Of a process of the same number that was killed.
    if temporary.exists() {
        fs::remove_dir_all(&temporary).map_err(Error::io("remove", &temporary))?;
    }
    fs::create_dir(&temporary).map_err(Error::io("create", &temporary))?;
    let result = fill(&temporary)
        .and_then(|()| sync_files(&temporary))
        .and_then(|()| put(&temporary, path));
    // After an exchange this is the directory of before.
    remove(&temporary);
    sync_directory(parent);
    result
}

/// Removes a directory that is of no use any more. Where that fails nothing is lost but room: it is said, and work goes on.
pub(crate) fn remove(directory: &Path) {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            log::warn!("{} cannot be removed: {error}", directory.display());
        }
        _ => {}
    }
}

/// Refuses a place for output where there is something already. An empty directory is a free place.
///
/// # Errors
/// [`Error::Usage`].
pub fn must_be_free(path: &Path) -> Result<()> {
    let is_empty = fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
    if !path.exists() || is_empty {
        return Ok(());
    }
    Err(Error::Usage {
        problem: format!("{} is there already", path.display()),
        help: "choose another place, or remove it first".into(),
    })
}

/// As [`write_directory_atomically`], with the [checksums](write_checksums) of what `fill` wrote, which [`damage`]
/// compares later.
///
/// # Errors
/// What `fill` returns, or [`Error::Io`].
pub fn write_checked_directory(path: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    write_directory_atomically(path, |directory| {
        fill(directory)?;
        write_checksums(directory)
    })
}

/// Removes what killed processes left in a directory under temporary names, and puts back a directory that one of them
/// had moved aside to replace it.
///
/// # Errors
/// [`Error::Io`].
pub fn remove_leftovers(directory: &Path) -> Result<()> {
    remove_those(directory, |_| true)
}

/// As [`remove_leftovers`], but only what was to become `path`.
///
/// # Errors
/// [`Error::Io`].
pub fn remove_leftovers_of(path: &Path) -> Result<()> {
    remove_those(parent_of(path), |target| {
        path.file_name().is_some_and(|name| name == target)
    })
}

fn remove_those(directory: &Path, wanted: impl Fn(&str) -> bool) -> Result<()> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(Error::io("read", directory))?,
    };
    for entry in entries {
        let entry = entry.map_err(Error::io("read", directory))?;
        let (path, name) = (entry.path(), entry.file_name());
        let target = name.to_str().and_then(target_of);
        let Some(target) = target.filter(|target| wanted(target)) else {
            continue;
        };
        let target = directory.join(target);
        let moved_aside = path.to_string_lossy().ends_with(ASIDE);
        if moved_aside && !target.exists() {
            fs::rename(&path, &target).map_err(Error::io("rename", &path))?;
        } else if path.is_dir() {
            fs::remove_dir_all(&path).map_err(Error::io("remove", &path))?;
        } else {
            fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        }
    }
    Ok(())
}

/// The target of a temporary name.
fn target_of(name: &str) -> Option<&str> {
    let name = name.strip_prefix('.')?.strip_suffix(TEMPORARY)?;
    let name = name.strip_suffix(".old").unwrap_or(name);
    let (target, process) = name.rsplit_once('.')?;
    let is_number = !process.is_empty() && process.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && !target.is_empty()).then_some(target)
}

/// Gives a directory its final name; where there is one already, the two change places.
fn put(temporary: &Path, path: &Path) -> Result<()> {
    if !path.exists() {
        return fs::rename(temporary, path).map_err(Error::io("rename", temporary));
    }
    #[cfg(any(target_os = "linux", target_vendor = "apple"))]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        if renameat_with(CWD, temporary, CWD, path, RenameFlags::EXCHANGE).is_ok() {
            return Ok(());
        }
    }
    // Not every file system exchanges: the old one steps aside first, and comes back where this process dies between.
    let old = temporary.with_extension(&ASIDE[1..]);
    fs::rename(path, &old).map_err(Error::io("rename", path))?;
    fs::rename(temporary, path).map_err(|error| {
        let _ = fs::rename(&old, path);
        Error::io("rename", temporary)(error)
    })?;
    remove(&old);
    Ok(())
}

/// Flushes the files of a directory to disk, and the directory.
fn sync_files(directory: &Path) -> Result<()> {
    for entry in fs::read_dir(directory).map_err(Error::io("read", directory))? {
        let path = entry.map_err(Error::io("read", directory))?.path();
        if path.is_file() {
            let file = File::open(&path).map_err(Error::io("open", &path))?;
            file.sync_all().map_err(Error::io("write", &path))?;
        }
    }
    sync_directory(directory);
    Ok(())
}

fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn temporary_beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}{TEMPORARY}", std::process::id()))
}

/// Makes a rename durable. Not every file system can, and none loses data when it cannot.
fn sync_directory(path: &Path) {
    if let Ok(directory) = File::open(path) {
        let _ = directory.sync_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[cfg(unix)]
    #[test]
    fn who_could_not_read_a_file_cannot_read_what_replaces_it() {
        use std::os::unix::fs::PermissionsExt;
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("f");
        write_atomically(&path, b"one").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        write_atomically(&path, b"two").unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read(&path).unwrap(), b"two");
    }

    #[test]
    fn a_directory_is_replaced_whole_or_not_at_all() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("d");
        let write = |text: &'static str| {
            move |directory: &Path| write_atomically(&directory.join(text), text.as_bytes())
        };
        write_directory_atomically(&path, write("one")).unwrap();
        write_directory_atomically(&path, write("two")).unwrap();
        assert_eq!(names(&path), ["two"]);
        let failed = write_directory_atomically(&path, |directory| {
            write("three")(directory)?;
            Err(Error::Usage {
                problem: "no".into(),
                help: "no".into(),
            })
        });
        assert!(failed.is_err());
        assert_eq!(names(&path), ["two"]);
        assert_eq!(names(root.path()), ["d"]);

        let refused = must_be_free(&path).unwrap_err().to_string();
        assert!(refused.ends_with("d is there already"), "{refused}");
        must_be_free(&root.path().join("e")).unwrap();
        fs::create_dir(root.path().join("e")).unwrap();
        must_be_free(&root.path().join("e")).unwrap();
    }

    #[test]
    fn what_a_link_leads_to_is_replaced_and_the_link_stays() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        let link = |to: &str, name: &str| std::os::unix::fs::symlink(at(to), at(name)).unwrap();
        fs::create_dir(at("there")).unwrap();
        fs::write(at("there/file"), "old").unwrap();
        fs::create_dir(at("there/directory")).unwrap();
        link("there/file", "file");
        link("there/directory", "directory");
        write_atomically(&at("file"), b"new").unwrap();
        write_directory_atomically(&at("directory"), |directory| {
            write_atomically(&directory.join("in"), b"new")
        })
        .unwrap();
        assert_eq!(fs::read(at("there/file")).unwrap(), b"new");
        assert_eq!(fs::read(at("there/directory/in")).unwrap(), b"new");
        assert!(at("file").is_symlink() && at("directory").is_symlink());
        assert_eq!(names(root.path()), ["directory", "file", "there"]);
        assert_eq!(names(&at("there")), ["directory", "file"]);
    }

    #[test]
    fn what_a_killed_process_left_goes_and_what_it_moved_aside_comes_back() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::create_dir(at(".best.12.tmp")).unwrap();
        fs::create_dir(at(".best.12.old.tmp")).unwrap();
        fs::create_dir(at(".step-000002.7.old.tmp")).unwrap();
        fs::create_dir(at("step-000002")).unwrap();
        fs::write(at(".config.json.12.tmp"), "half").unwrap();
        for other in [".hidden", "a.1.tmp", ".a.tmp", ".a.b.tmp", "..1.tmp"] {
            fs::write(at(other), "mine").unwrap();
        }
        remove_leftovers(root.path()).unwrap();
        let kept = ["..1.tmp", ".a.b.tmp", ".a.tmp", ".hidden", "a.1.tmp"];
        let expected: Vec<&str> = kept.into_iter().chain(["best", "step-000002"]).collect();
        assert_eq!(names(root.path()), expected);
        remove_leftovers(&at("nowhere")).unwrap();
    }
}
