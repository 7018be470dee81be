//! Files of a results folder, each replaced in one step.

use anyhow::{Context, Result};
use std::path::Path;

/// A file of its own: its name and contents.
pub type File = (String, Vec<u8>);

/// Replaces a file in one step: a reader finds the old or the new one, whole.
///
/// # Errors
/// A full or failing disk; the old file stays.
pub(in crate::output) fn replace_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let written = std::fs::write(&partial, bytes).and_then(|()| std::fs::rename(&partial, path));
    if written.is_err() {
        // It may not even be there; the error to tell is the first one.
        let _ = std::fs::remove_file(&partial);
    }
    written.with_context(|| format!("cannot write {}", path.display()))
}

/// Removes a file that may not be there.
///
/// # Errors
/// A file that is there and cannot be removed.
pub(in crate::output) fn remove_file(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
