//! Blocks of vectors for estimators that deflate: drawn, multiplied, orthogonalised.
//!
//! A block of k vectors is a tensor `[n, k]`, n being all parameters one after another, in the
//! problem's own precision, or in float64 where a method needs that. Whatever is summed over n is
//! float64, and so are all small matrices.

use crate::curvature::Operator;
use crate::estimator::Probe;
use crate::estimator::progress::Cancellation;
use crate::estimator::rows::join;
use crate::estimator::stream::{PhiloxStream, Space};
use crate::problem::epsilon;
use tch::{Device, Kind, Tensor};

/// Which of the independent sets of probes of a seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// The one that Hutchinson's estimator takes too.
    First,
    /// Another one.
    Second,
    /// And another.
    Third,
}

/// An operator that multiplies blocks of vectors, `v_batch` columns at once.
pub struct Sketcher<'a> {
    operator: &'a Operator<'a>,
    stream: PhiloxStream,
    probe: Probe,
    v_batch: i64,
    kind: Kind,
}

impl<'a> Sketcher<'a> {
    /// Blocks of numbers in float64 if `double`, else as the operator has them.
    pub(super) fn new(
        operator: &'a Operator<'a>,
        stream: PhiloxStream,
        probe: Probe,
        v_batch: u64,
        double: bool,
    ) -> Self {
        Self {
            operator,
            stream,
            probe,
            v_batch: v_batch as i64,
            kind: if double {
                Kind::Double
            } else {
                operator.kind()
            },
        }
    }

    /// Rows and columns of the operator.
    pub(super) fn size(&self) -> i64 {
        self.operator.size()
    }

    /// The device of blocks.
    pub(super) fn device(&self) -> Device {
        self.operator.device()
    }

    /// Columns that are multiplied at once.
    pub(super) fn v_batch(&self) -> i64 {
        self.v_batch
    }

    /// Products spent so far.
    pub(super) fn products(&self) -> u64 {
        self.operator.products()
    }

    /// Distribution of the probes.
    pub(super) fn probe(&self) -> Probe {
        self.probe
    }

    /// The distance from 1 to the next number in the precision of products.
    pub(super) fn epsilon(&self) -> f64 {
        epsilon(self.operator.kind())
    }

    /// A block without columns.
    pub(super) fn empty(&self) -> Tensor {
        Tensor::zeros([self.size(), 0], (self.kind, self.operator.device()))
    }

    /// Probes `first..first + count` of a set: `[n, count]`.
    ///
    /// Those on the sphere have the length √n over all parameters together.
    pub(super) fn draw(&self, set: Set, first: i64, count: i64) -> Tensor {
        let entries = match self.probe {
            Probe::Sphere => Probe::Gaussian,
            other => other,
        };
        let space = |index| match set {
            Set::First => Space::Parameter(index),
            Set::Second => Space::SecondParameter(index),
            Set::Third => Space::ThirdParameter(index),
        };
        let shapes = self.operator.shapes().iter().enumerate();
        let wanted: Vec<_> = shapes
            .map(|(i, shape)| (space(i), shape.as_slice()))
            .collect();
        let (first, many) = (first as u64, count as u64);
        let parts = self.stream.draw_each(entries, &wanted, first, many);
        let rows = join(&parts).to_kind(self.kind);
        match self.probe {
            Probe::Sphere => {
                let squares = rows.square().sum_dim_intlist(1, true, Kind::Double);
                let scale = (squares.reciprocal() * self.size() as f64).sqrt();
                (rows * scale.to_kind(self.kind)).tr()
            }
            _ => rows.tr(),
        }
    }

    /// The products with every column of `v: [n, k]`.
    pub(super) fn multiply(&self, v: &Tensor) -> Tensor {
        let rows = v.tr().to_kind(self.operator.kind()).contiguous();
        let cancellation = Cancellation::of_this_thread();
        let products: Vec<Tensor> = (rows.split(self.v_batch, 0).iter())
            .map(|rows| {
                cancellation.check();
                let parts = rows.split_with_sizes(self.sizes(), 1);
                let shaped = parts.iter().zip(self.operator.shapes());
                let v: Vec<Tensor> = shaped
                    .map(|(part, shape)| part.reshape([&[-1], shape.as_slice()].concat()))
                    .collect();
                let flat = |p: &Tensor| p.flatten(1, -1).to_kind(self.kind);
                let products: Vec<Tensor> = self.operator.multiply(&v).iter().map(flat).collect();
                Tensor::cat(&products, 1)
            })
            .collect();
        Tensor::cat(&products, 0).tr()
    }

    /// The diagonal from products with all unit vectors: `[n]`, exactly n products.
    pub(super) fn diagonal(&self) -> Tensor {
        let n = self.size();
        let options = (self.kind, self.operator.device());
        let part = |first: i64| {
            let count = self.v_batch.min(n - first);
            let units = Tensor::zeros([n, count], options);
            let mut ones = units.narrow(0, first, count).diagonal(0, 0, 1);
            let _ = ones.fill_(1.0);
            let products = self.multiply(&units);
            products.narrow(0, first, count).diagonal(0, 0, 1).copy()
        };
        let firsts = (0..n).step_by(self.v_batch as usize);
        Tensor::cat(&firsts.map(part).collect::<Vec<_>>(), 0)
    }

    /// Rows `[n, ...]`, parameter by parameter.
    pub(super) fn split(&self, rows: &Tensor) -> Vec<Tensor> {
        rows.split_with_sizes(self.sizes(), 0)
    }

    fn sizes(&self) -> Vec<i64> {
        let shapes = self.operator.shapes().iter();
        shapes.map(|shape| shape.iter().product()).collect()
    }
}

/// `Σ_i a_ij b_ij` for every column j: `[k]` in float64.
pub(super) fn column_dots(a: &Tensor, b: &Tensor) -> Tensor {
    column_sums(&(a * b))
}

/// `Σ_i a_ij` for every column j: `[k]` in float64.
pub(super) fn column_sums(a: &Tensor) -> Tensor {
    a.sum_dim_intlist(0, false, Kind::Double)
}

/// `Σ_j a_ij` for every row i: `[n]` in float64.
pub(super) fn row_sums(a: &Tensor) -> Tensor {
    a.sum_dim_intlist(1, false, Kind::Double)
}

/// `aᵀ b`: `[j, k]` in float64.
pub(super) fn overlaps(a: &Tensor, b: &Tensor) -> Tensor {
    a.tr().matmul(b).to_kind(Kind::Double)
}

/// `tr(aᵀ b)`.
pub(super) fn inner(a: &Tensor, b: &Tensor) -> f64 {
    (a * b).sum(Kind::Double).double_value(&[])
}

/// The values of a vector.
pub(super) fn values(v: &Tensor) -> Vec<f64> {
    v.try_into().expect("a float64 vector")
}

/// `R⁻¹` of an upper triangular R.
pub(super) fn inverse(r: &Tensor) -> Tensor {
    let identity = Tensor::eye(r.size()[0], (r.kind(), r.device()));
    r.linalg_solve_triangular(&identity, true, true, false)
}

/// An orthonormal basis of what has been appended, `y = q r`.
pub(super) struct Basis {
    /// `[n, k]`, orthonormal columns.
    pub(super) q: Tensor,
    /// `[k, k]`, upper triangular, in float64.
    pub(super) r: Tensor,
}

impl Basis {
    pub(super) fn new(empty: Tensor) -> Self {
        Self {
            r: Tensor::zeros([0, 0], (Kind::Double, empty.device())),
            q: empty,
        }
    }

    /// Appends the columns of `y: [n, j]`; returns the new columns of q.
    ///
    /// QR among the new columns; where there are others before, twice, after Gram-Schmidt against
    /// those, so that columns stay orthogonal also where y depends on them.
    pub(super) fn append(&mut self, y: &Tensor) -> Tensor {
        let j = y.size()[1];
        let options = (Kind::Double, y.device());
        let mut q = y.shallow_clone();
        let mut above = Tensor::zeros([self.q.size()[1], j], options);
        let mut r = Tensor::eye(j, options);
        let rounds = if self.rank() == 0 { 1 } else { 2 };
        for _ in 0..rounds {
            let overlap = self.q.tr().matmul(&q);
            above += overlap.to_kind(Kind::Double).matmul(&r);
            let (next, factor) = Tensor::linalg_qr(&(q - self.q.matmul(&overlap)), "reduced");
            (q, r) = (next, factor.to_kind(Kind::Double).matmul(&r));
        }
        let left = Tensor::cat(
            &[&self.r, &Tensor::zeros([j, self.r.size()[1]], options)],
            0,
        );
        self.r = Tensor::cat(&[left, Tensor::cat(&[above, r], 0)], 1);
        self.q = Tensor::cat(&[&self.q, &q], 1);
        q
    }

    /// How many columns there are.
    pub(super) fn rank(&self) -> i64 {
        self.q.size()[1]
    }
}
