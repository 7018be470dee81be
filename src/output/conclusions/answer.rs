//! What an experiment has found, in sentences: first the answer itself, then how far to trust it.

use super::groups::grouped;
use super::mean::Mean;
use super::summary::summarise;
use super::verdicts::{calibration, closest, cost, lost, winners};
use crate::estimator::counted;
use crate::output::format;
use crate::output::store::{EigenvalueRecord, Record, Results};
use crate::spec::ExperimentKind;

/// Sentences that can stand alone.
const MOST: usize = 6;
/// Eigenvalues that are named; the table has all.
const MOST_EIGENVALUES: usize = 100;

/// The answer of `results` in its first sentence, and what else is worth telling in the others.
/// Without rows there is nothing to tell.
pub fn answers(results: &Results) -> Vec<String> {
    let (rows, confidence) = (&results.records, results.confidence());
    let traces: Vec<Record> = rows.iter().filter(|row| row.is_trace()).cloned().collect();
    let summary = summarise(&traces);
    let timing = results.kind() == ExperimentKind::Timing;
    let mut said: Vec<String> = Vec::new();
    if timing {
        said.extend(cost(&summary));
    }
    said.extend(values(&traces, confidence, &summary));
    said.extend(eigenvalues(&results.eigenvalues));
    let others = rows
        .iter()
        .filter(|row| !row.is_trace() && !is_eigenvalue(&row.quantity));
    said.extend(of_subjects(others, confidence));
    said.extend(met(rows));
    if !timing {
        said.extend(closest(&summary));
    }
    said.extend(calibration(&traces, confidence));
    said.extend(lost(rows));
    said
}

/// What a value is of.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Subject {
    quantity: String,
    delta: Option<String>,
    matrix: String,
    checkpoint: Option<String>,
}

impl Subject {
    fn of(row: &Record) -> Self {
        Self {
            quantity: row.quantity.clone(),
            delta: row.delta.map(|delta| delta.to_string()),
            matrix: row.matrix.clone(),
            checkpoint: row.checkpoint.clone(),
        }
    }

    /// "trace of the Hessian at step_20".
    fn name(&self) -> String {
        let matrix = match self.matrix.as_str() {
            matrix @ ("hessian" | "ggn") => format!("the {}", format::matrix(matrix)),
            matrix @ ("fisher_mc" | "fisher_empirical") => {
                format!("the {} matrix", format::matrix(matrix))
            }
            matrix => format!("the matrix \"{matrix}\""),
        };
        let delta = match &self.delta {
            Some(delta) => format!(" + {delta} I"),
            None => String::new(),
        };
        let at = match &self.checkpoint {
            Some(checkpoint) => format!(" at {checkpoint}"),
            None => String::new(),
        };
        format!("{} of {matrix}{delta}{at}", quantity(&self.quantity))
    }
}

/// A quantity as one writes it in a text.
fn quantity(name: &str) -> &str {
    match name {
        "frobenius_squared" => "squared Frobenius norm",
        "diagonal_squared" => "sum of squared diagonal entries",
        "log_det" => "log determinant",
        "top_eigenvalue" => "eigenvalue of largest magnitude",
        "largest_eigenvalue" => "largest eigenvalue",
        "smallest_eigenvalue" => "smallest eigenvalue",
        other => other,
    }
}

fn is_eigenvalue(quantity: &str) -> bool {
    quantity.ends_with("_eigenvalue")
}

/// The setting that knows a value best.
struct Best<'a> {
    rows: Vec<&'a Record>,
    mean: Mean,
    exact: bool,
}

/// The exact one among `rows` of one subject, or else that of the shortest interval.
fn best<'a>(rows: &[&'a Record], confidence: f64) -> Option<Best<'a>> {
    let finite = rows.iter().copied().filter(|row| row.estimate.is_finite());
    let groups = grouped(finite, |row| row.identity().over_runs());
    let candidates = groups.into_iter().map(|(_, rows)| Best {
        mean: Mean::of(rows.iter().copied(), confidence),
        exact: is_exact(rows[0]),
        rows,
    });
    let length = |best: &Best| match best.exact {
        true => -1.0,
        false => best.mean.half.unwrap_or(f64::INFINITY),
    };
    candidates.min_by(|a, b| length(a).total_cmp(&length(b)))
}

/// Whether a row is the exact value itself.
pub(super) fn is_exact(row: &Record) -> bool {
    row.exact == Some(row.estimate) && row.v.is_none() && row.probe.is_none()
}

impl Best<'_> {
    /// "12.4550", "12.43 ± 0.12".
    fn value(&self) -> String {
        match self.exact {
            true => format::exact(self.mean.value),
            false => format::within(self.mean.value, self.mean.half),
        }
    }

    /// How it is known: "exact, 2.4 ms", "95 % interval; propagation, 4 passes, 1.9 ms".
    fn source(&self, confidence: f64) -> String {
        let row = self.rows[0];
        let seconds = self.rows.iter().map(|row| row.seconds).collect();
        let time = format::seconds(super::statistics::median(seconds));
        if self.exact {
            return format!("exact, {time}");
        }
        let interval = self
            .mean
            .half
            .map(|_| format!("{} interval; ", format::percent(confidence)));
        let spent = match row.v {
            Some(v) => format!(", {} {}", format::count(v), counted(&row.estimator)),
            None if row.stop.is_some() => format!(", {} products", format::count(row.products)),
            None => String::new(),
        };
        let seeds = match self.mean.runs {
            1 => String::new(),
            runs => format!(" by each of {runs} seeds"),
        };
        format!(
            "{}{}{spent}{seeds}, {time}",
            interval.unwrap_or_default(),
            row.identity().method()
        )
    }
}

/// The traces: one by one where they are few, else how they change or who came closest.
fn values(traces: &[Record], confidence: f64, summary: &[super::SummaryRow]) -> Vec<String> {
    let subjects = grouped(traces, |row| Subject::of(row));
    let checkpoints = grouped(traces, |row| row.checkpoint.clone()).len();
    let matrices = grouped(traces, |row| row.matrix.clone()).len();
    if checkpoints > 2 && matrices == 1 {
        return along(&subjects, confidence).into_iter().collect();
    }
    match subjects.len() > MOST / 2 {
        true => winners(summary).into_iter().collect(),
        false => of_subjects(traces, confidence),
    }
}

/// A sentence for every subject of `rows`, as far as they go.
fn of_subjects<'a>(rows: impl IntoIterator<Item = &'a Record>, confidence: f64) -> Vec<String> {
    let subjects = grouped(rows, |row| Subject::of(row));
    let sentence = |(subject, rows): &(Subject, Vec<&Record>)| {
        let best = best(rows, confidence)?;
        let (value, source) = (best.value(), best.source(confidence));
        Some(format!("The {} is {value} ({source}).", subject.name()))
    };
    subjects.iter().filter_map(sentence).take(MOST).collect()
}

/// From the first checkpoint to the last.
fn along(subjects: &[(Subject, Vec<&Record>)], confidence: f64) -> Option<String> {
    let ([first, .., last], count) = (subjects, subjects.len()) else {
        return None;
    };
    let value = |(_, rows): &(Subject, Vec<&Record>)| Some(best(rows, confidence)?.value());
    let place = |(subject, _): &(Subject, _)| subject.checkpoint.clone().unwrap_or_default();
    let whole = Subject {
        checkpoint: None,
        ..first.0.clone()
    };
    Some(format!(
        "The {} goes from {} at {} to {} at {}, over {count} checkpoints.",
        whole.name(),
        value(first)?,
        place(first),
        value(last)?,
        place(last),
    ))
}

/// All eigenvalues of every run, in their order.
fn eigenvalues(rows: &[EigenvalueRecord]) -> Vec<String> {
    let runs = grouped(rows, |row| row.identity());
    let sentence = |(identity, rows): &(crate::estimator::Identity, Vec<&EigenvalueRecord>)| {
        let settings = identity.settings.as_deref().unwrap_or_default();
        let end = match settings {
            text if text.contains("\"smallest\"") => "smallest eigenvalues",
            text if text.contains("\"largest\"") => "largest eigenvalues",
            _ => "eigenvalues of largest magnitude",
        };
        let subject = Subject {
            quantity: end.into(),
            delta: None,
            matrix: identity.matrix.clone(),
            checkpoint: identity.checkpoint.clone(),
        };
        let all = rows.iter().take(MOST_EIGENVALUES);
        let all: Vec<String> = all.map(|row| format::short(row.eigenvalue)).collect();
        let more = match rows.len() > MOST_EIGENVALUES {
            true => ", … (all in eigenvalues.csv)",
            false => "",
        };
        let residual = rows.iter().map(|row| row.residual).fold(0.0, f64::max);
        format!(
            "The {} {}: {}{more} (residuals up to {}).",
            rows.len(),
            subject.name(),
            all.join(", "),
            format::rough(residual),
        )
    };
    runs.iter().map(sentence).take(MOST).collect()
}

/// Whether runs to a tolerance met it.
fn met(rows: &[Record]) -> Option<String> {
    let ended: Vec<&Record> = rows.iter().filter(|row| row.stop.is_some()).collect();
    let short = ended
        .iter()
        .filter(|row| row.stop.as_deref() == Some("max_V"))
        .count();
    match (ended.len(), short) {
        (0, _) => None,
        (_, 0) => Some("The tolerance is met.".into()),
        (all, short) => Some(format!(
            "The tolerance is not met in {short} of {all} runs: max_V products were not enough."
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::store::sample::{results, row};
    use super::*;

    fn exact() -> Record {
        Record {
            estimator: "exact".into(),
            product: None,
            blocks: None,
            probe: None,
            v: None,
            v_batch: None,
            seed: None,
            seconds: 0.0024,
            ..row(1, 0, 12.455009460449219)
        }
    }

    #[test]
    fn the_first_sentence_is_the_answer() {
        let sampled = |seed| Record {
            std_error: Some(0.1),
            ci_low: Some(12.0),
            ci_high: Some(12.4),
            ..row(10, seed, 12.2)
        };
        let said = answers(&results(vec![sampled(0)]));
        assert_eq!(
            said[0],
            "The trace of the Hessian is 12.20 ± 0.20 (95 % interval; hutchinson hmp parameter, 10 probes, 100 ms)."
        );
        let said = answers(&results(vec![sampled(0), exact()]));
        assert_eq!(
            said[0],
            "The trace of the Hessian is 12.455009 (exact, 2.40 ms)."
        );
        assert_eq!(answers(&results(Vec::new())), Vec::<String>::new());
    }

    #[test]
    fn checkpoints_are_told_from_the_first_to_the_last() {
        let at = |name: &str, estimate| Record {
            checkpoint: Some(name.into()),
            estimate,
            exact: Some(estimate),
            ..exact()
        };
        let rows = vec![at("step_0", 5.0), at("step_1", 4.0), at("step_2", 2.0)];
        assert_eq!(
            answers(&results(rows))[0],
            "The trace of the Hessian goes from 5.0000000 at step_0 to 2.0000000 at step_2, over 3 checkpoints."
        );
    }

    #[test]
    fn every_eigenvalue_is_named() {
        let of = row(1, 0, 0.0);
        let value = |(index, eigenvalue): (u64, f64)| EigenvalueRecord {
            index,
            eigenvalue,
            residual: 7e-7,
            ..EigenvalueRecord::keyed(&of.experiment, &of.identity())
        };
        let rows: Vec<_> = [(0, 1.6385), (1, -1.3914)].map(value).into();
        assert_eq!(
            eigenvalues(&rows),
            [
                "The 2 eigenvalues of largest magnitude of the Hessian: 1.639, −1.391 (residuals up to 7e-7)."
            ]
        );
    }

    #[test]
    fn a_tolerance_that_was_missed_is_told() {
        let ended = |stop: &str| Record {
            stop: Some(stop.into()),
            ..row(1, 0, 1.0)
        };
        assert_eq!(met(&[row(1, 0, 1.0)]), None);
        assert_eq!(
            met(&[ended("tolerance")]).as_deref(),
            Some("The tolerance is met.")
        );
        let missed = met(&[ended("tolerance"), ended("max_V")]).unwrap();
        assert!(missed.contains("in 1 of 2 runs"), "{missed}");
    }
}
