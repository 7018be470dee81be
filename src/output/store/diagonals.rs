//! Estimated diagonals, in a safetensors file each under `diagonals/`.

use anyhow::{Context, Result};
use safetensors::{Dtype, serialize, tensor::TensorView};
use std::collections::HashMap;
use std::path::Path;

/// A diagonal, parameter by parameter, in float64.
#[derive(Clone, Debug)]
pub struct Diagonal {
    /// What tells it from others: the file's name, without its ending.
    pub name: String,
    /// What tells it from others, as keys and values for the file's metadata.
    pub metadata: Vec<(String, String)>,
    /// State_dict name, shape and entries of every parameter.
    pub parameters: Vec<(String, Vec<i64>, Vec<f64>)>,
}

impl Diagonal {
    /// Writes `diagonals/<name>.safetensors` in `folder`, in one step.
    ///
    /// # Errors
    /// A full or failing disk.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        let folder = folder.join("diagonals");
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let bytes: Vec<Vec<u8>> = (self.parameters.iter())
            .map(|(_, _, entries)| entries.iter().flat_map(|x| x.to_le_bytes()).collect())
            .collect();
        let mut tensors = Vec::new();
        for ((name, shape, _), bytes) in self.parameters.iter().zip(&bytes) {
            let shape = shape.iter().map(|&n| n as usize).collect();
            tensors.push((name, TensorView::new(Dtype::F64, shape, bytes)?));
        }
        let metadata: HashMap<String, String> = self.metadata.iter().cloned().collect();
        let path = folder.join(format!("{}.safetensors", self.name));
        super::replace_file(&path, &serialize(tensors, Some(metadata))?)
    }
}
