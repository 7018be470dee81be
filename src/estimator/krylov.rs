//! Block Lanczos with full reorthogonalisation, for many independent chains at once.

use super::progress::Cancellation;
use crate::problem::epsilon;
use tch::{Device, Kind, Tensor};

/// A direction shorter than so many roundings of `‖T‖` is taken for rounding.
const ROUNDING: f64 = 100.0;

/// Krylov spaces of a symmetric A in `R^n`: G chains that advance together, each from b vectors.
///
/// A chain keeps orthonormal rows Q with `Q A = T Q`, T block tridiagonal, up to `F Q'` in its last
/// block, Q' being the next block. Every new block is projected against all rows before it and
/// orthonormalised, twice (which is enough: Giraud, Langou, Rozložník, van den Eshof, Numer. Math.
/// 101, 2005, doi:10.1007/s00211-005-0615-4), so that no copies of converged eigenvalues appear.
/// Blocks are orthonormalised through their Gram matrix (Stathopoulos, Wu, SIAM J. Sci. Comput. 23:6,
/// 2002, doi:10.1137/S1064827500370883), which takes matrix products and small float64 problems
/// alone. Rows that an exhausted space does not have are zero and left out of [`Projection`].
///
/// Cost of a step: `G b` products with A, and `O(G b² j n)` for reorthogonalisation in step j.
/// Memory: `G b n` numbers a step, in the kind of the start vectors.
pub(crate) struct Krylov<'a> {
    multiply: &'a dyn Fn(&Tensor) -> Tensor,
    /// Q of every chain, `[G, steps b, n]`, filled up to `steps.len()` blocks.
    rows: Tensor,
    steps: Vec<Step>,
    next: Block,
    /// The start vectors: `factor · Q_0`.
    factor: Tensor,
    /// The largest entry of every T so far: `[G]`.
    scale: Tensor,
}

/// What a step adds to T; in float64 on the CPU, like all small matrices here.
struct Step {
    /// The block on the diagonal, `[G, b, b]`.
    diagonal: Tensor,
    /// F, the block right of it.
    coupling: Tensor,
    /// Which of its rows are not zero, `[G, b]`.
    live: Tensor,
}

/// Orthonormal or zero rows.
struct Block {
    /// `[G, b, n]`.
    rows: Tensor,
    /// Which are not zero, `[G, b]`.
    live: Tensor,
}

/// What one chain has found.
pub(crate) struct Projection {
    /// `T = Q A Qᵀ`: `[m, m]` in float64.
    pub(crate) matrix: Tensor,
    /// F: the residual of the Ritz vector `sᵀ Q` is `‖Fᵀ s_last‖`, s_last the last entries of the
    /// eigenvector s of T.
    pub(crate) coupling: Tensor,
    /// The start vectors are this times the first rows of Q.
    pub(crate) factor: Tensor,
    /// Which rows of the chain are those of Q, and which chain.
    kept: Tensor,
    chain: i64,
}

impl<'a> Krylov<'a> {
    /// Chains of at most `steps` steps from `start: [G, b, n]`; `multiply` maps rows `[K, n]` to
    /// `A` times each.
    pub(crate) fn new(multiply: &'a dyn Fn(&Tensor) -> Tensor, start: &Tensor, steps: u64) -> Self {
        let [chains, width, n] = start.size()[..] else {
            unreachable!("start vectors are [G, b, n]")
        };
        // More than n rows there are not.
        let steps = (steps as i64).min((n + width - 1) / width);
        let scale = Tensor::zeros([chains], (Kind::Double, Device::Cpu));
        let (next, factor) = orthonormal(start.shallow_clone(), None, &scale);
        Self {
            multiply,
            rows: Tensor::empty([chains, steps * width, n], (start.kind(), start.device())),
            steps: Vec::new(),
            next,
            factor,
            scale,
        }
    }

    /// One product with the newest block of every chain; `false` where no step is left to do.
    pub(crate) fn step(&mut self) -> bool {
        let size = self.next.rows.size();
        let (width, n) = (size[1], size[2]);
        let filled = self.filled();
        let live = &self.next.live;
        if filled == self.rows.size()[1] || live.any().int64_value(&[]) == 0 {
            return false;
        }
        Cancellation::of_this_thread().check();
        self.rows.narrow(1, filled, width).copy_(&self.next.rows);
        let w = (self.multiply)(&self.next.rows.reshape([-1, n])).reshape(&size);
        let rows = self.rows.narrow(1, 0, filled + width);
        let (w, coefficients) = project(w, &rows);
        let diagonal = small(&coefficients.narrow(2, filled, width));
        self.scale = self.scale.maximum(&largest(&diagonal));
        let (next, coupling) = orthonormal(w, Some(&rows), &self.scale);
        self.scale = self.scale.maximum(&largest(&coupling));
        let Block { live, .. } = std::mem::replace(&mut self.next, next);
        self.steps.push(Step {
            diagonal: (&diagonal + diagonal.mt()) / 2.0,
            coupling,
            live,
        });
        true
    }

    /// Steps so far.
    pub(crate) fn steps(&self) -> u64 {
        self.steps.len() as u64
    }

    /// Rows of every Q so far.
    fn filled(&self) -> i64 {
        self.steps.len() as i64 * self.next.rows.size()[1]
    }

    /// What chain `g` has found in at least one step.
    pub(crate) fn chain(&self, g: i64) -> Projection {
        let (b, m) = (self.next.rows.size()[1], self.filled());
        let matrix = Tensor::zeros([m, m], (Kind::Double, Device::Cpu));
        for (first, step) in (0..).step_by(b as usize).zip(&self.steps) {
            let rows = matrix.narrow(0, first, b);
            rows.narrow(1, first, b).copy_(&step.diagonal.get(g));
            if first + b < m {
                let coupling = step.coupling.get(g);
                rows.narrow(1, first + b, b).copy_(&coupling);
                let below = matrix.narrow(0, first + b, b);
                below.narrow(1, first, b).copy_(&coupling.tr());
            }
        }
        let kept = |live: &Tensor| live.nonzero().flatten(0, -1);
        let live: Vec<Tensor> = self.steps.iter().map(|step| step.live.get(g)).collect();
        let all = kept(&Tensor::cat(&live, 0));
        let last = self.steps.last().expect("at least one step");
        let ends = kept(&last.live.get(g));
        Projection {
            matrix: matrix.index_select(0, &all).index_select(1, &all),
            coupling: last.coupling.get(g).index_select(0, &ends),
            factor: self.factor.get(g),
            kept: all,
            chain: g,
        }
    }

    /// Q of a chain: `[m, n]`.
    pub(crate) fn rows(&self, of: &Projection) -> Tensor {
        let rows = self.rows.get(of.chain);
        rows.index_select(0, &of.kept.to_device(rows.device()))
    }
}

/// `w − (w Qᵀ) Q` and the coefficients `w Qᵀ`.
fn project(w: Tensor, q: &Tensor) -> (Tensor, Tensor) {
    let coefficients = w.bmm(&q.mt());
    (w - coefficients.bmm(q), coefficients)
}

/// `w: [G, b, n]` as `F · Q`, Q orthonormal and orthogonal to the rows `before`, or zero where w has
/// no more than rounding at that `scale: [G]`.
fn orthonormal(w: Tensor, before: Option<&Tensor>, scale: &Tensor) -> (Block, Tensor) {
    let kind = w.kind();
    let (mut w, mut factor) = by_gram_matrix(w);
    if let Some(before) = before {
        w = project(w, before).0;
    }
    for _ in 0..2 {
        let (next, again) = by_gram_matrix(w);
        (w, factor) = (next, factor.bmm(&again));
    }
    // Turned so that the rows are w's singular vectors, which live or not.
    let (u, s, v) = factor.svd(true, true);
    let least = scale * (ROUNDING * epsilon(kind));
    let live = s.gt_tensor(&least.unsqueeze(1));
    let mask = live.to_kind(Kind::Double);
    let turn = mask.unsqueeze(2) * v.mt();
    let rows = turn.to_kind(kind).to_device(w.device()).bmm(&w);
    (Block { rows, live }, u * (s * mask).unsqueeze(1))
}

/// `w: [G, b, n]` as `F · w'` with rows of w' nearly orthonormal; the worse the condition of w, the
/// more so after another time.
fn by_gram_matrix(w: Tensor) -> (Tensor, Tensor) {
    let gram = small(&w.bmm(&w.mt()));
    let length = gram.diagonal(0, 1, 2).sqrt();
    let inverse = length.reciprocal().nan_to_num(0.0, 0.0, 0.0);
    let scaled = &gram * inverse.unsqueeze(1) * inverse.unsqueeze(2);
    let (values, vectors) = scaled.linalg_eigh("L");
    let values = values.clamp_min(epsilon(w.kind()));
    let down = vectors.mt() * values.rsqrt().unsqueeze(2) * inverse.unsqueeze(1);
    let up = length.unsqueeze(2) * vectors * values.sqrt().unsqueeze(1);
    let rows = down.to_kind(w.kind()).to_device(w.device()).bmm(&w);
    (rows, up)
}

fn small(t: &Tensor) -> Tensor {
    t.to_device(Device::Cpu).to_kind(Kind::Double)
}

/// The largest entry of every matrix: `[G, *, *] -> [G]`.
fn largest(t: &Tensor) -> Tensor {
    t.abs().flatten(1, -1).amax([1i64].as_slice(), false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::generator::TorchGenerator;

    fn uniform(shape: &[i64], seed: u64) -> Tensor {
        let numel: i64 = shape.iter().product();
        let values = TorchGenerator::seeded(seed).uniform(numel as usize, -1.0, 1.0);
        let values = Tensor::from_slice(&values).to_kind(Kind::Double);
        values.reshape(shape)
    }

    /// Eigenvalues that converge early, that are few, that stand close, and a random basis of theirs.
    fn matrices(n: i64) -> Vec<(&'static str, Tensor)> {
        let index = Tensor::arange(n, (Kind::Double, Device::Cpu));
        let (basis, _) = Tensor::linalg_qr(&uniform(&[n, n], 3), "reduced");
        let of = |values: Tensor| (&basis * values).matmul(&basis.tr());
        let decay = |base: f64| (&index * base.ln()).exp();
        vec![
            ("fast decay", of(decay(0.5))),
            (
                "both signs",
                of(decay(0.9) * (&index * std::f64::consts::PI).cos()),
            ),
            ("rank 5", of(index.lt(5.0).to_kind(Kind::Double))),
            ("flat", of(&index / n as f64 + 1.0)),
            ("zero", of(index.zeros_like())),
        ]
    }

    fn error(found: &Tensor, expected: &Tensor) -> f64 {
        assert_eq!(found.size(), expected.size());
        (found - expected).abs().max().double_value(&[])
    }

    /// Rows stay orthonormal and T stays the projection, long after the first eigenvalues converge.
    #[test]
    fn rows_stay_orthonormal() {
        let n = 90;
        for (name, matrix) in matrices(n) {
            for (chains, width) in [(1, 4), (1, 7), (6, 1)] {
                let name = format!("{name}, {chains} chains of {width}");
                let multiply = |rows: &Tensor| rows.matmul(&matrix);
                let start = uniform(&[chains, width, n], 8);
                let mut krylov = Krylov::new(&multiply, &start, 200);
                while krylov.step() {}
                for g in 0..chains {
                    let space = krylov.chain(g);
                    let q = krylov.rows(&space);
                    let unit = Tensor::eye(q.size()[0], (Kind::Double, Device::Cpu));
                    assert!(error(&q.matmul(&q.tr()), &unit) < 1e-10, "{name}");
                    let projected = q.matmul(&matrix).matmul(&q.tr());
                    assert!(error(&projected, &space.matrix) < 1e-10, "{name}");
                    let first = q.narrow(0, 0, width);
                    let again = space.factor.matmul(&first);
                    assert!(error(&again, &start.get(g)) < 1e-12, "{name}");
                }
            }
        }
    }

    /// What a step leaves outside is the coupling to the next block.
    #[test]
    fn coupling_is_the_residual() {
        let (_, matrix) = matrices(50).remove(1);
        let multiply = |rows: &Tensor| rows.matmul(&matrix);
        let mut krylov = Krylov::new(&multiply, &uniform(&[1, 3, 50], 8), 5);
        while krylov.step() {}
        let space = krylov.chain(0);
        let q = krylov.rows(&space);
        let off = q.matmul(&matrix) - space.matrix.matmul(&q);
        let off = off.square().sum_dim_intlist(1, false, Kind::Double).sqrt();
        let expected = space
            .coupling
            .square()
            .sum_dim_intlist(1, false, Kind::Double)
            .sqrt();
        assert!(off.narrow(0, 0, 12).max().double_value(&[]) < 1e-12);
        assert!(error(&off.narrow(0, 12, 3), &expected) < 1e-12);
        assert!(expected.min().double_value(&[]) > 1e-3);
    }
}
