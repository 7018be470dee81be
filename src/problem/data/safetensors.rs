//! Any data set: a safetensors file with tensors "x" and "y".

use super::{BatchCount, DataSource, Dataset, Order, Selection, check_pair, listed};
use crate::error::UserError;
use crate::problem::weights::read_safetensors;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// `source = "safetensors"`: "x" `[samples, *in]` in floats, "y" `[samples]` or `[samples, *out]`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Safetensors {
    /// The file.
    pub path: PathBuf,
    /// Samples in a batch; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<i64>,
    /// How many batches.
    #[serde(default)]
    pub batches: BatchCount,
    /// Which samples come first.
    #[serde(default)]
    pub order: Order,
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
        check_pair(&inputs, &targets).map_err(|(message, help)| {
            UserError::new("path", format!("{}: {message}", path.display()), help)
        })?;
        Ok(Dataset {
            selection: Selection::new(self.batch, self.batches, self.order, inputs.rows())?,
            inputs,
            targets,
            normalisation: None,
            files: vec![file],
        })
    }
}
