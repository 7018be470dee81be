//! The problem: a network with its parameters, a loss, and one batch of data on one device; or a
//! matrix with a known spectrum.

pub mod data;
pub mod generator;
mod join;
pub mod layer;
mod linearization;
pub mod loss;
pub mod matrix;
mod network;
mod subject;
pub mod weights;

pub use join::Combine;
pub use linearization::{Adjoints, Diagonal, Linearization, LinearizedLayer, Tangents};
pub use network::{LayerSize, Network, ParameterInfo};
pub use subject::{NetworkSpec, ProblemSpec, Subject};

use generator::TorchGenerator;
use layer::Init;
use loss::LossSpec;
use std::sync::Arc;
use tch::{Device, Kind, Tensor};

/// A network at given parameters, a loss, and a batch; every tensor is on one device.
#[derive(Debug)]
pub struct Problem {
    /// The layers with their shapes.
    pub network: Arc<Network>,
    /// What is minimised.
    pub loss: LossSpec,
    /// One tensor per parameter, in the network's order.
    pub parameters: Vec<Tensor>,
    /// `[N, *in]`.
    pub inputs: Tensor,
    /// What the loss compares the outputs with.
    pub targets: Tensor,
}

/// Another handle on the same tensors, for another thread: nothing is copied.
impl Clone for Problem {
    fn clone(&self) -> Self {
        Self {
            network: self.network.clone(),
            loss: self.loss.clone(),
            parameters: self.parameters.iter().map(Tensor::shallow_clone).collect(),
            inputs: self.inputs.shallow_clone(),
            targets: self.targets.shallow_clone(),
        }
    }
}

impl Problem {
    /// Where the tensors are.
    pub fn device(&self) -> Device {
        self.inputs.device()
    }

    /// The floating-point kind of parameters and data.
    pub fn kind(&self) -> Kind {
        self.inputs.kind()
    }

    /// About how many bytes a probe and its tangents take: what products need per probe.
    pub fn bytes_per_probe(&self) -> u64 {
        let parameters: usize = self.parameters.iter().map(Tensor::numel).sum();
        let activations = self.inputs.size()[0] as usize * self.network.features() as usize;
        ((2 * parameters + 3 * activations) * self.kind().elt_size_in_bytes()) as u64
    }

    /// One forward and one backward pass; cost and memory as those of a gradient.
    pub fn linearize(&self) -> Linearization {
        let w: Vec<Tensor> = self.parameters.iter().map(Tensor::detach).collect();
        Linearization::new(
            &self.network,
            &*self.loss,
            &self.inputs.detach(),
            &w,
            &self.targets,
        )
    }

    /// The loss at `parameters`, differentiable by libtorch's autograd.
    pub fn loss_at(&self, parameters: &[Tensor]) -> Tensor {
        let output = self.network.forward(&self.inputs, parameters);
        self.loss.value(&output, &self.targets)
    }
}

/// The parameters as torch.nn initialises them in order, in float32 on the CPU.
///
/// They are drawn in float32 whatever the dtype of the experiment, as `module.double()` would have
/// it, so that both dtypes look at the same network.
pub fn initialise(network: &Network, generator: &mut TorchGenerator) -> Vec<Tensor> {
    let draw = |info: &ParameterInfo| {
        let values = match info.init {
            Init::Uniform { bound } => generator.uniform(info.numel() as usize, -bound, bound),
            Init::Constant { value } => vec![value as f32; info.numel() as usize],
        };
        Tensor::from_slice(&values).reshape(&info.shape)
    };
    network.parameters().iter().map(draw).collect()
}
