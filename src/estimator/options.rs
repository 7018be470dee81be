//! The keys that estimators share: which matrix, how it is multiplied, and how it is sampled.

use super::estimator_spec::Options;
use super::{Budget, Probe, Sampling, StreamKind};
use crate::curvature::{Blocks, OperatorSpec, ProductKind};
use crate::error::UserError;
use crate::lists::{Counts, Seed, Seeds, VBatch, VBatches};
use crate::problem::{Curvature, MatrixKind, ProblemSpec};

impl Options {
    /// How `blocks` (full if absent) and `product` (`usual` if absent) reach the matrix of `problem`.
    ///
    /// # Errors
    /// A matrix with either key, or what [`Self::curvature`] refuses.
    pub fn operator(
        &self,
        problem: &ProblemSpec,
        shared: &Sampling,
        usual: ProductKind,
    ) -> Result<OperatorSpec, UserError> {
        let curvature = self.curvature(problem, shared)?;
        match (problem.is_network(), &self.blocks, self.product) {
            (true, blocks, product) => Ok(OperatorSpec::Network {
                curvature,
                blocks: blocks.clone().unwrap_or(Blocks::Full),
                product: product.unwrap_or(usual),
            }),
            (false, None, None) => Ok(OperatorSpec::Matrix),
            (false, Some(_), _) => Err(meaningless("blocks")),
            (false, None, Some(_)) => Err(meaningless("product")),
        }
    }

    /// How the matrix of `problem` is reached by an estimator that needs products, not quadratic
    /// forms alone.
    ///
    /// # Errors
    /// Those of [`Self::operator`], and `product = "forward"`.
    pub fn operator_with_products(
        &self,
        problem: &ProblemSpec,
        shared: &Sampling,
    ) -> Result<OperatorSpec, UserError> {
        match self.product {
            Some(ProductKind::Forward) => Err(UserError::new(
                "product",
                "found \"forward\", which gives vᵀAv alone; this estimator needs A v",
                "write product = \"hmp\", or leave it out",
            )),
            _ => self.operator(problem, shared, ProductKind::Hmp),
        }
    }

    /// Which matrix of a network is asked for: the Hessian unless it says otherwise.
    ///
    /// # Errors
    /// A given matrix, which is the only one; no draws at all.
    pub fn curvature(
        &self,
        problem: &ProblemSpec,
        shared: &Sampling,
    ) -> Result<Curvature, UserError> {
        let samples = match shared.mc_samples {
            Some(0) => {
                let found = "found 0, expected at least 1";
                return Err(UserError::new(
                    "sampling.mc_samples",
                    found,
                    "leave it out for 1",
                ));
            }
            samples => samples.unwrap_or(1),
        };
        match self.matrix {
            Some(_) if !problem.is_network() => Err(meaningless("matrix")),
            matrix => Ok(matrix.unwrap_or_default().with(samples)),
        }
    }

    /// Refuses a problem whose matrices are not known to be positive semidefinite.
    ///
    /// # Errors
    /// With `reason`, why that would be needed.
    pub fn semidefinite(&self, problem: &ProblemSpec, reason: &str) -> Result<(), UserError> {
        let other = self.matrix.is_some_and(|m| m != MatrixKind::Hessian);
        let found = match problem {
            ProblemSpec::Network(_) if other => return Ok(()),
            ProblemSpec::Network(_) => "a Hessian, which may have negative eigenvalues".to_string(),
            ProblemSpec::Matrix(spec) => match spec.indefinite() {
                None => return Ok(()),
                Some(name) => format!("the spectrum \"{name}\", which has negative eigenvalues"),
            },
        };
        Err(UserError::new(
            "",
            format!("found {found}: {reason}"),
            "take matrix = \"ggn\", or a spectrum that is positive semidefinite",
        ))
    }

    /// V as it stands with the estimator, or else the tolerance or V of `[sampling]`, or else `usual`.
    ///
    /// # Errors
    /// What makes no sense.
    pub fn budget(&self, shared: &Sampling, usual: i64) -> Result<Budget, UserError> {
        match shared.tolerance()? {
            Some(tolerance) if self.v.is_none() => Ok(Budget::Tolerance(tolerance)),
            _ => {
                let (list, key) = pick(&self.v, &shared.v, "V", Counts::List(vec![usual]));
                let counts = list.expand().map_err(|error| error.within(&key))?;
                Ok(Budget::Counts(counts))
            }
        }
    }

    /// V as it stands with the estimator, or else in `[sampling]`, for an estimator that has no rule
    /// to stop by.
    ///
    /// # Errors
    /// A tolerance in place of V, or what makes no sense.
    pub fn fixed_budget(&self, shared: &Sampling, usual: i64) -> Result<Budget, UserError> {
        match self.budget(shared, usual)? {
            Budget::Tolerance(_) => Err(UserError::new(
                "",
                "found a tolerance, which this estimator cannot stop by",
                format!("add V = {usual} here"),
            )),
            counts => Ok(counts),
        }
    }

    /// Probes multiplied at once, see [`Self::batches`]; a single `None` for autodiff, which
    /// multiplies one at a time.
    ///
    /// # Errors
    /// Those of [`Self::batches`].
    pub fn products_at_once(&self, shared: &Sampling) -> Result<Vec<Option<VBatch>>, UserError> {
        match self.product {
            Some(ProductKind::Autodiff) => Ok(vec![None]),
            _ => self.batches(shared),
        }
    }

    /// Probes at once, as they stand with the estimator, or else in `[sampling]`, or else found by a
    /// trial.
    ///
    /// # Errors
    /// Sizes below 1.
    pub fn batches(&self, shared: &Sampling) -> Result<Vec<Option<VBatch>>, UserError> {
        let (batches, key) = pick(&self.v_batch, &shared.v_batch, "V_batch", VBatches::Auto);
        let batches = batches.expand().map_err(|error| error.within(&key))?;
        Ok(batches.into_iter().map(Some).collect())
    }

    /// The seeds that stand with the estimator, or else in `[sampling]`, or else 0.
    ///
    /// # Errors
    /// An empty list.
    pub fn seeds(&self, shared: &Sampling) -> Result<Vec<Seed>, UserError> {
        let (seeds, key) = pick(&self.seeds, &shared.seeds, "seeds", Seeds::List(vec![0]));
        seeds.expand().map_err(|error| error.within(&key))
    }

    /// The seeds of an estimator whose probes only the Philox stream defines.
    ///
    /// # Errors
    /// Those of [`Self::seeds`], and seeds or a stream that are PyTorch's.
    pub fn philox_seeds(&self, shared: &Sampling) -> Result<Vec<Option<Seed>>, UserError> {
        let seeds = self.seeds(shared)?;
        if shared.stream != StreamKind::Philox || seeds.contains(&Seed::Continue) {
            return Err(UserError::new(
                "sampling.stream",
                "stream \"torch\" is defined for kind = \"hutchinson\" alone",
                "write stream = \"philox\" and seeds = [0]",
            ));
        }
        Ok(seeds.into_iter().map(Some).collect())
    }

    /// The estimator's own probe, or else that of `[sampling]`.
    pub fn probe(&self, shared: &Sampling) -> Probe {
        self.probe.unwrap_or(shared.probe)
    }
}

fn meaningless(key: &str) -> UserError {
    UserError::new(
        key,
        format!("`{key}` means nothing to a given matrix, whose entries are known"),
        "remove it",
    )
}

/// A count that must not be zero.
///
/// # Errors
/// What is less.
pub(super) fn positive(key: &str, value: i64) -> Result<u64, UserError> {
    match u64::try_from(value) {
        Ok(value) if value > 0 => Ok(value),
        _ => Err(UserError::new(
            key,
            format!("found {value}, expected at least 1"),
            format!("write for example {key} = 10"),
        )),
    }
}

/// What stands with an estimator, or else in `[sampling]`, or else what is usual; and its key.
fn pick<T: Clone>(own: &Option<T>, shared: &Option<T>, name: &str, usual: T) -> (T, String) {
    match (own, shared) {
        (Some(own), _) => (own.clone(), name.to_string()),
        (None, Some(shared)) => (shared.clone(), format!("sampling.{name}")),
        (None, None) => (usual, name.to_string()),
    }
}
