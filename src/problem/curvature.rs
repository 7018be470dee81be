//! Which matrix over the parameters of a network is asked for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A matrix, as a spec names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MatrixKind {
    /// The Hessian of the loss.
    #[default]
    Hessian,
    /// The generalised Gauss-Newton matrix.
    Ggn,
    /// The Fisher matrix with targets drawn from the model.
    FisherMc,
    /// The empirical Fisher matrix.
    FisherEmpirical,
}

/// A matrix over the parameters w of a network `f(w)` under a loss of terms `c_n ℓ_n(f_n)`, c being
/// the weights of the reduction.
///
/// All but the Hessian are `Jᵀ G J` with the Jacobian J of the outputs and a matrix G at the outputs
/// with a positive semidefinite block for every term.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Curvature {
    /// `∂²ℓ/∂w²`.
    #[default]
    Hessian,
    /// `G_n = c_n ∂²ℓ_n/∂f²` (Schraudolph, Neural Computation 14:7, 2002); what is left of the
    /// Hessian without the curvature of the network.
    Ggn,
    /// `G_n = c_n/M Σ_m g_nm g_nmᵀ` with `g = ∂ℓ_n/∂f` at M targets drawn from the distribution whose
    /// negative log-likelihood the loss is; its mean is the Gauss-Newton matrix (Kunstner, Balles,
    /// Hennig, NeurIPS 2019, arXiv:1905.12558). The draws are the same in every run.
    FisherMc {
        /// M.
        samples: u32,
    },
    /// `G_n = c_n g_n g_nᵀ` with the gradient at the target in the data.
    FisherEmpirical,
}

impl MatrixKind {
    /// The matrix, with `samples` draws where any are made.
    pub fn with(self, samples: u32) -> Curvature {
        match self {
            Self::Hessian => Curvature::Hessian,
            Self::Ggn => Curvature::Ggn,
            Self::FisherMc => Curvature::FisherMc { samples },
            Self::FisherEmpirical => Curvature::FisherEmpirical,
        }
    }
}

impl Curvature {
    /// The name of this matrix in a spec.
    pub fn kind(self) -> MatrixKind {
        match self {
            Self::Hessian => MatrixKind::Hessian,
            Self::Ggn => MatrixKind::Ggn,
            Self::FisherMc { .. } => MatrixKind::FisherMc,
            Self::FisherEmpirical => MatrixKind::FisherEmpirical,
        }
    }
}
