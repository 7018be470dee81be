//! Trained parameters from a safetensors file, by their state_dict names.

use super::data::read_safetensors;
use super::network::Network;
use super::raw::{FileRecord, RawTensor, listed};
use crate::error::UserError;
use std::path::Path;

/// The parameters of `network` from a file, and then its buffers, in the network's order.
///
/// # Errors
/// A tensor that is missing, superfluous, misshapen or not finite. A parameter that layers share may stand
/// there under any of its names, and under several if it is the same; `num_batches_tracked`, with which torch.nn's
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
    for tie in network.ties() {
        let (again, first) = (&tie.info.name, &network.parameters()[tie.parameter].name);
        let Some(tensor) = tensors.remove(again) else {
            continue;
        };
        let same = tensors
            .entry(first.clone())
            .or_insert_with(|| tensor.clone());
        if *same != tensor {
            return Err(UserError::new(
                "weights",
                format!(
                    "{}: found other values in \"{again}\" than in \"{first}\", to which the layer is tied",
                    path.display()
                ),
                "remove `tied` where the network has two weights",
            ));
        }
    }
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
