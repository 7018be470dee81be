//! Hutchinson's trace estimator.

use super::{Estimate, Moments, TorchStream};
use crate::curvature::Product;
use std::time::Instant;
use tch::Tensor;

/// `tr A ≈ (1/V) Σ_k v_kᵀ A v_k` with independent probes, `E[v vᵀ] = I`.
///
/// Unbiased for every square A, indefinite ones too; V products. Girard (Numer. Math. 56, 1989),
/// Hutchinson (Comm. Stat. Sim. 18:3, 1989, doi:10.1080/03610918908812806). The standard error is
/// that of the mean of V independent quadratic forms.
pub struct Hutchinson<'a> {
    product: &'a dyn Product,
    /// Probes multiplied at once; memory grows with it and not with V.
    v_batch: u64,
}

impl<'a> Hutchinson<'a> {
    /// Estimates with `v_batch` probes at once.
    pub fn new(product: &'a dyn Product, v_batch: u64) -> Self {
        Self { product, v_batch }
    }

    /// One estimate for each of `counts` (rising), as if each were run alone from this stream on.
    ///
    /// Full chunks are shared: only a last, partial chunk is new work for a smaller V. Leaves the
    /// stream somewhere within the probes of the largest V. `clock` is when the set-up began, which
    /// counts for every estimate.
    pub fn estimates(
        &self,
        clock: Instant,
        stream: &mut TorchStream,
        counts: &[u64],
    ) -> Vec<Estimate> {
        let mut samples = Samples::default();
        let mut shared_seconds = clock.elapsed().as_secs_f64();
        counts
            .iter()
            .map(|&v| {
                while samples.len() + self.v_batch <= v {
                    shared_seconds += self.draw(stream, self.v_batch, &mut samples);
                }
                let rest = v - samples.len();
                if rest == 0 {
                    return samples.estimate(shared_seconds);
                }
                let mut extended = samples.clone();
                let seconds = self.draw(&mut stream.clone(), rest, &mut extended);
                extended.estimate(shared_seconds + seconds)
            })
            .collect()
    }

    /// Appends the quadratic forms of the next `count` probes; returns the seconds it took.
    fn draw(&self, stream: &mut TorchStream, count: u64, samples: &mut Samples) -> f64 {
        let start = Instant::now();
        let v = stream.next(count);
        samples.append(&self.product.quadratic(&v));
        start.elapsed().as_secs_f64()
    }
}

/// Quadratic forms, per parameter one for every probe.
#[derive(Clone, Default)]
struct Samples {
    values: Vec<Vec<f64>>,
}

impl Samples {
    fn len(&self) -> u64 {
        self.values.first().map_or(0, |row| row.len() as u64)
    }

    /// Appends `[parameters, K]`; copying it to the CPU waits for the device.
    fn append(&mut self, quadratic: &Tensor) {
        let rows: Vec<Vec<f64>> = quadratic.try_into().expect("a float64 matrix");
        self.values.resize_with(rows.len(), Vec::new);
        for (values, row) in self.values.iter_mut().zip(rows) {
            values.extend(row);
        }
    }

    fn estimate(&self, seconds: f64) -> Estimate {
        let total = |k: usize| self.values.iter().map(|row| row[k]).sum();
        Estimate {
            v: Some(self.len()),
            trace: Moments::of((0..self.len() as usize).map(total)),
            parameters: self
                .values
                .iter()
                .map(|row| Moments::of(row.iter().copied()))
                .collect(),
            products: self.len(),
            seconds,
        }
    }
}
