//! A network with its parameters, a loss, and data in one or more batches.

use super::batch::Batch;
use super::curvature::Curvature;
use super::linearization::Linearization;
use super::loss::{self, LocalLoss, LossSpec};
use super::network::Network;
use super::node::Tensors;
use crate::libtorch::card_memory;
use std::sync::Arc;
use tch::{Device, Kind, Tensor};

/// A network at given parameters, a loss, and data; `H` is the Hessian of [`NetworkProblem::loss_at`].
#[derive(Debug)]
pub struct NetworkProblem {
    /// The layers with their shapes.
    pub network: Arc<Network>,
    /// What is minimised.
    pub loss: LossSpec,
    /// One tensor per parameter, in the network's order; device and kind are the problem's.
    pub parameters: Vec<Tensor>,
    /// One tensor per buffer, in the network's order.
    pub buffers: Vec<Tensor>,
    /// The data, in at least one batch.
    pub batches: Vec<Batch>,
}

/// A clone is another handle on the same tensors, for another thread: nothing is copied.
impl Clone for NetworkProblem {
    fn clone(&self) -> Self {
        self.on(self.batches.clone())
    }
}

impl NetworkProblem {
    /// The network with `tensors`, its parameters and then its buffers, on `batches`, whose weights
    /// are set so that their losses add up to the loss of all samples as one batch: under a mean
    /// every batch counts for the terms that it holds, so that a short last one does not count for
    /// more.
    pub fn new(
        network: Arc<Network>,
        loss: LossSpec,
        mut tensors: Vec<Tensor>,
        batches: Vec<Batch>,
    ) -> Self {
        let mut problem = Self {
            buffers: tensors.split_off(network.parameters().len()),
            parameters: tensors,
            network,
            loss,
            batches,
        };
        problem.weigh();
        problem
    }

    /// Numbers the samples of all batches, and sets the weights.
    fn weigh(&mut self) {
        let Self { loss, batches, .. } = self;
        let mut first = 0;
        for batch in batches.iter_mut() {
            batch.first = first;
            first += batch.len() as u64;
        }
        let terms: Option<Vec<f64>> = batches.iter().map(|b| loss.terms(&b.targets)).collect();
        if let Some(terms) = terms {
            let all: f64 = terms.iter().sum();
            for (batch, terms) in batches.iter_mut().zip(terms) {
                batch.weight = terms / all;
            }
        }
    }

    /// The network with its loss and parameters on other data.
    fn on(&self, batches: Vec<Batch>) -> Self {
        Self {
            network: self.network.clone(),
            loss: self.loss.clone(),
            parameters: self.parameters.iter().map(Tensor::shallow_clone).collect(),
            buffers: self.buffers.iter().map(Tensor::shallow_clone).collect(),
            batches,
        }
    }

    /// The problem on every batch alone, its loss weighted: losses, gradients and Hessians of all
    /// add up to those of the whole.
    ///
    /// Every batch is placed on the device when its turn comes, so that a loop over them needs the
    /// memory of one.
    pub fn each_batch(&self) -> impl Iterator<Item = Self> + '_ {
        (0..self.batches.len()).map(|index| self.on_batch(index))
    }

    /// The problem on one batch alone, see [`NetworkProblem::each_batch`].
    pub fn on_batch(&self, index: usize) -> Self {
        self.on(vec![self.batches[index].placed(self.device(), self.kind())])
    }

    /// The problem on slices of its single batch, as [`each_batch`](Self::each_batch) cuts batches:
    /// so few samples that the widest tangent of one probe takes `bytes` at most. On a GPU, or where
    /// all samples are so few, the whole.
    pub fn slices(&self, bytes: i64) -> Vec<Self> {
        let [batch] = &self.batches[..] else {
            return vec![self.clone()];
        };
        let widest = self.network.widest() * self.kind().elt_size_in_bytes() as i64;
        let (all, few) = (batch.len() as i64, (bytes / widest.max(1)).max(1));
        if self.device().is_cuda() || few >= all {
            return vec![self.clone()];
        }
        // As even as may be.
        let few = (all as u64).div_ceil((all as u64).div_ceil(few as u64)) as i64;
        let slice = |first: i64| batch.slice(first, few.min(all - first));
        let mut slices = self.clone();
        slices.batches = (0..all).step_by(few as usize).map(slice).collect();
        slices.weigh();
        // Samples of which the loss takes no notice have no terms to take the mean of.
        slices.batches.retain(|slice| slice.weight != 0.0);
        for slice in &mut slices.batches {
            slice.weight *= batch.weight;
            slice.first += batch.first;
        }
        slices.each_batch().collect()
    }

    /// The first samples of the first batch, at most `count`, as a part of the whole.
    pub fn first_samples(&self, count: i64) -> Self {
        let batch = &self.batches[0];
        self.on(vec![batch.slice(0, count.min(batch.len() as i64))])
    }

    /// How many samples there are in all batches.
    pub fn samples(&self) -> usize {
        self.batches.iter().map(Batch::len).sum()
    }

    /// Where the computation happens.
    pub fn device(&self) -> Device {
        self.parameters[0].device()
    }

    /// The floating-point kind of parameters and products.
    pub fn kind(&self) -> Kind {
        self.parameters[0].kind()
    }

    /// About how many bytes a probe and its tangents take: what products need per probe.
    pub fn bytes_per_probe(&self) -> u64 {
        let parameters: usize = self.parameters.iter().map(Tensor::numel).sum();
        let samples = self.batches.iter().map(Batch::len).max().unwrap_or(0);
        let activations =
            samples * (3 * self.network.features() + 4 * self.network.inner()) as usize;
        ((2 * parameters + activations) * self.kind().elt_size_in_bytes()) as u64
    }

    /// Whether all batches, linearised, lie on a card and leave half of it free: then each is
    /// linearised once. On a CPU that is not asked for: the memory of one batch is enough there.
    pub fn fits_a_card(&self) -> bool {
        // Inputs, derivatives, gradients and own curvatures of every layer, and what made them.
        let numbers = 6 * (self.network.features() + self.network.inner());
        let bytes = self.samples() as u64 * numbers as u64 * self.kind().elt_size_in_bytes() as u64;
        card_memory(self.device()).is_some_and(|card| bytes <= card.free / 2)
    }

    /// One forward and one backward pass over a single batch; cost and memory as of a gradient.
    ///
    /// # Panics
    /// With more than one batch: then linearise [`each_batch`](Self::each_batch) in turn.
    pub fn linearize(&self) -> Linearization {
        self.linearize_for(Curvature::Hessian)
    }

    /// Linearises for any of the matrices; one other than the Hessian needs no backward pass.
    ///
    /// # Panics
    /// As [`linearize`](Self::linearize).
    pub fn linearize_for(&self, curvature: Curvature) -> Linearization {
        let w: Vec<Tensor> = self.parameters.iter().map(Tensor::detach).collect();
        let batch = self.only_batch();
        Linearization::new(
            &self.network,
            &*self.loss,
            self.with(&w, &batch),
            &batch,
            curvature,
        )
    }

    /// The parameters as leaves of autograd's graph, for [`loss_at`](Self::loss_at) and
    /// [`outputs_at`](Self::outputs_at): copies, or a TorchScript module's own.
    pub fn leaves(&self) -> Vec<Tensor> {
        let own = |p: &Tensor| match self.network.script() {
            Some(_) => p.set_requires_grad(true),
            None => p.detach().set_requires_grad(true),
        };
        self.parameters.iter().map(own).collect()
    }

    /// The outputs at `parameters` of a single batch, differentiable by libtorch's autograd.
    ///
    /// # Panics
    /// With more than one batch.
    pub fn outputs_at(&self, parameters: &[Tensor]) -> Tensor {
        let batch = self.only_batch();
        let tensors = self.with(parameters, &batch);
        self.network.forward(&batch.inputs, tensors)
    }

    /// The matrix G at the outputs of a single batch: the loss's Hessian, or what takes its place in
    /// another [`Curvature`].
    ///
    /// # Panics
    /// With more than one batch.
    pub fn output_matrix(&self, outputs: &Tensor, curvature: Curvature) -> Box<dyn LocalLoss> {
        loss::output_matrix(&*self.loss, outputs, &self.only_batch(), curvature)
    }

    /// The network's tensors with other values of the parameters, for a batch.
    fn with<'a>(&'a self, parameters: &'a [Tensor], batch: &'a Batch) -> Tensors<'a> {
        Tensors {
            parameters,
            buffers: &self.buffers,
            mask: batch.mask.as_ref(),
        }
    }

    fn only_batch(&self) -> Batch {
        let [batch] = &self.batches[..] else {
            let count = self.batches.len();
            panic!("{count} batches cannot be looked at as one");
        };
        batch.placed(self.device(), self.kind())
    }

    /// The loss of all batches at `parameters`, differentiable by libtorch's autograd.
    pub fn loss_at(&self, parameters: &[Tensor]) -> Tensor {
        let part = |batch: &Batch| {
            let batch = batch.placed(self.device(), self.kind());
            let output = self
                .network
                .forward(&batch.inputs, self.with(parameters, &batch));
            let value = self.loss.value(&output, &batch.targets);
            match batch.weight {
                1.0 => value,
                weight => value * weight,
            }
        };
        let parts = self.batches.iter().map(part);
        parts.reduce(|a, b| a + b).expect("at least one batch")
    }
}
