//! Trained parameters from a safetensors file, by their state_dict names.

use super::data::{FileRecord, RawTensor, read_file};
use super::network::Network;
use crate::error::UserError;
use std::collections::BTreeMap;
use std::path::Path;

/// All tensors of a safetensors file by name; `key` is the spec key that named it.
///
/// # Errors
/// A file that is missing, damaged, or holds a dtype that is not supported.
pub fn read_safetensors(
    path: &Path,
    key: &str,
) -> Result<(BTreeMap<String, RawTensor>, FileRecord), UserError> {
    let (bytes, record) = read_file(path, key)?;
    let broken = |found: String| {
        UserError::new(
            key,
            format!("{}: {found}", path.display()),
            "write it with safetensors' save_file; floats, or integers up to 64 bits",
        )
    };
    let file = safetensors::SafeTensors::deserialize(&bytes)
        .map_err(|error| broken(format!("not a readable safetensors file: {error}")))?;
    let tensors = file
        .iter()
        .map(|(name, view)| match RawTensor::from_view(&view) {
            Some(tensor) => Ok((name.to_string(), tensor)),
            None => Err(broken(format!(
                "tensor \"{name}\" has dtype {:?}",
                view.dtype()
            ))),
        })
        .collect::<Result<_, _>>()?;
    Ok((tensors, record))
}

/// The parameters of `network` from a file, in the network's order.
///
/// # Errors
/// A tensor that is missing, superfluous or misshapen.
pub fn load(path: &Path, network: &Network) -> Result<(Vec<RawTensor>, FileRecord), UserError> {
    let (mut tensors, record) = read_safetensors(path, "weights")?;
    let wrong = |found: String| {
        UserError::new(
            "weights",
            format!("{}: {found}", path.display()),
            "save the state_dict of the torch.nn.Sequential with the same layers in the same positions",
        )
    };
    let mut ordered = Vec::new();
    for parameter in network.parameters() {
        let tensor = tensors.remove(&parameter.name).ok_or_else(|| {
            wrong(format!(
                "no tensor \"{}\", which the network needs with shape {:?}; left over: {:?}",
                parameter.name,
                parameter.shape,
                tensors.keys().collect::<Vec<_>>()
            ))
        })?;
        if tensor.shape() != parameter.shape || tensor.is_integer() {
            return Err(wrong(format!(
                "tensor \"{}\" is {} with shape {:?}, expected floating point with shape {:?}",
                parameter.name,
                tensor.dtype_name(),
                tensor.shape(),
                parameter.shape
            )));
        }
        ordered.push(tensor);
    }
    match tensors.keys().next() {
        None => Ok((ordered, record)),
        Some(extra) => Err(wrong(format!(
            "tensor \"{extra}\" belongs to no layer; the network has: {}",
            network
                .parameters()
                .iter()
                .map(|p| p.name.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        ))),
    }
}
