//! Every way of estimating against every other and against autodiff, on a network of the user's own
//! at reduced size.
//!
//! Ways come from the JSON schema of specs, so that a new estimator or product is verified without
//! being named here. All see the same probes: those that differ in their product alone must agree
//! to rounding, all others must agree with the exact value within their standard errors.

mod oracle;
mod ways;

use crate::error::UserError;
use crate::output::{ParameterRecord, Record};
use crate::plan::{Plan, Setup};
use crate::problem::Problem;
use crate::run::{NoObserver, Todo, run};
use crate::spec::{Spec, SpecError, SpecText};
use anyhow::Result;
use std::sync::Arc;

/// Relative difference up to which two ways of computing one number agree, in float64.
const ROUNDING: f64 = 1e-8;
/// Part of the trace below which the trace, not the number itself, says what rounding is.
const SMALL: f64 = 1e-4;
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
    /// What is checked.
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
    fn rounding(what: String, against: &str, found: f64, expected: f64) -> Self {
        Self {
            what,
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
    /// The network of `source` in float64 with a batch of at most eight samples, every way of
    /// estimating its trace, and 32 probes.
    ///
    /// # Errors
    /// A mistake in the spec or in what it names; a spec that is about no network.
    pub fn new(source: &SpecText) -> Result<Self, SpecError> {
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
        let ways = ways::all(&plan.spec);
        let (plan, left_out) = ways::plan(&plan.spec, ways, source)?;
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
            |job| {
                finished.push(job);
                Ok(())
            },
        )?;
        // In the order of the plan, not in which they ended.
        finished.sort_by_key(|job| job.index);
        let (mut records, mut parameters) = (Vec::new(), Vec::new());
        let mut left_out = self.left_out;
        for job in finished {
            records.extend(job.rows.records);
            parameters.extend(job.rows.parameters);
            let failed = job.rows.failures.into_iter();
            left_out.extend(failed.map(|row| (row.estimator, row.error)));
        }
        let mut checks = self::oracle(plan, &records, &parameters);
        checks.extend(records.iter().filter_map(|row| product(row, &records)));
        checks.extend(records.iter().filter_map(|row| spread(row, &records)));
        Ok(Verification {
            checks,
            left_out,
            samples: plan.setup.network().dataset.selection.batch,
        })
    }
}

/// The exact trace of every parameter tensor that is not too large, against autodiff.
fn oracle(plan: &Plan, records: &[Record], parameters: &[ParameterRecord]) -> Vec<Check> {
    let (problems, _) = plan.setup.build(plan.device, plan.dtype);
    let Some(Problem::Network(problem)) = problems.first() else {
        return Vec::new();
    };
    let traces = oracle::traces(problem);
    let names = plan.setup.parameters().into_iter().map(|(name, _)| name);
    let exact = |name: &str| {
        let of_hessian =
            |row: &&ParameterRecord| row.estimator == "exact" && row.matrix == "hessian";
        let row = parameters
            .iter()
            .filter(of_hessian)
            .find(|row| row.parameter == name);
        row.map(|row| row.estimate)
    };
    let scale = scale(records);
    let check = |(name, trace): (String, Option<f64>)| {
        let what = format!("exact, {name}");
        Some(Check {
            // A part may be zero; the whole says what is small.
            unit: Some(scale),
            ..Check::rounding(
                what,
                "second derivatives by autodiff",
                exact(&name)?,
                trace?,
            )
        })
    };
    names.zip(traces).filter_map(check).collect()
}

/// The largest exact trace.
fn scale(records: &[Record]) -> f64 {
    let exact = records.iter().filter(|row| row.estimator == "exact");
    exact.fold(f64::MIN_POSITIVE, |largest, row| {
        largest.max(row.estimate.abs())
    })
}

/// An estimate against the one of the same probes whose products are autodiff's.
fn product(row: &Record, records: &[Record]) -> Option<Check> {
    let same = |other: &&Record| {
        let of = |row: &Record| {
            let row = row.clone();
            (
                row.estimator,
                row.matrix,
                row.blocks,
                row.probe,
                row.quantity,
                row.settings,
                row.v,
            )
        };
        of(other) == of(row)
    };
    let reference = records
        .iter()
        .filter(same)
        .find(|other| is_autodiff(other))?;
    let check = || {
        let against = "autodiff, same probes";
        Check {
            // An eigenvalue may be zero; the whole says what is small.
            unit: Some(reference.estimate.abs().max(SMALL * scale(records))),
            ..Check::rounding(name(row), against, row.estimate, reference.estimate)
        }
    };
    (!is_autodiff(row)).then(check)
}

fn is_autodiff(row: &Record) -> bool {
    row.product.as_deref() == Some("autodiff")
}

/// An estimate against the exact value.
fn spread(row: &Record, records: &[Record]) -> Option<Check> {
    let of_matrix = |other: &&Record| other.estimator == "exact" && other.matrix == row.matrix;
    let exact = records.iter().find(of_matrix)?;
    (row.is_trace() && row.v.is_some()).then(|| Check {
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

/// "hutchinson hmp parameter, ggn".
fn name(row: &Record) -> String {
    let words = [
        Some(&row.estimator),
        row.product.as_ref(),
        row.blocks.as_ref(),
    ];
    let words: Vec<&str> = words.into_iter().flatten().map(String::as_str).collect();
    let others = [
        Some(&row.matrix).filter(|name| *name != "hessian"),
        row.settings.as_ref(),
    ];
    let quantity = (!row.is_trace()).then_some(&row.quantity);
    let parts = [words.join(" ")]
        .into_iter()
        .chain(others.into_iter().flatten().cloned());
    parts
        .chain(quantity.cloned())
        .collect::<Vec<_>>()
        .join(", ")
}
