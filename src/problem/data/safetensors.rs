//! Any data set: a safetensors file with tensors "x" and "y".

use super::{Dataset, Order, RawTensor, Source, checked_batch};
use crate::error::UserError;
use crate::problem::weights::read_safetensors;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// `source = "safetensors"`: "x" `[samples, *in]` in floats, "y" `[samples]` or `[samples, *out]`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Safetensors {
    /// The file.
    pub path: PathBuf,
    /// Samples in the batch; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<i64>,
    /// Which samples come first.
    #[serde(default)]
    pub order: Order,
}

impl Source for Safetensors {
    fn load(&self, base: &Path) -> Result<Dataset, UserError> {
        let path = base.join(&self.path);
        let (mut tensors, file) = read_safetensors(&path, "path")?;
        let found = tensors.keys().cloned().collect::<Vec<_>>().join(", ");
        let mut named = |name: &str| {
            tensors.remove(name).ok_or_else(|| {
                UserError::new(
                    "path",
                    format!(
                        "{} has no tensor \"{name}\"; it has: {found}",
                        path.display()
                    ),
                    "save the inputs as \"x\" and the targets as \"y\"",
                )
            })
        };
        let (inputs, targets) = (named("x")?, named("y")?);
        check(&inputs, &targets).map_err(|(message, help)| {
            UserError::new("path", format!("{}: {message}", path.display()), help)
        })?;
        Ok(Dataset {
            batch: checked_batch(self.batch, inputs.rows())?,
            inputs,
            targets,
            normalisation: None,
            order: self.order,
            files: vec![file],
        })
    }
}

fn check(inputs: &RawTensor, targets: &RawTensor) -> Result<(), (String, &'static str)> {
    if inputs.shape().len() < 2 || inputs.shape().contains(&0) {
        return Err((
            format!(
                "\"x\" has shape {:?}, expected [samples, features, ...]",
                inputs.shape()
            ),
            "give \"x\" one row per sample and at least one sample",
        ));
    }
    if inputs.is_integer() {
        return Err((
            format!("\"x\" is {}, expected floating point", inputs.dtype_name()),
            "convert \"x\" to float32 and scale it as the network expects",
        ));
    }
    if inputs.rows() != targets.rows() {
        return Err((
            format!(
                "\"x\" has {} samples, \"y\" {}",
                inputs.rows(),
                targets.rows()
            ),
            "save as many targets as inputs",
        ));
    }
    Ok(())
}
