//! Sums over the entries of a symmetric matrix, from all of its columns.

use super::rows::{size, times};
use super::{Estimate, Moments, Probe, Quantity};
use crate::curvature::{Blocks, Operator};
use tch::{Kind, Tensor};

/// What the variance of a probe depends on, by parameter.
pub struct BlockSums {
    /// `‖A_lk‖²_F` of every pair of parameters.
    squares: Vec<Vec<f64>>,
    /// `Σ a_ii²` of every parameter.
    diagonal_squares: Vec<f64>,
    /// `tr A_ll`.
    traces: Vec<f64>,
    /// How many entries a parameter has.
    numel: Vec<f64>,
}

impl BlockSums {
    /// From n products, `at_once` at a time; summed in float64.
    pub(super) fn of(operator: &Operator<'_>, at_once: u64) -> Self {
        let numel = operator.shapes().iter().map(|s| s.iter().product::<i64>());
        let numel: Vec<i64> = numel.collect();
        let all = size(operator.shapes());
        let (mut squares, mut diagonal_squares, mut traces) = (Vec::new(), Vec::new(), Vec::new());
        let mut start = 0;
        for &rows in &numel {
            let mut row = vec![0.0; numel.len()];
            let (mut diagonal_square, mut trace) = (0.0, 0.0);
            for first in (0..rows).step_by(at_once as usize) {
                let count = (at_once as i64).min(rows - first);
                let units = Tensor::zeros([count, all], (operator.kind(), operator.device()));
                let place = start + first;
                let _ = units.narrow(1, place, count).diagonal(0, 0, 1).fill_(1.0);
                let columns = times(operator, &units).to_kind(Kind::Double);
                let diagonal = columns.narrow(1, place, count).diagonal(0, 0, 1);
                let parts = columns.square().split_with_sizes(&numel, 1);
                let sums = [diagonal.square(), diagonal].into_iter().chain(parts);
                let sums: Vec<Tensor> = sums.map(|t| t.sum(Kind::Double)).collect();
                // One copy from the device for all sums.
                let sums = Vec::<f64>::try_from(Tensor::stack(&sums, 0));
                let sums = sums.expect("a vector of float64");
                diagonal_square += sums[0];
                trace += sums[1];
                for (sum, part) in row.iter_mut().zip(&sums[2..]) {
                    *sum += part;
                }
            }
            squares.push(row);
            diagonal_squares.push(diagonal_square);
            traces.push(trace);
            start += rows;
        }
        Self {
            squares,
            diagonal_squares,
            traces,
            numel: numel.into_iter().map(|n| n as f64).collect(),
        }
    }

    /// `tr A`.
    pub(super) fn trace(&self) -> f64 {
        self.traces.iter().sum()
    }

    /// The variance of `vᵀ A v` for one probe v, A whole or its block diagonal:
    ///
    /// - signs: `2 (‖A‖²_F − Σ a_ii²)`;
    /// - normals: `2 ‖A‖²_F`;
    /// - on spheres of radius √n_l, one for each parameter: `2 n_l/(n_l + 2) (‖A_ll‖²_F − tr²A_ll/n_l)`
    ///   for its block.
    ///
    /// Outside of the diagonal blocks every distribution has `2 ‖A_lk‖²_F`, as `E[v_l v_lᵀ] = I`.
    /// Sources: see [`Probe`].
    pub fn variance(&self, probe: Probe, blocks: &Blocks) -> f64 {
        let within = |l: usize| {
            let (square, n) = (self.squares[l][l], self.numel[l]);
            match probe {
                Probe::Rademacher => 2.0 * (square - self.diagonal_squares[l]),
                Probe::Gaussian => 2.0 * square,
                Probe::Sphere => 2.0 * n / (n + 2.0) * (square - self.traces[l].powi(2) / n),
            }
        };
        let block_diagonal: f64 = (0..self.numel.len()).map(within).sum();
        let between = self.squares.iter().enumerate().flat_map(|(l, row)| {
            let others = row.iter().enumerate().filter(move |(k, _)| *k != l);
            others.map(|(_, square)| square)
        });
        match blocks {
            Blocks::Full => block_diagonal + 2.0 * between.sum::<f64>(),
            _ => block_diagonal,
        }
    }

    /// The sums themselves, which have no sampling error.
    pub(super) fn estimates(&self, products: u64, seconds: f64) -> Vec<Estimate> {
        let estimate = |quantity, parts: Vec<f64>| Estimate {
            parameters: parts.iter().copied().map(Moments::exact).collect(),
            ..Estimate::new(
                quantity,
                Moments::exact(parts.iter().sum()),
                products,
                seconds,
            )
        };
        let rows = self.squares.iter().map(|row| row.iter().sum());
        vec![
            estimate(Quantity::Trace, self.traces.clone()),
            estimate(Quantity::FrobeniusSquared, rows.collect()),
            estimate(Quantity::DiagonalSquared, self.diagonal_squares.clone()),
        ]
    }
}
