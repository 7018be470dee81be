//! Trained parameters from a safetensors file, by their state_dict names.

use super::data::read_safetensors;
use super::network::Network;
use super::raw::{FileRecord, RawTensor, listed};
use crate::error::UserError;
use std::path::Path;

/// The parameters of `network` from a file, and then its buffers, in the network's order.
///
/// # Errors
/// A tensor that is missing, superfluous, misshapen or not finite; `num_batches_tracked`, with which torch.nn's
/// batch norm counts its training steps, is passed over.
pub fn load(path: &Path, network: &Network) -> Result<(Vec<RawTensor>, FileRecord), UserError> {
    let (mut tensors, record) = read_safetensors(path, "weights")?;
    let wrong = |found: String| {
        UserError::new(
            "weights",
            format!("{}: {found}", path.display()),
            "save the state_dict of a torch.nn.Sequential with the same layers in the same places",
        )
    };
    tensors.retain(|name, _| name.rsplit('.').next() != Some("num_batches_tracked"));
    let found = listed(tensors.keys().map(String::as_str));
    let mut ordered = Vec::new();
    for parameter in network.parameters().iter().chain(network.buffers()) {
        let (name, shape) = (&parameter.name, &parameter.shape);
        let Some(tensor) = tensors.remove(name) else {
            return Err(wrong(format!(
                "found no tensor \"{name}\", which the network needs with shape {shape:?}; the file has: {found}"
            )));
        };
        if tensor.shape() != shape || tensor.is_integer() {
            return Err(wrong(format!(
                "found \"{name}\" as {} of shape {:?}, expected floating point of shape {shape:?}",
                tensor.dtype_name(),
                tensor.shape(),
            )));
        }
        if let Some(found) = tensor.non_finite(name) {
            let help = "take a checkpoint from before the training diverged";
            let found = format!("{}: {found}", path.display());
            return Err(UserError::new("weights", found, help));
        }
        ordered.push(tensor);
    }
    match tensors.keys().next() {
        None => Ok((ordered, record)),
        Some(extra) => {
            let known = network.parameters().iter().map(|p| p.name.as_str());
            Err(wrong(format!(
                "found \"{extra}\", which belongs to no layer; the network has: {}",
                listed(known)
            )))
        }
    }
}
