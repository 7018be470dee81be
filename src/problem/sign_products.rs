//! Products of sign vectors with numbers by table lookup.

use super::signs::Signs;
use std::ops::{Add, AddAssign, Mul, Sub};
use tch::{Device, Kind, Tensor};

/// Entries of a vector from one table: 2⁵ sums of 32 samples are 4 KiB.
const GROUP: usize = 5;
const ENTRIES: usize = 1 << GROUP;
/// Samples that are summed at once, in a few registers.
pub(super) const TILE: usize = 32;
/// Groups whose tables are kept at once, in the first cache; their bits fit a word.
const TABLES: usize = 8;
/// Rows whose sums are kept at once, in the second cache.
const ROWS: usize = 2048;
/// Fewer rows than this are multiplied faster as numbers than tables are made.
const FEWEST_ROWS: usize = 128;
/// More samples than this are worth laying signs out as numbers for inner products, if these stay in the
/// caches: with 256 samples and 128 x 256 weights lookup takes 1.4 times as long as that.
const MOST_SAMPLES: i64 = 128;
/// Weights of so many entries leave the caches as numbers.
const LARGE: i64 = 1 << 20;

impl Signs {
    /// `V_k xᵀ` of matrices `V_k: [rows, from]` with `x: [N, from]`: `[K, rows, N]`.
    ///
    /// Five entries of a row together have 32 sign patterns, whose sums over x are made once for all
    /// rows, so that a row takes `from / 5` additions a sample and no multiplication: a fraction of
    /// the time of a matrix product (the method of Arlazarov, Dinic, Kronrod, Faradzev, Dokl. Akad.
    /// Nauk SSSR 194, 1970). `None` where a matrix product is the faster way.
    pub fn times(&self, x: &TiledMatrix) -> Option<Tensor> {
        let rows = self.shape()[0] as usize;
        if self.count() * rows < FEWEST_ROWS {
            return None;
        }
        let places: Vec<usize> = (0..self.count())
            .flat_map(|k| (0..rows).map(move |row| self.place(k, row * x.from())))
            .collect();
        let shape = [self.count() as i64, self.shape()[0], x.samples];
        let result = Tensor::empty(shape, (self.kind(), Device::Cpu));
        match self.kind() {
            Kind::Float => sums::<f32>(x, self.bits(), &places, &result),
            Kind::Double => sums::<f64>(x, self.bits(), &places, &result),
            _ => return None,
        }
        Some(result)
    }

    /// `Σ_n g_nᵀ V_k dx_kn` of matrices `V_k: [rows, from]` with vectors of each, `g: [N, rows]`,
    /// `dx: [K, N, from]`: `[K]` in float64. `None` where a matrix product is the faster way.
    pub fn inner_products(&self, g: &Tensor, dx: &Tensor) -> Option<Tensor> {
        let (rows, samples) = (self.shape()[0] as usize, g.size()[0]);
        let entries = self.shape().iter().product::<i64>();
        // Tables are made for every vector, as its dx are its own.
        let many = samples > MOST_SAMPLES && entries < LARGE;
        if !self.on_cpu() || rows < FEWEST_ROWS / 2 || many {
            return None;
        }
        let g = TiledMatrix::of(g)?;
        let forms: Option<Vec<f64>> = (0..self.count())
            .map(|k| {
                let x = TiledMatrix::of(&dx.get(k as i64))?;
                let places = (0..rows).map(|row| self.place(k, row * x.from()));
                let places: Vec<usize> = places.collect();
                Some(match self.kind() {
                    Kind::Double => inner::<f64>(&x, &g, self.bits(), &places),
                    _ => inner::<f32>(&x, &g, self.bits(), &places),
                })
            })
            .collect();
        Some(Tensor::from_slice(&forms?))
    }
}

/// A matrix `x: [N, from]` as products with signs read it.
pub struct TiledMatrix {
    /// Tile by tile the entries of 32 samples side by side, zeros after the last sample:
    /// `[tiles, from, 32]`, contiguous.
    tiles: Tensor,
    samples: i64,
}

impl TiledMatrix {
    /// `None` where products with signs are none of table lookup: off the CPU, or of few samples.
    pub fn of(x: &Tensor) -> Option<Self> {
        let (samples, from) = (x.size()[0], x.size()[1]);
        let numbers = matches!(x.kind(), Kind::Float | Kind::Double);
        if x.device() != Device::Cpu || !numbers || samples < TILE as i64 / 2 {
            return None;
        }
        let padding = (-samples).rem_euclid(TILE as i64);
        let tiles = x.constant_pad_nd([0, 0, 0, padding]).tr();
        let tiles = tiles.reshape([from, -1, TILE as i64]).transpose(0, 1);
        let tiles = tiles.contiguous();
        Some(Self { tiles, samples })
    }

    fn from(&self) -> usize {
        self.tiles.size()[1] as usize
    }

    /// The tiles, each with a row for every entry.
    #[allow(unsafe_code)]
    fn tiles<F: Number>(&self) -> impl Iterator<Item = &[[F; TILE]]> {
        // SAFETY: a contiguous tensor on the CPU, of the kind that the caller multiplies in.
        let all = unsafe {
            std::slice::from_raw_parts(self.tiles.data_ptr().cast::<F>(), self.tiles.numel())
        };
        all.as_chunks().0.chunks(self.from())
    }
}

/// The 57 or more bits from `bit` on.
fn word(bytes: &[u8], bit: usize) -> u64 {
    let bytes = bytes[bit / 8..].first_chunk().expect("the bits are padded");
    u64::from_le_bytes(*bytes) >> (bit % 8)
}

/// Numbers of 32 samples, on lines of the cache: a register that lies across two takes two loads.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(super) struct Tile<F>(pub [F; TILE]);

impl<F: Number> Default for Tile<F> {
    fn default() -> Self {
        Self([F::default(); TILE])
    }
}

impl<F: Number> Tile<F> {
    /// The sum of all numbers.
    pub fn sum(&self) -> f64 {
        self.0.iter().map(|&x| x.into()).sum()
    }

    /// Sample by sample `self[j] = f(self[j], j)`: by index, since `zip` is called, not inlined, in
    /// builds without optimisation across the parts of a crate.
    #[inline(always)]
    fn update(&mut self, f: impl Fn(F, usize) -> F) {
        for j in 0..TILE {
            self.0[j] = f(self.0[j], j);
        }
    }
}

/// The samples of x summed with the signs of every row, whose bits begin at `places`: into
/// `result: [K, rows, N]`.
#[allow(unsafe_code)]
fn sums<F: Number>(x: &TiledMatrix, bits: &[u8], places: &[usize], result: &Tensor) {
    let samples = x.samples as usize;
    // SAFETY: a contiguous tensor of this kind on the CPU, which nothing else knows yet.
    let result =
        unsafe { std::slice::from_raw_parts_mut(result.data_ptr().cast::<F>(), result.numel()) };
    let mut scratch = Vec::new();
    for (index, tile) in x.tiles::<F>().enumerate() {
        let first = index * TILE;
        let width = TILE.min(samples - first);
        row_sums(tile, bits, places, &mut scratch, |row, sums| {
            for (i, sums) in sums.iter().enumerate() {
                let start = (row + i) * samples + first;
                result[start..start + width].copy_from_slice(&sums.0[..width]);
            }
        });
    }
}

/// The inner product of those sums with `g: [N, rows]`.
fn inner<F: Number>(x: &TiledMatrix, g: &TiledMatrix, bits: &[u8], places: &[usize]) -> f64 {
    let mut scratch = Vec::new();
    let tiles = x.tiles::<F>().zip(g.tiles::<F>());
    let of = |(x, g): (&[[F; TILE]], &[[F; TILE]])| {
        let mut total = Tile::default();
        row_sums(x, bits, places, &mut scratch, |row, sums| {
            add_products(&mut total, sums, &g[row..]);
        });
        total.sum()
    };
    tiles.map(of).sum()
}

/// Sums the columns of one tile with the signs of every row; `take(first, sums)` is given those of
/// some rows after others.
pub(super) fn row_sums<F: Number>(
    tile: &[[F; TILE]],
    bits: &[u8],
    places: &[usize],
    scratch: &mut Vec<Tile<F>>,
    mut take: impl FnMut(usize, &[Tile<F>]),
) {
    for (part, places) in places.chunks(ROWS).enumerate() {
        scratch.clear();
        scratch.resize(places.len(), Tile::default());
        add_signed(tile, bits, places, scratch);
        take(part * ROWS, scratch);
    }
}

/// Adds `Σ_row sums ∘ g` to `total`, column by column.
pub(super) fn add_products<F: Number>(total: &mut Tile<F>, sums: &[Tile<F>], g: &[[F; TILE]]) {
    for (row, sums) in sums.iter().enumerate() {
        let g = &g[row];
        total.update(|total, j| total + sums.0[j] * g[j]);
    }
}

/// Adds the signed columns of one tile to every row, with the widest registers there are; `places`
/// are those of the rows' first bits.
#[allow(unsafe_code)]
fn add_signed<F: Number>(tile: &[[F; TILE]], bytes: &[u8], places: &[usize], rows: &mut [Tile<F>]) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2")]
        fn wide<F: Number>(t: &[[F; TILE]], b: &[u8], p: &[usize], r: &mut [Tile<F>]) {
            add_signed_tile(t, b, p, r);
        }
        #[target_feature(enable = "avx512f")]
        fn wider<F: Number>(t: &[[F; TILE]], b: &[u8], p: &[usize], r: &mut [Tile<F>]) {
            add_signed_tile(t, b, p, r);
        }
        // SAFETY: the processor has what the function is compiled for.
        if is_x86_feature_detected!("avx512f") {
            return unsafe { wider(tile, bytes, places, rows) };
        }
        if is_x86_feature_detected!("avx2") {
            return unsafe { wide(tile, bytes, places, rows) };
        }
    }
    add_signed_tile(tile, bytes, places, rows);
}

#[inline(always)]
fn add_signed_tile<F: Number>(
    tile: &[[F; TILE]],
    bytes: &[u8],
    places: &[usize],
    rows: &mut [Tile<F>],
) {
    let mut tables = Box::new([[Tile::<F>::default(); ENTRIES]; TABLES]);
    for (block, columns) in tile.chunks(GROUP * TABLES).enumerate() {
        let mut groups = columns.chunks(GROUP);
        for table in tables.iter_mut() {
            tabulate(groups.next().unwrap_or_default(), table);
        }
        let (first, mask) = (block * GROUP * TABLES, (1u64 << columns.len()) - 1);
        for (row, sums) in rows.iter_mut().enumerate() {
            let word = word(bytes, places[row] + first) & mask;
            let mut total = *sums;
            for (t, table) in tables.iter().enumerate() {
                let entry = &table[(word >> (GROUP * t)) as usize % ENTRIES];
                total.update(|total, j| total + entry.0[j]);
            }
            *sums = total;
        }
    }
}

/// The sums of up to five columns under every sign pattern; zeros for none.
#[inline(always)]
fn tabulate<F: Number>(columns: &[[F; TILE]], table: &mut [Tile<F>; ENTRIES]) {
    table[0] = Tile::<F>::default();
    for column in columns {
        table[0].update(|sum, j| sum + column[j]);
    }
    for pattern in 1..1usize << columns.len() {
        // One sign more than in the pattern without its lowest bit.
        let without = pattern & (pattern - 1);
        let column = columns[pattern.trailing_zeros() as usize];
        let before = table[without];
        table[pattern].update(|_, j| before.0[j] - (column[j] + column[j]));
    }
}

/// A floating-point number.
pub(super) trait Number:
    Copy
    + Default
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + AddAssign
    + Into<f64>
    + 'static
{
}

impl Number for f32 {}
impl Number for f64 {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors of pseudo-random bits (xorshift).
    fn signs(count: usize, shape: &[i64], kind: Kind) -> Signs {
        let bytes_each = (shape.iter().product::<i64>() as usize).div_ceil(8);
        let mut state = 88_172_645_463_325_252u64;
        let mut byte = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        };
        let bytes = (0..count * bytes_each).map(|_| byte()).collect();
        Signs::new(bytes, bytes_each, shape, (kind, Device::Cpu))
    }

    #[test]
    fn lookup_is_the_matrix_product() {
        for (from, samples) in [(784, 256), (97, 70), (5, 33), (6, 64)] {
            let signs = signs(7, &[20, from], Kind::Double);
            let x = Tensor::randn([samples, from], (Kind::Double, Device::Cpu));
            let found = signs
                .times(&TiledMatrix::of(&x).unwrap())
                .expect("enough rows");
            let expected = signs.dense().matmul(&x.tr());
            let error = (found - expected).abs().max().double_value(&[]);
            assert!(error < 1e-11, "{from} × {samples}: {error}");
        }
    }

    #[test]
    fn few_rows_or_samples_are_left_to_the_matrix_product() {
        let x = Tensor::ones([256, 30], (Kind::Float, Device::Cpu));
        let columns = TiledMatrix::of(&x).expect("enough samples");
        assert!(signs(1, &[20, 30], Kind::Float).times(&columns).is_none());
        assert!(TiledMatrix::of(&x.narrow(0, 0, 15)).is_none());
    }
}
