//! First values of a network's parameters, as torch.nn draws them.

use super::generator::TorchGenerator;
use super::layer::Init;
use super::network::Network;
use super::node::ParameterInfo;
use tch::Tensor;

/// The parameters, and then the buffers, as torch.nn initialises them in order, in float32 on the CPU.
///
/// They are drawn in float32 whatever the dtype of the experiment, as `module.double()` would have
/// it, so that both dtypes look at the same network.
pub fn initialise(network: &Network, generator: &mut TorchGenerator) -> Vec<Tensor> {
    let draw = |info: &ParameterInfo| {
        let values = match info.init {
            Init::Uniform { bound } => generator.uniform(info.numel() as usize, -bound, bound),
            Init::Normal { .. } => generator.normal(info.numel() as usize),
            Init::Constant { value } => vec![value as f32; info.numel() as usize],
        };
        let values = Tensor::from_slice(&values).reshape(&info.shape);
        if let Init::Normal { zero: Some(row) } = info.init {
            let _ = values.get(row).zero_();
        }
        values
    };
    let infos = network.parameters().iter().chain(network.buffers());
    infos.map(draw).collect()
}
