//! What every layer tells of itself: its function and the derivatives at a point.

use super::{ColumnPair, OwnCurvature, ParameterShape, PartialTrace, Place};
use crate::problem::signs::Signs;
use crate::problem::tensors::samples_innermost;
use crate::problem::vectors::Vectors;
use std::fmt::Debug;
use tch::{Kind, Tensor};

/// A layer with known shapes and no tensors of its own; parameters are handed in.
pub trait Layer: Debug + Send + Sync {
    /// The parameters in the order of `torch.nn.Module.parameters()`.
    fn parameters(&self) -> Vec<ParameterShape> {
        Vec::new()
    }

    /// What it takes from a trained network besides parameters, that nothing is differentiated by:
    /// the running statistics of a batch norm.
    fn buffers(&self) -> Vec<ParameterShape> {
        Vec::new()
    }

    /// For a layer whose first parameter is one of another layer before it: its name by position.
    fn tied(&self) -> Option<&str> {
        None
    }

    /// For a layer that takes whole numbers from 0 on in place of an input to be differentiated by:
    /// how many there are.
    fn tokens(&self) -> Option<i64> {
        None
    }

    /// For a layer that looks at the positions of a sample through the data's mask, if there is one:
    /// how many positions there are.
    fn masked_positions(&self) -> Option<i64> {
        None
    }

    /// Numbers per sample of the largest tensor that its maps make on the way and drop again, where
    /// that may be more than what it puts out.
    fn inner_features(&self) -> i64 {
        0
    }

    /// Whether it applies the same function to every entry.
    fn is_entrywise(&self) -> bool {
        false
    }

    /// Whether each of its outputs is one of its inputs.
    fn selects_inputs(&self) -> bool {
        false
    }

    /// For a layer that puts out what stands at one place of an axis: that place.
    fn place(&self) -> Option<Place> {
        None
    }

    /// For a layer that does the same at every place of an axis, counted from the last one, -1, and by what
    /// stands there alone: this layer for samples that have a single place on it.
    fn at_one_place(&self, _axis: i64) -> Option<Box<dyn Layer>> {
        None
    }

    /// For a layer whose outputs at every place of an axis depend on inputs at all of them: this layer with its
    /// output at one place alone.
    fn with_output_at(&self, _place: Place) -> Option<Box<dyn Layer>> {
        None
    }

    /// Whether its second derivatives with respect to its input may be other than zero.
    fn is_curved(&self) -> bool {
        false
    }

    /// `z = f(x, w)`: `[N, *in] -> [N, *out]`, differentiable by libtorch's autograd; w are its
    /// parameters, then its buffers, then the mask that it looks through.
    fn forward(&self, x: &Tensor, w: &[Tensor]) -> Tensor;

    /// The maps of the layer at the point `(x, w)`; `z` is what [`Layer::forward`] gave there.
    fn at(&self, x: &Tensor, w: &[Tensor], z: &Tensor) -> Box<dyn Local>;

    /// Evaluates and linearises at once: `z = f(x, w)` and the maps at that point.
    fn linearize(&self, x: &Tensor, w: &[Tensor]) -> (Tensor, Box<dyn Local>) {
        let z = samples_innermost(self.forward(x, w));
        let local = self.at(x, w, &z);
        (z, local)
    }
}

/// The derivatives of one layer at one point, batched over a leading probe axis K.
///
/// `J` is the Jacobian with respect to the input, `g = ∂ℓ/∂z: [N, *out]` the gradient that arrives
/// from above. All layers here are linear in their parameters, so `∂²z/∂w²` is zero and no map for
/// it exists. Parameters are numbered as in [`Layer::parameters`].
pub trait Local {
    /// `J dx`: `[K, N, *in] -> [K, N, *out]`.
    fn tangent(&self, dx: &Tensor) -> Tensor;

    /// `J dx + Σ_i (∂z/∂w_i) dw_i` along K tangents of the input and vectors of some parameters, each
    /// with its number: `[K, N, *out]`; `None` where there are neither.
    fn tangent_along(&self, dx: Option<&Tensor>, dw: &[(usize, Vectors)]) -> Option<Tensor> {
        let own = dw.iter().map(|&(i, dw)| {
            let maps = self
                .parameters()
                .expect("a layer with parameters has their maps");
            maps.tangent_of(i, dw)
        });
        let passed = dx.map(|dx| self.tangent(dx));
        passed.into_iter().chain(own).reduce(|a, b| a + b)
    }

    /// `Jᵀ gz`: `[K, N, *out] -> [K, N, *in]`.
    fn adjoint(&self, gz: &Tensor) -> Tensor;

    /// `Jᵀ gz + Σ_i ∂(Jᵀg)/∂w_i dw_i` at fixed `g: [N, *out]` along vectors of some parameters, each with
    /// its number: `[K, N, *out] -> [K, N, *in]`.
    fn adjoint_along(&self, gz: &Tensor, g: &Tensor, dw: &[(usize, Vectors)]) -> Tensor {
        let mixed = dw.iter().filter_map(|&(i, dw)| {
            let maps = self
                .parameters()
                .expect("a layer with parameters has their maps");
            maps.mixed_input(i, g, dw)
        });
        let passed = self.adjoint(gz);
        match mixed.reduce(|a, b| a + b) {
            Some(mut sum) => {
                sum += passed;
                sum
            }
            None => passed,
        }
    }

    /// As [`Layer::inner_features`].
    fn inner_features(&self) -> i64 {
        0
    }

    /// Whether J = I.
    fn is_identity(&self) -> bool {
        false
    }

    /// Whether every output is an input of its own, and every input an output: J is a permutation.
    fn reorders(&self) -> bool {
        false
    }

    /// The layer's own curvature `Σ_a g_a ∂²z_a/∂x²` at fixed `g`.
    fn own_curvature(&self, _g: &Tensor) -> OwnCurvature {
        OwnCurvature::Zero
    }

    /// `J` is diagonal, so that a diagonal Hessian below stays diagonal: `d ↦ J d Jᵀ` on `[N, *]`.
    fn diagonal_adjoint(&self, _d: &Tensor) -> Option<Tensor> {
        None
    }

    /// The maps of the parameters, for a layer that has any.
    fn parameters(&self) -> Option<&dyn LocalParameters> {
        None
    }
}

/// The derivatives of a layer `z = f(x, w)` in its parameters, `i` counting them.
pub trait LocalParameters {
    /// The parameter's shape.
    fn shape(&self, i: usize) -> Vec<i64>;

    /// `(∂z/∂w_i) dw`: `[K, *shape] -> [K, N, *out]`.
    fn tangent(&self, i: usize, dw: &Tensor) -> Tensor;

    /// `(∂z/∂w_i) dw` for sign vectors: `[K, N, *out]`.
    fn tangent_of_signs(&self, i: usize, dw: &Signs) -> Tensor {
        self.tangent(i, &dw.dense())
    }

    /// `(∂z/∂w_i) dw` for vectors of either kind: `[K, N, *out]`.
    fn tangent_of(&self, i: usize, dw: Vectors) -> Tensor {
        match dw {
            Vectors::Numbers(dw) => self.tangent(i, dw),
            Vectors::Signs(dw) => self.tangent_of_signs(i, dw),
        }
    }

    /// `(∂z/∂w_i)ᵀ gz`, summed over samples: `[K, N, *out] -> [K, *shape]`.
    fn adjoint(&self, i: usize, gz: &Tensor) -> Tensor;

    /// `∂(Jᵀg)/∂w_i dw` at fixed `g: [N, *out]`: `[K, *shape] -> [K, N, *in]`; `None` if zero.
    fn mixed_input(&self, i: usize, g: &Tensor, dw: Vectors) -> Option<Tensor>;

    /// The transpose of that, summed over samples: `[K, N, *in] -> [K, *shape]`; `None` if zero.
    fn mixed_parameter(&self, i: usize, g: &Tensor, dx: &Tensor) -> Option<Tensor>;

    /// [`adjoint`](Self::adjoint) plus [`mixed_parameter`](Self::mixed_parameter), what a product with
    /// the Hessian is at this parameter, without either by itself; `None` where adding them is as fast.
    fn adjoint_with_mixed(
        &self,
        _i: usize,
        _gz: &Tensor,
        _g: &Tensor,
        _dx: &Tensor,
    ) -> Option<Tensor> {
        None
    }

    /// `⟨g, ∂²z/∂x∂w_i [dx, dw]⟩` at fixed `g: [N, *out]`, summed over samples: `[K]` in float64;
    /// `None` if zero.
    fn mixed_form(&self, i: usize, g: &Tensor, dx: &Tensor, dw: Vectors) -> Option<Tensor> {
        let row = self.mixed_parameter(i, g, dx)?;
        Some(dw.dot(&row))
    }

    /// Diagonal of `Σ_n (∂z_n/∂w_i)ᵀ H_n (∂z_n/∂w_i)` for `H_n = Σ_q sign_qn s_qn s_qnᵀ`, from the
    /// columns `s: [Q, N, *out]` and `sign: [Q, N]` (absent: all +1): `[*shape]`.
    fn diagonal_of_columns(&self, i: usize, s: &Tensor, sign: Option<&Tensor>) -> Tensor;

    /// The diagonal of that sum over samples for diagonal `H_n = diag(d_n)`, `d: [N, *out]`:
    /// `[*shape]`.
    fn diagonal_of_diagonal(&self, i: usize, d: &Tensor) -> Tensor;

    /// The trace of that sum over samples for diagonal `H_n = diag(d_n)`: a number in float64.
    fn trace_of_diagonal(&self, i: usize, d: &Tensor) -> Tensor {
        self.diagonal_of_diagonal(i, d).sum(Kind::Double)
    }

    /// The trace of that sum over samples for matrices `H_n` of which this is the partial trace: a number
    /// in float64; `None` if it depends on more, or the positions are others.
    fn trace_of_partial(&self, _i: usize, _partial: &PartialTrace) -> Option<Tensor> {
        None
    }

    /// `γ: [N]` with `tr((∂z_n/∂w_i)ᵀ H_n (∂z_n/∂w_i)) = γ_n tr H_n` for every `H_n`, which holds
    /// where each output entry has parameters of its own; `None` where positions share them.
    fn trace_factor(&self, i: usize) -> Option<Tensor>;

    /// Whether outputs of a sample that depend on the same entry of a parameter always have different
    /// numbers in `terms: [*out]`.
    fn separates(&self, _terms: &Tensor) -> bool {
        false
    }

    /// `Σ_n ⟨(∂z_n/∂w_i)ᵀ a_kn, (∂z_n/∂w_i)ᵀ b_kn⟩` for every pair of columns: `[K, N, *out] -> [K]` in
    /// float64.
    fn trace_of_columns(&self, i: usize, s: &ColumnPair) -> Tensor;

    /// The same for each of the layer's `count` parameters, `[K]` in float64, with work done once that several of
    /// them need.
    fn traces_of_columns(&self, count: usize, s: &ColumnPair) -> Vec<Tensor> {
        (0..count).map(|i| self.trace_of_columns(i, s)).collect()
    }

    /// Prepares for traces of about so many columns in all, where that saves work.
    fn expect_columns(&self, _count: u64) {}

    /// `(∂z_n/∂w_i) dw_n` with a vector of its own for every sample, for a parameter without
    /// [`trace_factor`](Self::trace_factor): `[K, N, *shape] -> [K, N, *out]`.
    fn sample_tangent(&self, i: usize, dw: &Tensor) -> Tensor;
}
