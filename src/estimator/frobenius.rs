//! Sums of squared entries: of the whole matrix and of its diagonal.

use super::estimator_spec::{Shares, estimator_spec};
use super::rows::{draw, spend};
use super::{
    Budget, Estimate, EstimatorConfig, Expanded, Interval, Moments, Probe, Quantity, Sampling,
    Setting, Start, StreamKind, Task,
};
use crate::curvature::{Operator, OperatorSpec};
use crate::error::UserError;
use crate::problem::Network;
use crate::problem::{Problem, ProblemSpec};
use std::sync::Arc;
use std::time::Instant;
use tch::{Kind, Tensor};

estimator_spec! {
    /// `kind = "frobenius"`: `‖A‖²_F` and `Σ a_ii²` from the same V products.
    ///
    /// `‖A v‖²` with `E[v vᵀ] = I` has the mean `tr A² = ‖A‖²_F`; the standard error is that of the mean.
    /// `d = v ∘ A v` has the diagonal of A as its mean (Bekas, Kokiopoulou, Saad, Appl. Numer. Math.
    /// 57:11, 2007, doi:10.1016/j.apnum.2007.01.003), so `d_jᵀ d_k` of two independent probes has the
    /// mean `Σ a_ii²`, where `‖d‖²` would be too large by the variance of d. The mean over pairs is a
    /// U-statistic. Probes are dealt to 32 groups, of which the sums alone are kept, and pairs within a
    /// group are left out; the standard error is the jackknife over groups (from three groups on), which
    /// is at least true on average (Efron, Stein, Ann. Stat. 9:3, 1981, doi:10.1214/aos/1176345462).
    ///
    /// Parts: the rows of a parameter in `‖A‖²_F`, its entries in `Σ a_ii²`. Their difference, less the
    /// diagonal, is what the variance of Rademacher probes is made of: `2 (‖A‖²_F − Σ a_ii²)`.
    ///
    /// Cost: V products, V_batch of them at once. Memory: 32 vectors. Valid for every symmetric matrix.
    pub struct Frobenius shares [operator, sampling, probe] {
    }
}

impl EstimatorConfig for Frobenius {
    fn expand(&self, shared: &Sampling, problem: &ProblemSpec) -> Result<Expanded, UserError> {
        let options = self.options();
        let task = FrobeniusTask {
            operator_spec: options.operator_with_products(problem, shared)?,
            probe: options.probe(shared),
        };
        Ok(Expanded {
            task: Arc::new(task),
            batches: options.batches(shared)?,
            budget: options.budget(shared, 100)?,
            seeds: options.philox_seeds(shared)?,
        })
    }
}

#[derive(Clone, Debug)]
struct FrobeniusTask {
    operator_spec: OperatorSpec,
    probe: Probe,
}

impl Task for FrobeniusTask {
    fn check(&self, network: Option<&Network>, _size: i64) -> Result<(), UserError> {
        self.operator_spec.check(network)
    }

    fn setting(&self) -> Setting {
        Setting::over(&self.operator_spec, "frobenius").drawing(self.probe, StreamKind::Philox)
    }

    fn quantities(&self) -> Vec<Quantity> {
        vec![Quantity::FrobeniusSquared, Quantity::DiagonalSquared]
    }

    fn kept(&self, _v: u64, _v_batch: u64) -> u64 {
        Sums::GROUPS as u64
    }

    fn run(
        &self,
        problem: &Problem,
        start: &Start,
        budget: &Budget,
        v_batch: u64,
    ) -> Vec<Estimate> {
        let clock = Instant::now();
        let stream = start.philox(problem);
        self.operator_spec
            .open(problem, budget.least(), |operator| {
                let draw = |sums: &mut Sums, first, count| {
                    let v = draw(&stream, operator, self.probe, first, count);
                    sums.add(first, &v, &operator.multiply(&v));
                };
                let read = |sums: &Sums, count| {
                    let (products, seconds) = (operator.products(), clock.elapsed().as_secs_f64());
                    let estimate = |(quantity, value, parameters)| Estimate {
                        v: Some(count),
                        parameters,
                        ..Estimate::new(quantity, value, products, seconds)
                    };
                    let both = [Some(sums.frobenius()), sums.diagonal(count)];
                    both.into_iter().flatten().map(estimate).collect()
                };
                spend(budget, v_batch, &mut Sums::new(operator), draw, read)
            })
    }
}

/// A quantity, its estimate, and the parts of parameters.
type Found = (Quantity, Moments, Vec<Moments>);

/// What is kept of the products so far.
struct Sums {
    /// `‖(A v_k)_l‖²` for every parameter l and probe k.
    squares: Vec<Vec<f64>>,
    /// Sums of `v ∘ A v` over the probes of every group: `[GROUPS, n_l]` per parameter.
    groups: Vec<Tensor>,
}

impl Sums {
    const GROUPS: i64 = 32;

    fn new(operator: &Operator<'_>) -> Self {
        let options = (operator.kind(), operator.device());
        let zeros = |shape: &Vec<i64>| {
            Tensor::zeros([Self::GROUPS, shape.iter().product::<i64>()], options)
        };
        Self {
            squares: vec![Vec::new(); operator.shapes().len()],
            groups: operator.shapes().iter().map(zeros).collect(),
        }
    }

    /// Takes in the products of probes `first..`.
    fn add(&mut self, first: u64, v: &[Tensor], av: &[Tensor]) {
        let mut squares = Vec::with_capacity(v.len());
        for ((v, av), sums) in v.iter().zip(av).zip(&mut self.groups) {
            let count = v.size()[0];
            let (v, av) = (v.reshape([count, -1]), av.reshape([count, -1]));
            squares.push(av.square().sum_dim_intlist(1, false, Kind::Double));
            let groups = Tensor::arange_start(
                first as i64,
                first as i64 + count,
                (Kind::Int64, v.device()),
            );
            let _ = sums.index_add_(0, &groups.remainder(Self::GROUPS), &(v * av));
        }
        // One copy from the device for all parameters.
        let rows: Vec<Vec<f64>> = (&Tensor::stack(&squares, 0))
            .try_into()
            .expect("a float64 matrix");
        for (all, row) in self.squares.iter_mut().zip(rows) {
            all.extend(row);
        }
    }

    fn frobenius(&self) -> Found {
        let rows = &self.squares;
        let total = |k: usize| rows.iter().map(|row| row[k]).sum();
        let value = Moments::of((0..rows[0].len()).map(total));
        let part = |row: &Vec<f64>| Moments::of(row.iter().copied());
        let parts = rows.iter().map(part).collect();
        (Quantity::FrobeniusSquared, value, parts)
    }

    /// `None` for a single probe, which has no pair.
    fn diagonal(&self, count: u64) -> Option<Found> {
        let gram = |sums: &Tensor| sums.matmul(&sums.tr()).to_kind(Kind::Double);
        let grams: Vec<Tensor> = self.groups.iter().map(gram).collect();
        let whole = grams
            .iter()
            .map(Tensor::shallow_clone)
            .reduce(|a, b| a + b)?;
        let parts = grams.iter().map(|gram| pairs(gram, count));
        let parts = parts.collect::<Option<Vec<_>>>()?;
        Some((Quantity::DiagonalSquared, pairs(&whole, count)?, parts))
    }
}

/// The mean over pairs of probes of different groups, with its jackknife over groups, from the inner
/// products of the groups' sums, probe k being in group k mod `GROUPS`.
fn pairs(gram: &Tensor, count: u64) -> Option<Moments> {
    let used = (Sums::GROUPS as usize).min(count as usize);
    let size = |g: usize| (count as usize - g).div_ceil(Sums::GROUPS as usize) as f64;
    let rows: Vec<Vec<f64>> = gram.try_into().expect("a float64 matrix");
    let without = |left_out: Option<usize>| {
        let kept = || (0..used).filter(move |&g| Some(g) != left_out);
        let off = || kept().flat_map(move |g| kept().filter(move |&h| h != g).map(move |h| (g, h)));
        let sum: f64 = off().map(|(g, h)| rows[g][h]).sum();
        let number: f64 = off().map(|(g, h)| size(g) * size(h)).sum();
        sum / number
    };
    match used {
        0 | 1 => None,
        2 => Some(Moments::exact(without(None))),
        _ => {
            let m = used as f64;
            let each: Vec<f64> = (0..used).map(|g| without(Some(g))).collect();
            let mean = each.iter().sum::<f64>() / m;
            let squares: f64 = each.iter().map(|x| (x - mean).powi(2)).sum();
            Some(Moments {
                mean: without(None),
                std_error: Some(((m - 1.0) / m * squares).sqrt()),
                interval: Interval::StudentT {
                    freedom: used as u64 - 1,
                },
            })
        }
    }
}
