//! The estimators of a spec, or every way of estimating, against each other and against autodiff, on a
//! network of the user's own at reduced size.
//!
//! Which ways there are comes from the JSON schema of specs, so that a new estimator or product is
//! verified without being named here. All see the same probes: those that differ in their product alone must agree
//! to rounding, all others must agree with the exact value within their standard errors.

mod oracle;
mod ways;

use crate::curvature::ProductKind;
use crate::error::UserError;
use crate::estimator::{Identity, written};
use crate::output::{ParameterRecord, Record};
use crate::plan::{Plan, Setup};
use crate::problem::{MatrixKind, Problem};
use crate::run::{NoObserver, Todo, run};
use crate::spec::{Spec, SpecError, SpecText};
use anyhow::Result;
use std::sync::Arc;

/// Relative difference up to which two ways of computing one number agree, in float64.
const ROUNDING: f64 = 1e-8;
/// Part of the trace below which the trace, not the number itself, says what rounding is.
const SMALL: f64 = 1e-4;
/// The most samples in the batch of a verification.
const SAMPLES: usize = 8;
/// Standard errors up to which an estimate agrees with the exact value. From 32 probes one in a
/// hundred thousand is further off by chance.
const SPREAD: f64 = 5.0;

/// What was found.
#[derive(Debug)]
pub struct Verification {
    /// A line per check.
    pub checks: Vec<Check>,
    /// Ways that this network has none of, with the reason.
    pub left_out: Vec<(String, String)>,
    /// Samples in the batch.
    pub samples: usize,
}

/// One comparison.
#[derive(Clone, Debug)]
pub struct Check {
    /// The way of estimating that is checked.
    pub way: String,
    /// What of it: the way itself, or one of its parts.
    pub what: String,
    /// What it is compared with.
    pub against: String,
    /// Its value.
    pub found: f64,
    /// The value it should have.
    pub expected: f64,
    /// What their difference is measured in; `None`: nothing tells how large it may be.
    pub unit: Option<f64>,
    /// How many units it may be.
    pub allowed: f64,
}

impl Check {
    fn rounding(way: String, against: &str, found: f64, expected: f64) -> Self {
        Self {
            what: way.clone(),
            way,
            against: against.into(),
            found,
            expected,
            unit: Some(expected.abs().max(f64::MIN_POSITIVE)),
            allowed: ROUNDING,
        }
    }

    /// The difference in its unit.
    pub fn difference(&self) -> Option<f64> {
        let difference = (self.found - self.expected).abs();
        match self.unit? {
            _ if difference == 0.0 => Some(0.0),
            unit => Some(difference / unit),
        }
    }

    /// Whether both agree; `None` where nothing tells.
    pub fn agrees(&self) -> Option<bool> {
        match self.found.is_finite() && self.expected.is_finite() {
            false => Some(false),
            true => Some(self.difference()? <= self.allowed),
        }
    }
}

/// A spec at the size of a verification.
#[derive(Debug)]
pub struct Reduced {
    plan: Arc<Plan>,
    left_out: Vec<(String, String)>,
}

impl Reduced {
    /// The network of `source` in float64 with a batch of at most eight samples and 32 probes: the
    /// estimators of the spec with what they are held against, or with `every` way there is.
    ///
    /// # Errors
    /// A mistake in the spec or in what it names; a spec that is about no network.
    pub fn new(source: &SpecText, every: bool) -> Result<Self, SpecError> {
        // First as it stands, for errors with their place in the file.
        let plan = Plan::new(Spec::parse(source)?, source)?;
        if !matches!(plan.setup, Setup::Network(_)) {
            return Err(source.error(UserError::new(
                "problem",
                "found a given matrix, expected a network: only there are several ways to a product",
                "verify a spec with [data], [model] and [loss]",
            )));
        }
        if plan.setup.network().network.script().is_some() {
            return Err(source.error(UserError::new(
                "model.torchscript",
                "found a TorchScript module, which has products by autodiff alone, with none to compare",
                "verify a network that is written as layers",
            )));
        }
        let data = &plan.setup.network().dataset;
        let samples = data.selection.batch.min(data.len()).min(SAMPLES);
        let ways = match every {
            true => ways::all(&plan.spec),
            false => ways::asked(&plan.spec),
        };
        let (plan, left_out) = ways::plan(&plan.spec, ways, source, samples)?;
        let plan = Arc::new(plan);
        Ok(Self { plan, left_out })
    }

    /// Runs every way once and compares.
    ///
    /// # Errors
    /// A network whose loss is not the same twice.
    pub fn verify(self) -> Result<Verification> {
        let plan = &self.plan;
        let mut finished = Vec::new();
        run(
            plan,
            &Todo::all(plan),
            &(Arc::new(NoObserver) as Arc<_>),
            |done| {
                finished.extend(done.job());
                Ok(())
            },
        )?;
        // In the order of the plan, not in which they ended.
        finished.sort_by_key(|job| job.index);
        let (mut found, mut left_out) = (Found::default(), self.left_out);
        for job in finished {
            if plan.jobs[job.index].task.is_exact() {
                found.exact.extend(job.rows.records.clone());
                found.exact_parameters.extend(job.rows.parameters);
            }
            found.records.extend(job.rows.records);
            let failed = job.rows.failures.into_iter();
            left_out.extend(failed.map(|row| (row.estimator, row.error)));
        }
        let mut checks = found.oracle(plan);
        checks.extend(found.records.iter().filter_map(|row| found.product(row)));
        checks.extend(found.records.iter().filter_map(|row| found.spread(row)));
        Ok(Verification {
            checks,
            left_out,
            samples: plan.setup.network().dataset.selection.batch,
        })
    }
}

/// The rows of a run.
#[derive(Default)]
struct Found {
    records: Vec<Record>,
    /// Those of the exact trace, of every matrix.
    exact: Vec<Record>,
    exact_parameters: Vec<ParameterRecord>,
}

impl Found {
    /// The exact trace of every parameter tensor that is not too large, against autodiff.
    fn oracle(&self, plan: &Plan) -> Vec<Check> {
        let (problems, _) = plan.build(plan.device);
        let Some(Problem::Network(problem)) = problems.first() else {
            return Vec::new();
        };
        let traces = oracle::traces(problem);
        let names = plan.setup.parameters().into_iter().map(|(name, _)| name);
        let hessian = written(MatrixKind::Hessian);
        let exact = |name: &str| {
            let mut rows = self.exact_parameters.iter();
            let row = rows.find(|row| row.matrix == hessian && row.parameter == name);
            row.map(|row| row.estimate)
        };
        let check = |(name, trace): (String, Option<f64>)| {
            let against = "second derivatives by autodiff";
            Some(Check {
                what: format!("exact, {name}"),
                // A part may be zero; the whole says what is small.
                unit: Some(self.scale()),
                ..Check::rounding("exact".into(), against, exact(&name)?, trace?)
            })
        };
        names.zip(traces).filter_map(check).collect()
    }

    /// The largest exact trace.
    fn scale(&self) -> f64 {
        self.exact.iter().fold(f64::MIN_POSITIVE, |largest, row| {
            largest.max(row.estimate.abs())
        })
    }

    /// An estimate against the one of the same probes whose products are autodiff's.
    fn product(&self, row: &Record) -> Option<Check> {
        // How products are computed, and how many at once, changes no number.
        let but_for_the_product = |row: &Record| Identity {
            product: None,
            v_batch: None,
            ..row.identity()
        };
        let wanted = but_for_the_product(row);
        let mut autodiff = self.records.iter().filter(|other| is_autodiff(other));
        let reference = autodiff.find(|other| but_for_the_product(other) == wanted)?;
        let check = || {
            let against = "autodiff, same probes";
            Check {
                // An eigenvalue may be zero; the whole says what is small.
                unit: Some(reference.estimate.abs().max(SMALL * self.scale())),
                ..Check::rounding(name(row), against, row.estimate, reference.estimate)
            }
        };
        (!is_autodiff(row)).then(check)
    }

    /// An estimate against the exact value.
    fn spread(&self, row: &Record) -> Option<Check> {
        let exact = self.exact.iter().find(|exact| exact.matrix == row.matrix)?;
        (row.is_trace() && row.v.is_some()).then(|| Check {
            way: name(row),
            what: name(row),
            against: "exact, in standard errors".into(),
            found: row.estimate,
            expected: exact.estimate,
            // Rounding is not an error of sampling.
            unit: row
                .std_error
                .map(|error| error.max(ROUNDING * exact.estimate.abs())),
            allowed: SPREAD,
        })
    }
}

fn is_autodiff(row: &Record) -> bool {
    row.product.as_deref() == Some(written(ProductKind::Autodiff).as_str())
}

/// "hutchinson hmp parameter, ggn".
fn name(row: &Record) -> String {
    let hessian = written(MatrixKind::Hessian);
    let matrix = Some(&row.matrix).filter(|name| **name != hessian);
    let quantity = (!row.is_trace()).then_some(&row.quantity);
    let others = [matrix, row.settings.as_ref(), quantity];
    let others = others.into_iter().flatten().cloned();
    let parts = [row.identity().method()].into_iter().chain(others);
    parts.collect::<Vec<_>>().join(", ")
}
