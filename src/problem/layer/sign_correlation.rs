//! Products of convolutions with sign weights, by table lookup.

use super::channels::{numbers_mut, numbers_of};
use super::correlation::Correlation;
use super::windows::{Run, Windows};
use crate::problem::sign_products::{Number, TILE, Tile, add_products, row_sums};
use crate::problem::signs::Signs;
use tch::{Kind, Tensor};

/// Fewer rows of a weight than this are multiplied faster as numbers than tables are made.
const FEWEST_ROWS: i64 = 64;

/// Shorter rows take less time to multiply than to look up and to put in their places.
const SHORTEST_ROWS: i64 = 64;

/// `conv(x, V_k)` for K weights of signs, added to `z: [K, N, *b]`, contiguous on the CPU.
///
/// A weight is a matrix with a row for each of its channels, which a product takes times what the
/// window sees of x at 32 positions after others: laid out when their turn comes, so that nothing
/// leaves the caches but z.
pub(super) fn add_tangent(map: &Correlation, x: &Tensor, weights: &Signs, z: &Tensor) {
    let out = (map.b[0] / map.groups) as usize;
    match z.kind() {
        Kind::Double => map.windows::<f64>(x).add_tangent(out, weights, z),
        _ => map.windows::<f32>(x).add_tangent(out, weights, z),
    }
}

/// `⟨g, conv(dx_k, V_k)⟩` for K weights of signs and an input of its own for each, `g: [N, *b]`,
/// `dx: [K, N, *a]`: `[K]` in float64.
pub(super) fn mixed_form(map: &Correlation, g: &Tensor, dx: &Tensor, weights: &Signs) -> Tensor {
    let forms: Vec<f64> = match g.kind() {
        Kind::Double => inner_products::<f64>(map, g, dx, weights),
        _ => inner_products::<f32>(map, g, dx, weights),
    };
    Tensor::from_slice(&forms)
}

/// Whether lookup multiplies `copies` weights at once by this map faster than a matrix product does.
pub(super) fn pays(map: &Correlation, copies: usize, samples: i64, weights: &Signs) -> bool {
    let rows = copies as i64 * map.b[0] / map.groups;
    let columns = samples * map.positions();
    let much = rows >= FEWEST_ROWS && map.fan_in() >= SHORTEST_ROWS && columns >= TILE as i64 / 2;
    !map.transposed && weights.on_cpu() && much
}

fn inner_products<F: Number>(
    map: &Correlation,
    g: &Tensor,
    dx: &Tensor,
    weights: &Signs,
) -> Vec<f64> {
    let g = tiles_of::<F>(map, g);
    let of = |k| {
        map.windows::<F>(&dx.get(k as i64))
            .inner_product(&g, k, weights)
    };
    (0..weights.count()).map(of).collect()
}

impl<F: Number> Windows<F> {
    /// Of weights with `out` channels in every group.
    fn add_tangent(&self, out: usize, weights: &Signs, z: &Tensor) {
        let z = numbers_mut::<F>(z);
        let mut scratch = Vec::new();
        self.each_tile(|columns, group, tile| {
            let rows = |k| (0..out).map(move |o| (k, group * out + o));
            let rows: Vec<(usize, usize)> = (0..weights.count()).flat_map(rows).collect();
            let places = self.rows(weights, rows.iter().copied());
            row_sums(
                tile,
                weights.bits(),
                &places,
                &mut scratch,
                |first, sums| {
                    for (&(k, o), sums) in rows[first..].iter().zip(sums) {
                        let mut sums = sums.0.as_slice();
                        for &Run {
                            sample,
                            position,
                            length,
                        } in columns
                        {
                            let row = (k * self.samples + sample) * self.groups * out + o;
                            let z = &mut z[row * self.positions + position..][..length];
                            let (now, later) = sums.split_at(length);
                            z.iter_mut().zip(now).for_each(|(z, sum)| *z += *sum);
                            sums = later;
                        }
                    }
                },
            );
        });
    }

    /// `⟨g, conv(a, V_k)⟩`, g as [`tiles_of`](Self::tiles_of) has it.
    fn inner_product(&self, g: &[Vec<[F; TILE]>], k: usize, weights: &Signs) -> f64 {
        let out = g[0].len();
        let (mut scratch, mut sum, mut g) = (Vec::new(), 0.0, g.iter());
        self.each_tile(|_, group, tile| {
            let g = g.next().expect("as many tiles of g");
            let places = self.rows(weights, (0..out).map(|o| (k, group * out + o)));
            let mut total = Tile::default();
            row_sums(
                tile,
                weights.bits(),
                &places,
                &mut scratch,
                |first, sums| {
                    add_products(&mut total, sums, &g[first..]);
                },
            );
            sum += total.sum();
        });
        sum
    }

    /// Where the bits of these rows of vectors begin.
    fn rows(&self, weights: &Signs, rows: impl Iterator<Item = (usize, usize)>) -> Vec<usize> {
        let fan = self.channels * self.places.len();
        rows.map(|(k, row)| weights.place(k, row * fan)).collect()
    }
}

/// `[N, *b]` by the same tiles, zero beyond the last column: each with a row for every channel of
/// its group.
fn tiles_of<F: Number>(map: &Correlation, b: &Tensor) -> Vec<Vec<[F; TILE]>> {
    let (samples, groups) = (b.size()[0], map.groups);
    let (out, positions) = (map.b[0] / groups, map.positions());
    let columns = b.reshape([samples, groups, out, positions]);
    let columns = columns.permute([1, 2, 0, 3]).reshape([groups, out, -1]);
    let padding = (-samples * positions).rem_euclid(TILE as i64);
    let tiles = columns.constant_pad_nd([0, padding]);
    let tiles = tiles.reshape([groups, out, -1, TILE as i64]);
    let tiles = tiles.permute([2, 0, 1, 3]).contiguous();
    let rows = numbers_of::<F>(&tiles).as_chunks().0;
    rows.chunks(out as usize).map(<[_]>::to_vec).collect()
}
