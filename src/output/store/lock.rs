//! One runner at a time on a results folder.

use anyhow::{Context, Result, bail};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The right to write to a folder, held until it is dropped.
///
/// The system takes the lock off the file when its holder ends, however it ends: a file that a
/// killed runner left behind stops nobody.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    _file: File,
}

impl Lock {
    /// Takes the right to write to `folder`.
    ///
    /// # Errors
    /// Another runner has it, or a folder that cannot be written.
    pub fn take(folder: &Path) -> Result<Self> {
        let path = folder.join("lock");
        let context = || format!("cannot write {}", path.display());
        loop {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)
                .with_context(context)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let (folder, holder) = (folder.display(), holder(&mut file));
                    bail!(
                        "{folder} is being written by {holder}; wait for it, end it, or write elsewhere with --out"
                    );
                }
                Err(TryLockError::Error(error)) => return Err(error).with_context(context),
            }
            // The holder before may have removed the file after it was opened here.
            if is_at(&file, &path) {
                let me = format!("{} on {}\n", std::process::id(), host());
                file.set_len(0)
                    .and_then(|()| file.write_all(me.as_bytes()))
                    .with_context(context)?;
                return Ok(Self { path, _file: file });
            }
        }
    }
}

/// Who is writing to `folder` at present: "process 123 on host"; `None`, where nobody is.
pub(super) fn writer(folder: &Path) -> Option<String> {
    let mut file = File::open(folder.join("lock")).ok()?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Some(holder(&mut file)),
        // It is given back at once, with the file.
        Ok(()) | Err(TryLockError::Error(_)) => None,
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Tidiness only: an unlocked file stops nobody.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Who has the lock: "process 123 on host".
fn holder(file: &mut File) -> String {
    // Between taking the lock and writing its name it needs a moment.
    for _ in 0..50 {
        let mut text = String::new();
        if file.read_to_string(&mut text).is_ok_and(|read| read > 0) {
            return format!("process {}", text.trim());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    "another runner".into()
}

fn is_at(file: &File, path: &Path) -> bool {
    let same =
        |a: std::fs::Metadata, b: std::fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(open), Ok(there)) => same(open, there),
        _ => false,
    }
}

fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "this machine".into(),
        name => name.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_refused_by_name_and_a_stale_file_is_not() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("lock"), "99999 on nowhere\n").unwrap();
        let first = Lock::take(folder.path()).unwrap();
        let refused = Lock::take(folder.path()).unwrap_err().to_string();
        let me = format!("process {} on ", std::process::id());
        assert!(refused.contains(&me), "{refused}");
        drop(first);
        assert!(!folder.path().join("lock").exists());
        drop(Lock::take(folder.path()).unwrap());
    }
}
