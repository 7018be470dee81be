//! The keys that estimators share: which matrix, how it is multiplied, and how it is sampled.

use super::estimator_spec::estimator_spec;
use super::{Budget, Probe, Sampling, StreamKind};
use crate::curvature::{OperatorSpec, ProductKind};
use crate::error::UserError;
use crate::lists::{Seed, VBatch};
use crate::problem::{Curvature, MatrixKind, ProblemSpec};

estimator_spec! {
    /// The shared keys of any estimator; one that an estimator does not have is absent.
    #[derive(Default)]
    pub struct Options shares [operator, sampling, probe] {}
}

/// What has some of the shared keys.
pub trait Shares {
    /// Their values.
    fn options(&self) -> Options;
}

impl Options {
    /// How `blocks` and `product` (`usual` if absent) reach the matrix of `problem`.
    ///
    /// # Errors
    /// A network without `blocks`, a matrix with either key, or what [`Self::curvature`] refuses.
    pub fn operator(
        &self,
        problem: &ProblemSpec,
        shared: &Sampling,
        usual: ProductKind,
    ) -> Result<OperatorSpec, UserError> {
        let curvature = self.curvature(problem, shared)?;
        match (problem.is_network(), &self.blocks, self.product) {
            (true, Some(blocks), product) => Ok(OperatorSpec::Network {
                curvature,
                blocks: blocks.clone(),
                product: product.unwrap_or(usual),
            }),
            (true, None, _) => Err(UserError::new(
                "",
                "missing key `blocks`",
                "add `blocks = \"full\"` or `blocks = \"parameter\"`",
            )),
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

    /// V as it stands with the estimator, or else the tolerance or V of `[sampling]`.
    ///
    /// # Errors
    /// Neither of them, or what makes no sense.
    pub fn budget(&self, shared: &Sampling, example: &str) -> Result<Budget, UserError> {
        match shared.tolerance()? {
            Some(tolerance) if self.v.is_none() => Ok(Budget::Tolerance(tolerance)),
            _ => {
                let (list, key) = pick(&self.v, &shared.v, "V", example)?;
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
    pub fn fixed_budget(&self, shared: &Sampling, example: &str) -> Result<Budget, UserError> {
        match self.budget(shared, example)? {
            Budget::Tolerance(_) => Err(UserError::new(
                "",
                "found a tolerance, which this estimator cannot stop by",
                format!("add V = {example} here"),
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

    /// Probes at once, as they stand with the estimator, or else in `[sampling]`.
    ///
    /// # Errors
    /// Sizes that are in neither place, or below 1.
    pub fn batches(&self, shared: &Sampling) -> Result<Vec<Option<VBatch>>, UserError> {
        let (batches, key) = pick(&self.v_batch, &shared.v_batch, "V_batch", "\"auto\"")?;
        let batches = batches.expand().map_err(|error| error.within(&key))?;
        Ok(batches.into_iter().map(Some).collect())
    }

    /// The seeds that stand with the estimator, or else in `[sampling]`.
    ///
    /// # Errors
    /// No seeds in either place, or an empty list.
    pub fn seeds(&self, shared: &Sampling) -> Result<Vec<Seed>, UserError> {
        let (seeds, key) = pick(&self.seeds, &shared.seeds, "seeds", "[0]")?;
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

fn pick<'a, T>(
    own: &'a Option<T>,
    shared: &'a Option<T>,
    name: &str,
    example: &str,
) -> Result<(&'a T, String), UserError> {
    match (own, shared) {
        (Some(own), _) => Ok((own, name.to_string())),
        (None, Some(shared)) => Ok((shared, format!("sampling.{name}"))),
        (None, None) => Err(UserError::new(
            "",
            format!("{name} is set neither here nor in [sampling]"),
            format!("add {name} = {example} to one of them"),
        )),
    }
}
