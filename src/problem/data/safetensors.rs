//! Any data set: a safetensors file with tensors "x" and "y".

use super::selection::selected_data;
use super::{DataSource, Dataset, check_pair};
use crate::error::UserError;
use crate::problem::raw::{FileRecord, RawTensor, listed, read_file};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

selected_data! {
    /// `source = "safetensors"`: "x" `[samples, *in]` in floats, "y" `[samples]` or `[samples, *out]`;
    /// for attention also "mask" `[samples, positions]` in integers, 0 where a position only pads.
    pub struct Safetensors {
        /// The file.
        pub path: PathBuf,
    }
}

impl DataSource for Safetensors {
    fn load(&self, base: &Path) -> Result<Dataset, UserError> {
        let path = base.join(&self.path);
        let (mut tensors, file) = read_safetensors(&path, "path")?;
        let found = listed(tensors.keys().map(String::as_str));
        let mut named = |name: &str| {
            tensors.remove(name).ok_or_else(|| {
                UserError::new(
                    "path",
                    format!(
                        "{}: found no tensor \"{name}\"; the file has: {found}",
                        path.display()
                    ),
                    "save the inputs as \"x\" and the targets as \"y\"",
                )
            })
        };
        let (inputs, targets) = (named("x")?, named("y")?);
        let mask = tensors.remove("mask");
        check_pair(&inputs, &targets).map_err(|(message, help)| {
            UserError::new("path", format!("{}: {message}", path.display()), help)
        })?;
        Ok(Dataset {
            selection: self.selection(inputs.rows())?,
            inputs,
            targets,
            mask,
            normalisation: None,
            files: vec![file],
        })
    }
}

/// All tensors of a safetensors file by name; `key` is the spec key that named it.
///
/// # Errors
/// A file that is missing, damaged, or holds a dtype that is not supported.
pub fn read_safetensors(
    path: &Path,
    key: &str,
) -> Result<(BTreeMap<String, RawTensor>, FileRecord), UserError> {
    let (bytes, record) = read_file(path, key)?;
    let broken = |found: String, help: &str| {
        UserError::new(key, format!("{}: {found}", path.display()), help)
    };
    let file = safetensors::SafeTensors::deserialize(&bytes).map_err(|error| {
        broken(
            format!("not a readable safetensors file: {error}"),
            "write it with safetensors' save_file; a .pt or .npz file must be converted first",
        )
    })?;
    let tensors = file
        .iter()
        .map(|(name, view)| match RawTensor::from_view(&view) {
            Some(tensor) => Ok((name.to_string(), tensor)),
            None => Err(broken(
                format!(
                    "tensor \"{name}\" is {} of shape {:?}, which is not supported",
                    view.dtype(),
                    view.shape()
                ),
                "save it as float32, float64, float16, bfloat16, uint8 or a signed integer",
            )),
        })
        .collect::<Result<_, _>>()?;
    Ok((tensors, record))
}
