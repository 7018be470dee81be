//! Features of positions as heads, and back.

use crate::problem::layer::Place;
use tch::{Device, Kind, Tensor};

/// How features fall into heads: keys and values into `count`, queries into `sharing` for each of
/// these, all of `width` entries.
///
/// Queries that share their keys stand below each other as rows: with `rows = sharing · T`, a head
/// has queries `[rows, width]`, keys and values `[T, width]`, and sharing needs no rules.
#[derive(Clone, Debug)]
pub(super) struct Heads {
    pub count: i64,
    pub sharing: i64,
    pub width: i64,
    pub rotation: Option<Rotation>,
    /// The position of the only queries that there are; absent: all positions have some.
    pub query: Option<Place>,
}

/// The rotation of queries and keys by their position: entries i and `i + width/2` by the angle
/// `t base^(−2i/width)` at position t.
#[derive(Clone, Debug)]
pub(super) struct Rotation {
    pub base: f64,
}

impl Heads {
    /// Queries, keys and values, rotated: `[.., T, features]` to `[.., count, rows, width]` and twice
    /// `[.., count, T, width]`.
    pub fn split(&self, x: &Tensor) -> [Tensor; 3] {
        let parts = [self.sharing, 1, 1].map(|n| n * self.count * self.width);
        let parts = x.split_with_sizes(parts, -1);
        let q = self.rotated(&self.by_position(&parts[0], self.sharing), 1.0);
        let q = self
            .query
            .map_or(q.shallow_clone(), |at| q.narrow(-2, at.index, 1));
        let k = self.rotated(&self.by_position(&parts[1], 1), 1.0);
        let v = self.by_position(&parts[2], 1);
        [q, k, v].map(|part| part.flatten(-3, -2))
    }

    /// The same for K of them, which stand within the heads after it: `[K, N, T, features]` to
    /// `[N, count, K, rows, width]` and twice `[N, count, K, T, width]`.
    pub fn split_each(&self, x: &Tensor) -> [Tensor; 3] {
        self.split(x)
            .map(|part| part.movedim_int(0, 2).contiguous())
    }

    /// The transpose of [`split_each`](Self::split_each).
    pub fn join_each(&self, parts: [&Tensor; 3]) -> Tensor {
        let [q, k, v] = parts.map(|part| part.movedim_int(2, 0));
        self.join([&q, &k, &v])
    }

    /// The transpose of [`split`](Self::split).
    fn join(&self, [q, k, v]: [&Tensor; 3]) -> Tensor {
        let q = self.at_positions(&self.by_sharing(q, self.sharing), -2);
        let q = self.rotated(&q, -1.0);
        let k = self.rotated(&self.by_sharing(k, 1), -1.0);
        let v = self.by_sharing(v, 1);
        let parts = [q, k, v].map(|part| by_head(&part));
        Tensor::cat(&parts, -2).flatten(-2, -1)
    }

    /// Outputs of heads side by side: `[.., count, rows, width] -> [.., T, D]`.
    pub fn merge(&self, o: &Tensor) -> Tensor {
        by_head(&self.by_sharing(o, self.sharing)).flatten(-2, -1)
    }

    /// The same for K of them: `[N, count, K, rows, width] -> [K, N, T, D]`.
    pub fn merge_each(&self, o: &Tensor) -> Tensor {
        self.merge(&o.movedim_int(2, 0))
    }

    /// The transpose of [`merge`](Self::merge).
    pub fn rows(&self, g: &Tensor) -> Tensor {
        self.by_position(g, self.sharing).flatten(-3, -2)
    }

    /// The transpose of [`merge_each`](Self::merge_each).
    pub fn rows_each(&self, g: &Tensor) -> Tensor {
        self.rows(g).movedim_int(0, 2)
    }

    /// What belongs to queries along an axis, at their positions along it, with zeros at others.
    pub fn at_positions(&self, queries: &Tensor, axis: i64) -> Tensor {
        match self.query {
            Some(at) => at.spread(queries, axis),
            None => queries.shallow_clone(),
        }
    }

    /// `Σ f(lengths)` over the pairs of entries that are rotated together, times the cosines of their
    /// angles between t positions, `[t, t]`; `squares: [.., rows, width]` of queries and their sums over
    /// a pair, `lengths: [.., rows, 1]`. Without a rotation all entries are one pair.
    pub fn each_angle(&self, squares: &Tensor, t: i64, f: impl Fn(&Tensor) -> Tensor) -> Tensor {
        let Some(rotation) = &self.rotation else {
            return f(&squares.sum_dim_intlist(-1, true, None::<Kind>));
        };
        let angles = rotation.angles(t, self.width, squares.device());
        let pair = |i: i64| {
            let lengths = squares.narrow(-1, i, 1) + squares.narrow(-1, i + self.width / 2, 1);
            let own = angles.select(1, i);
            f(&lengths) * (own.unsqueeze(1) - own.unsqueeze(0)).cos()
        };
        let pairs = (0..self.width / 2).map(pair);
        pairs.reduce(|a, b| a + b).expect("an even width")
    }

    /// `[.., T, count · sharing · width] -> [.., count, sharing, T, width]`.
    fn by_position(&self, x: &Tensor, sharing: i64) -> Tensor {
        let size = x.size();
        let leading = &size[..size.len() - 1];
        let heads = [self.count, sharing, self.width];
        x.reshape([leading, &heads].concat()).movedim_int(-4, -2)
    }

    /// `[.., count, sharing · T, width] -> [.., count, sharing, T, width]`.
    fn by_sharing(&self, rows: &Tensor, sharing: i64) -> Tensor {
        let size = rows.size();
        let leading = &size[..size.len() - 2];
        rows.reshape([leading, &[sharing, -1, self.width]].concat())
    }

    /// Rotated in the sense of `direction`: `[.., T, width]`.
    fn rotated(&self, x: &Tensor, direction: f64) -> Tensor {
        match &self.rotation {
            Some(rotation) => rotation.apply(x, direction),
            None => x.shallow_clone(),
        }
    }
}

/// `[.., count, sharing, T, width] -> [.., T, count · sharing, width]`.
fn by_head(heads: &Tensor) -> Tensor {
    heads.movedim_int(-2, -4).flatten(-3, -2)
}

impl Rotation {
    /// The angle of every pair of entries at every position: `[positions, width/2]` in float64.
    fn angles(&self, positions: i64, width: i64, device: Device) -> Tensor {
        let number = |count| Tensor::arange(count, (Kind::Double, device));
        let exponents = number(width / 2) * (-2.0 / width as f64);
        let speeds = (exponents * self.base.ln()).exp();
        number(positions).outer(&speeds)
    }

    fn apply(&self, x: &Tensor, direction: f64) -> Tensor {
        let (positions, width) = (x.size()[x.dim() - 2], x.size()[x.dim() - 1]);
        let angles = self.angles(positions, width, x.device()) * direction;
        let (cos, sin) = (
            angles.cos().to_kind(x.kind()),
            angles.sin().to_kind(x.kind()),
        );
        let (a, b) = (
            x.narrow(-1, 0, width / 2),
            x.narrow(-1, width / 2, width / 2),
        );
        Tensor::cat(&[&a * &cos - &b * &sin, b * cos + a * sin], -1)
    }
}
