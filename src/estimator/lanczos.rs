//! The eigenpairs at an end of the spectrum.

use super::artefact::{Artefact, Eigenvalue, ParameterVectors};
use super::estimator_spec::Shares;
use super::estimator_spec::estimator_spec;
use super::krylov::{Krylov, Projection};
use super::options::positive;
use super::rows::{draw, join, split, times};
use super::{
    Budget, Estimate, EstimatorConfig, Expanded, Moments, Probe, Quantity, Sampling, Setting,
    Start, StreamKind, Task, written,
};
use crate::curvature::{Operator, OperatorSpec};
use crate::error::UserError;
use crate::problem::Network;
use crate::problem::{Problem, ProblemSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Instant;
use tch::{Kind, Tensor};

estimator_spec! {
    /// `kind = "lanczos"`: k eigenpairs of largest magnitude, or at one end, by block Lanczos.
    ///
    /// Ritz pairs of the Krylov space of `block_size` Gaussian vectors (Lanczos, J. Res. Natl. Bur.
    /// Stand. 45:4, 1950; block form: Golub, Underwood, Mathematical Software III, 1977) with full
    /// reorthogonalisation. It stops when all k bounds `‖Fᵀ s_last‖` on `‖A x − θ x‖` are at most `rtol`
    /// times the largest `|θ|`, or after `steps` steps. An eigenvalue is found as often as it is multiple,
    /// up to `block_size` times; the k of a smaller block may leave copies out.
    ///
    /// Cost: `block_size` products a step, all at once, and k more for the residuals that are reported.
    /// Memory: `steps block_size` vectors. Valid for every symmetric matrix.
    pub struct Lanczos shares [operator, seeds] {
        /// How many eigenpairs.
        #[serde(default = "ten")]
        pub k: i64,
        /// Which ones.
        #[serde(default)]
        pub which: Which,
        /// Most steps.
        #[serde(default = "hundred")]
        pub steps: i64,
        /// Vectors that the space starts from, multiplied at once; k if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub block_size: Option<i64>,
        /// Largest residual relative to the largest eigenvalue in magnitude.
        #[serde(default = "fine")]
        pub rtol: f64,
        /// Whether eigenvectors are written too.
        #[serde(default)]
        pub vectors: bool,
    }
}

fn ten() -> i64 {
    10
}

fn hundred() -> i64 {
    100
}

fn fine() -> f64 {
    1e-5
}

/// Which eigenvalues are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// Those of largest magnitude, of either sign.
    #[default]
    Magnitude,
    /// The largest: the sharpest directions.
    Largest,
    /// The smallest: the most negative curvature.
    Smallest,
}

impl From<Which> for Quantity {
    fn from(which: Which) -> Self {
        match which {
            Which::Magnitude => Self::TopEigenvalue,
            Which::Largest => Self::LargestEigenvalue,
            Which::Smallest => Self::SmallestEigenvalue,
        }
    }
}

impl EstimatorConfig for Lanczos {
    fn expand(&self, shared: &Sampling, problem: &ProblemSpec) -> Result<Expanded, UserError> {
        let options = self.options();
        let k = positive("k", self.k)?;
        let task = LanczosTask {
            operator_spec: options.operator_with_products(problem, shared)?,
            k,
            which: self.which,
            steps: positive("steps", self.steps)?,
            block_size: self
                .block_size
                .map_or(Ok(k), |b| positive("block_size", b))?,
            rtol: self.rtol,
            vectors: self.vectors,
        };
        if !(self.rtol > 0.0 && self.rtol < 1.0) {
            return Err(UserError::new(
                "rtol",
                format!("found {:?}, expected a number between 0 and 1", self.rtol),
                "write for example rtol = 1e-5",
            ));
        }
        Ok(Expanded {
            task: Arc::new(task),
            batches: vec![None],
            budget: Budget::Counts(Vec::new()),
            seeds: options.philox_seeds(shared)?,
        })
    }
}

#[derive(Clone, Debug)]
struct LanczosTask {
    operator_spec: OperatorSpec,
    k: u64,
    which: Which,
    steps: u64,
    block_size: u64,
    rtol: f64,
    vectors: bool,
}

impl Task for LanczosTask {
    fn check(&self, network: Option<&Network>, size: i64) -> Result<(), UserError> {
        self.operator_spec.check(network)?;
        match self.k <= size as u64 {
            true => Ok(()),
            false => Err(UserError::new(
                "k",
                format!(
                    "found {}, expected at most the {size} columns of the matrix",
                    self.k
                ),
                "make k smaller",
            )),
        }
    }

    fn setting(&self) -> Setting {
        let Self {
            k,
            steps,
            block_size,
            rtol,
            ..
        } = self;
        let which = written(self.which);
        Setting::over(&self.operator_spec, "lanczos").with(|columns| {
            columns.stream = Some(written(StreamKind::Philox));
            columns.settings = Some(format!(
                "k = {k}, which = {which:?}, steps = {steps}, block_size = {block_size}, rtol = {rtol:e}"
            ));
        })
    }

    fn quantities(&self) -> Vec<Quantity> {
        vec![self.which.into()]
    }

    fn kept(&self, _v: u64, _v_batch: u64) -> u64 {
        self.steps.saturating_mul(self.block_size)
    }

    fn run(
        &self,
        problem: &Problem,
        start: &Start,
        _budget: &Budget,
        _v_batch: u64,
    ) -> Vec<Estimate> {
        let clock = Instant::now();
        let stream = start.philox(problem);
        self.operator_spec.open(problem, self.steps, |operator| {
            let start = draw(&stream, operator, Probe::Gaussian, 0, self.block_size);
            let (eigenvalues, vectors) = self.solve(operator, &join(&start));
            let mut artefacts = Vec::new();
            let top = eigenvalues.first().map_or(f64::NAN, |first| first.value);
            artefacts.push(Artefact::Eigenvalues(eigenvalues));
            if self.vectors {
                artefacts.push(Artefact::Eigenvectors(by_parameter(operator, &vectors)));
            }
            let (top, seconds) = (Moments::exact(top), clock.elapsed().as_secs_f64());
            vec![Estimate {
                artefacts,
                ..Estimate::new(self.which.into(), top, operator.products(), seconds)
            }]
        })
    }
}

impl LanczosTask {
    /// The eigenpairs, first come first, with vectors `[k, n]`.
    fn solve(&self, operator: &Operator<'_>, start: &Tensor) -> (Vec<Eigenvalue>, Tensor) {
        let multiply = |rows: &Tensor| times(operator, rows);
        let mut krylov = Krylov::new(&multiply, &start.unsqueeze(0), self.steps);
        let mut due = self.k.div_ceil(self.block_size);
        let (space, ritz) = loop {
            let more = krylov.step();
            if more && krylov.steps() < due {
                continue;
            }
            let space = krylov.chain(0);
            let ritz = self.ritz(&space);
            // The eigenproblem grows: it is solved each time that the space is a fifth larger.
            due = krylov.steps() + (krylov.steps() / 5).max(1);
            if !more || ritz.all_converged(self.k) {
                break (space, ritz);
            }
        };
        let basis = krylov.rows(&space);
        let weights = ritz.vectors.to_kind(basis.kind()).to_device(basis.device());
        let vectors = weights.matmul(&basis);
        let eigenvalues = ritz.measured(operator, &vectors, self.block_size);
        (eigenvalues, vectors)
    }

    /// The k Ritz pairs that are asked for, or as many as there are.
    fn ritz(&self, space: &Projection) -> Ritz {
        let (values, vectors) = space.matrix.linalg_eigh("L");
        let order = match self.which {
            Which::Magnitude => values.abs().argsort(0, true),
            Which::Largest => values.argsort(0, true),
            Which::Smallest => values.argsort(0, false),
        };
        let found = order.size()[0].min(self.k as i64);
        let order = order.narrow(0, 0, found);
        let largest = values.abs().max().double_value(&[]);
        let vectors = vectors.tr().index_select(0, &order);
        let ends = space.coupling.size()[0];
        let last = vectors.narrow(1, vectors.size()[1] - ends, ends);
        let bounds = last.matmul(&space.coupling).square();
        Ritz {
            values: list(&values.index_select(0, &order)),
            bounds: list(&bounds.sum_dim_intlist(1, false, Kind::Double).sqrt()),
            vectors,
            tolerance: self.rtol * largest,
        }
    }
}

/// Ritz pairs of one projection.
struct Ritz {
    values: Vec<f64>,
    /// On `‖A x − θ x‖`.
    bounds: Vec<f64>,
    /// `[found, m]`, in terms of the rows of the basis.
    vectors: Tensor,
    tolerance: f64,
}

impl Ritz {
    fn all_converged(&self, k: u64) -> bool {
        let converged = |bound: &f64| *bound <= self.tolerance;
        self.bounds.len() as u64 == k && self.bounds.iter().all(converged)
    }

    /// With `‖A x − θ x‖` of every vector x, `at_once` products at a time.
    fn measured(&self, operator: &Operator<'_>, vectors: &Tensor, at_once: u64) -> Vec<Eigenvalue> {
        let values = Tensor::from_slice(&self.values).to_device(vectors.device());
        let values = values.to_kind(vectors.kind()).unsqueeze(1);
        let parts = vectors.split(at_once as i64, 0);
        let products: Vec<Tensor> = parts.iter().map(|part| times(operator, part)).collect();
        let off = (Tensor::cat(&products, 0) - values * vectors).square();
        let residual_norms = list(&off.sum_dim_intlist(1, false, Kind::Double).sqrt());
        let pairs = self.values.iter().zip(&self.bounds).zip(residual_norms);
        pairs
            .map(|((&value, &bound), residual_norm)| Eigenvalue {
                value,
                bound,
                residual_norm,
                converged: bound <= self.tolerance,
            })
            .collect()
    }
}

fn by_parameter(operator: &Operator<'_>, vectors: &Tensor) -> Vec<ParameterVectors> {
    let of = |t: &Tensor| ParameterVectors {
        shape: t.size().iter().map(|&n| n as usize).collect(),
        values: list(&t.flatten(0, -1)),
    };
    split(vectors, operator.shapes()).iter().map(of).collect()
}

fn list(t: &Tensor) -> Vec<f64> {
    let t = t.to_kind(Kind::Double);
    Vec::try_from(t).expect("a vector of float64")
}
