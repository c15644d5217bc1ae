//! One process to a directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use crate::error::{Error, Result};

/// A file that this process holds as long as this lives. The operating system lets go of it when the process ends,
/// however it ends, so that no lock outlives its holder.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of a file, which is made where it is not there. `what` it stands for is named in the message.
    ///
    /// # Errors
    /// [`Error::Usage`] where another process holds it, with its number; [`Error::Io`].
    pub fn take(path: &Path, what: &str) -> Result<Self> {
        let mut file = open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let known = file.read_to_string(&mut holder).is_ok() && !holder.trim().is_empty();
                let holder = match known {
                    true => format!("process {}", holder.trim()),
                    false => "another process".to_string(),
                };
                return Err(Error::Usage {
                    problem: format!("{what} is in use by {holder}"),
                    help: "wait for it to end, or choose another directory".into(),
                });
            }
            Err(TryLockError::Error(error)) => unlockable(path, error)?,
        }
        // For that message only.
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| write!(file, "{}", std::process::id()));
        Ok(Self { _file: file })
    }

    /// As [`Lock::take`], but waits until it is free; `waiting` is called first where it is not.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn wait(path: &Path, waiting: impl FnOnce()) -> Result<Self> {
        let file = open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                waiting();
                file.lock().map_err(Error::io("lock", path))?;
            }
            Err(TryLockError::Error(error)) => unlockable(path, error)?,
        }
        Ok(Self { _file: file })
    }
}

fn open(path: &Path) -> Result<File> {
    let parent = super::parent_of(path);
    std::fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    options.open(path).map_err(Error::io("open", path))
}

/// A file system without locks is used without.
fn unlockable(path: &Path, error: std::io::Error) -> Result<()> {
    // Network file systems without a lock service say so in a way of their own.
    #[cfg(unix)]
    let no_service = error.raw_os_error() == Some(libc::ENOLCK);
    #[cfg(not(unix))]
    let no_service = false;
    if error.kind() != std::io::ErrorKind::Unsupported && !no_service {
        return Err(Error::io("lock", path)(error));
    }
    let path = path.display();
    log::warn!(
        "{path}: this file system has no locks; see to it yourself that one process writes here"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_once_and_free_again_when_its_holder_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/.lock");
        let held = Lock::take(&path, "runs/a").unwrap();
        let refused = Lock::take(&path, "runs/a").unwrap_err().to_string();
        let expected = format!("runs/a is in use by process {}", std::process::id());
        assert_eq!(refused, expected);
        drop(held);
        // What a dead process wrote means nothing.
        std::fs::write(&path, "4194304 and more").unwrap();
        let held = Lock::take(&path, "runs/a").unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, std::process::id().to_string());

        let (sender, receiver) = std::sync::mpsc::channel();
        let waiter = std::thread::spawn({
            let path = path.clone();
            move || Lock::wait(&path, || sender.send(()).unwrap()).map(drop)
        });
        receiver.recv().unwrap();
        drop(held);
        waiter.join().unwrap().unwrap();
    }
}
