//! The template of layers without parameters that are linear in their input.

use super::{Layer, Local, Place};
use std::fmt::Debug;
use tch::Tensor;

/// A linear map of samples and its adjoint.
pub(super) trait LinearMap: Debug + Send + Sync + Clone + 'static {
    /// `A x`: `[B, *in] -> [B, *out]`.
    fn apply(&self, x: &Tensor) -> Tensor;

    /// `Aᵀ z`: `[B, *out] -> [B, *in]`.
    fn transpose(&self, z: &Tensor) -> Tensor;

    /// Whether A is the identity.
    fn is_identity(&self) -> bool {
        false
    }

    /// Whether A is a permutation.
    fn reorders(&self) -> bool {
        false
    }

    /// As [`Layer::place`].
    fn place(&self) -> Option<Place> {
        None
    }

    /// The diagonal of `Aᵀ diag(d) A` where that is all there is of it.
    fn diagonal(&self, _d: &Tensor) -> Option<Tensor> {
        None
    }
}

/// A linear map as a layer.
#[derive(Clone, Debug)]
pub(super) struct FixedLinear<A>(pub A);

impl<A: LinearMap> Layer for FixedLinear<A> {
    fn place(&self) -> Option<Place> {
        self.0.place()
    }

    fn at_one_place(&self, _axis: i64) -> Option<Box<dyn Layer>> {
        self.0.is_identity().then(identity)
    }

    fn forward(&self, x: &Tensor, _w: &[Tensor]) -> Tensor {
        self.0.apply(x)
    }

    fn at(&self, _x: &Tensor, _w: &[Tensor], _z: &Tensor) -> Box<dyn Local> {
        Box::new(self.clone())
    }
}

impl<A: LinearMap> Local for FixedLinear<A> {
    fn is_identity(&self) -> bool {
        self.0.is_identity()
    }

    fn reorders(&self) -> bool {
        self.0.reorders()
    }

    fn tangent(&self, dx: &Tensor) -> Tensor {
        folded(dx, |dx| self.0.apply(dx))
    }

    fn adjoint(&self, gz: &Tensor) -> Tensor {
        folded(gz, |gz| self.0.transpose(gz))
    }

    fn diagonal_adjoint(&self, d: &Tensor) -> Option<Tensor> {
        self.0.diagonal(d)
    }
}

/// `z = x`.
pub(in crate::problem) fn identity() -> Box<dyn Layer> {
    Box::new(FixedLinear(Identity))
}

#[derive(Clone, Debug)]
struct Identity;

impl LinearMap for Identity {
    fn apply(&self, x: &Tensor) -> Tensor {
        x.shallow_clone()
    }

    fn transpose(&self, z: &Tensor) -> Tensor {
        z.shallow_clone()
    }

    fn is_identity(&self) -> bool {
        true
    }

    fn reorders(&self) -> bool {
        true
    }

    fn diagonal(&self, d: &Tensor) -> Option<Tensor> {
        Some(d.shallow_clone())
    }
}

/// `f` on `[K, N, *]` with K and N as one axis, in the order that needs no copy.
pub(super) fn folded(t: &Tensor, f: impl Fn(&Tensor) -> Tensor) -> Tensor {
    let strides = t.stride();
    let samples_first = strides[0] < strides[1];
    let t = match samples_first {
        true => t.transpose(0, 1),
        false => t.shallow_clone(),
    };
    let z = f(&t.flatten(0, 1));
    let z = z.reshape([&t.size()[..2], &z.size()[1..]].concat());
    match samples_first {
        true => z.transpose(0, 1),
        false => z,
    }
}
