//! Curvature of a [`NetworkProblem`]'s loss in its parameters: exact diagonal and matrix products.
//!
//! `H` is the Hessian of the batch loss with respect to all P parameters. A set of K vectors in
//! parameter space is a slice with one tensor `[K, *shape]` per parameter, in the network's order;
//! a product has the same form. Units are those of the loss per squared parameter.
//!
//! | what | cost beyond a forward and backward pass | file |
//! |---|---|---|
//! | [`exact`] | the columns of the loss's root and of every curved layer, backward | `exact.rs` |
//! | [`Hmp`] | K tangents up and K adjoints down, at once; per block of its own for `Parameter` | `hmp.rs` |
//! | [`Forward`] | K tangents up, for `vᵀHv` alone | `forward.rs` |
//! | [`Autodiff`] | K double-backward passes, one at a time: the reference | `autodiff.rs` |
//!
//! ```
//! use curvature_runner::curvature::{Blocks, Hmp, Product, exact};
//! use curvature_runner::problem::{Batch, Network, NetworkProblem, generator::TorchGenerator, initialise};
//! use curvature_runner::problem::layer::{LayerSpec, Linear, Sigmoid};
//! use curvature_runner::problem::loss::{LossSpec, Mse};
//! use tch::{Device, Kind, Tensor};
//!
//! let layers = [
//!     LayerSpec::Linear(Linear::new(3, true)),
//!     LayerSpec::Sigmoid(Sigmoid {}),
//!     LayerSpec::Linear(Linear::new(2, false)),
//! ];
//! let network = Network::new(&layers, &[4]).unwrap();
//! let tensors = initialise(&network, &mut TorchGenerator::seeded(0));
//! let data = Batch::new(
//!     Tensor::ones([5, 4], (Kind::Float, Device::Cpu)),
//!     Tensor::zeros([5, 2], (Kind::Float, Device::Cpu)),
//! );
//! let loss = LossSpec::Mse(Mse::default());
//! let problem = NetworkProblem::new(network.into(), loss, tensors, vec![data]);
//!
//! let linearization = problem.linearize();
//! let diagonal = exact::diagonal(&linearization); // one tensor per parameter
//! let trace: f64 = diagonal.iter().map(|d| d.sum(Kind::Double).double_value(&[])).sum();
//!
//! // The trace again, from the products with all unit vectors of the last parameter, and so on.
//! let blocks = Blocks::Parameter.of(&problem.network).unwrap();
//! let hmp = Hmp::new(&linearization, &blocks);
//! let units = |p: &Tensor| Tensor::eye(p.numel() as i64, (p.kind(), p.device()));
//! let mut sum = 0.0;
//! for (i, p) in problem.parameters.iter().enumerate() {
//!     let v = units(p).reshape([&[-1], p.size().as_slice()].concat());
//!     let hv = hmp.block(&[i], &[v.shallow_clone()]).remove(0);
//!     sum += (v * hv).sum(Kind::Double).double_value(&[]);
//! }
//! assert!((sum - trace).abs() < 1e-5 * trace.abs());
//! ```
//!
//! [`NetworkProblem`]: crate::problem::NetworkProblem

mod autodiff;
mod block_form;
mod block_product;
mod blocks;
mod chunks;
mod dense;
pub mod exact;
mod forward;
mod given;
mod hmp;
mod operator;
mod output_jacobian;
mod part;
mod product;

pub use autodiff::Autodiff;
pub use blocks::{Blocks, Partition};
pub use chunks::{chunk_memory, chunks, widest};
pub use forward::Forward;
pub use hmp::Hmp;
pub use operator::{Operator, OperatorSpec, ProductKind};
pub use product::{Product, Quadratic};
