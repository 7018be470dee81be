//! Sign vectors as bits, and products with them by table lookup.

use std::ops::{Add, AddAssign, Sub};
use tch::{Device, Kind, Tensor};

/// K sign vectors in the shape of one tensor: a bit an entry, +1 where it is 0.
pub struct Signs {
    /// Vector after vector, each from a whole byte on, entries in rising bits; padded for words.
    bytes: Vec<u8>,
    bytes_each: usize,
    count: usize,
    shape: Vec<i64>,
    kind: Kind,
    device: Device,
}

/// Entries of a vector from one table: 2⁵ sums of 32 samples are 4 KiB.
const GROUP: usize = 5;
const ENTRIES: usize = 1 << GROUP;
/// Samples that are summed at once, in a few registers.
const TILE: usize = 32;
/// Groups whose tables are kept at once, in the first cache; their bits fit a word.
const TABLES: usize = 8;
/// Rows whose sums are kept at once, in the second cache.
const ROWS: usize = 2048;
/// Fewer rows than this are multiplied faster as numbers than tables are made.
const FEWEST_ROWS: usize = 128;

impl Signs {
    /// From `count` vectors of bits, `bytes_each` bytes a vector.
    pub fn new(
        mut bytes: Vec<u8>,
        bytes_each: usize,
        shape: &[i64],
        (kind, device): (Kind, Device),
    ) -> Self {
        let count = bytes.len() / bytes_each;
        bytes.extend([0; size_of::<u64>()]);
        Self {
            bytes,
            bytes_each,
            count,
            shape: shape.to_vec(),
            kind,
            device,
        }
    }

    /// How many vectors there are, K.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The vectors as numbers: `[K, *shape]`.
    pub fn dense(&self) -> Tensor {
        /// The signs of every byte.
        const OF_BYTE: [[f32; 8]; 256] = {
            let mut signs = [[1.0; 8]; 256];
            let mut i = 0;
            while i < 256 * 8 {
                if (i / 8) >> (i % 8) & 1 == 1 {
                    signs[i / 8][i % 8] = -1.0;
                }
                i += 1;
            }
            signs
        };
        let numel: usize = self.shape.iter().product::<i64>() as usize;
        let mut signs: Vec<f32> = Vec::with_capacity(self.count * numel + 8);
        for k in 0..self.count {
            let bytes = &self.bytes[k * self.bytes_each..][..numel.div_ceil(8)];
            for &byte in bytes {
                signs.extend_from_slice(&OF_BYTE[usize::from(byte)]);
            }
            signs.truncate((k + 1) * numel);
        }
        let shape = [&[self.count as i64], self.shape.as_slice()].concat();
        let signs = Tensor::from_slice(&signs).reshape(shape);
        signs.to_kind(self.kind).to_device(self.device)
    }

    /// `V_k xᵀ` of matrices `V_k: [rows, from]` with `x: [N, from]`: `[K, rows, N]`.
    ///
    /// Five entries of a row together have 32 sign patterns, whose sums over x are made once for all
    /// rows, so that a row takes `from / 5` additions a sample and no multiplication: a fraction of
    /// the time of a matrix product (the method of Arlazarov, Dinic, Kronrod, Faradzev, Dokl. Akad.
    /// Nauk SSSR 194, 1970). `None` where a matrix product is the faster way.
    pub fn times(&self, x: &TiledMatrix) -> Option<Tensor> {
        let (rows, from) = (self.shape[0] as usize, x.from());
        if self.count * rows < FEWEST_ROWS {
            return None;
        }
        let first = |row: usize| row / rows * self.bytes_each * 8 + row % rows * from;
        let places: Vec<usize> = (0..self.count * rows).map(first).collect();
        let shape = [self.count as i64, self.shape[0], x.samples];
        let result = Tensor::empty(shape, (self.kind, self.device));
        match self.kind {
            Kind::Float => sums::<f32>(x, &self.bytes, &places, &result),
            Kind::Double => sums::<f64>(x, &self.bytes, &places, &result),
            _ => return None,
        }
        Some(result)
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
}

/// The 57 or more bits from `bit` on.
fn word(bytes: &[u8], bit: usize) -> u64 {
    let bytes = bytes[bit / 8..].first_chunk().expect("the bits are padded");
    u64::from_le_bytes(*bytes) >> (bit % 8)
}

/// Numbers of 32 samples, on lines of the cache: a register that lies across two takes two loads.
#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Tile<F>([F; TILE]);

/// The samples of x summed with the signs of every row, whose bits begin at `places`: into
/// `result: [K, rows, N]`.
#[allow(unsafe_code)]
fn sums<F: Number>(x: &TiledMatrix, bytes: &[u8], places: &[usize], result: &Tensor) {
    let samples = x.samples as usize;
    // SAFETY: contiguous tensors of this kind on the CPU; nothing else knows the result yet.
    let (tiles, result) = unsafe {
        (
            std::slice::from_raw_parts(x.tiles.data_ptr().cast::<F>(), x.tiles.numel()),
            std::slice::from_raw_parts_mut(result.data_ptr().cast::<F>(), result.numel()),
        )
    };
    let mut sums = vec![Tile::<F>::default(); ROWS.min(places.len())];
    for (index, tile) in tiles.as_chunks().0.chunks(x.from()).enumerate() {
        let first = index * TILE;
        let width = TILE.min(samples - first);
        for (places, rows) in places.chunks(ROWS).zip(result.chunks_mut(ROWS * samples)) {
            let sums = &mut sums[..places.len()];
            sums.fill(Tile::default());
            add_signed(tile, bytes, places, sums);
            for (sums, row) in sums.iter().zip(rows.chunks_mut(samples)) {
                row[first..first + width].copy_from_slice(&sums.0[..width]);
            }
        }
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
        let groups = columns.chunks(GROUP).chain(std::iter::repeat(&[][..]));
        for (table, group) in tables.iter_mut().zip(groups) {
            tabulate(group, table);
        }
        let (first, mask) = (block * GROUP * TABLES, (1u64 << columns.len()) - 1);
        for (sums, place) in rows.iter_mut().zip(places) {
            let word = word(bytes, place + first) & mask;
            let mut total = *sums;
            for (t, table) in tables.iter().enumerate() {
                let entry = &table[(word >> (GROUP * t)) as usize % ENTRIES];
                for (total, entry) in total.0.iter_mut().zip(&entry.0) {
                    *total += *entry;
                }
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
        for (sum, x) in table[0].0.iter_mut().zip(column) {
            *sum += *x;
        }
    }
    for pattern in 1..1usize << columns.len() {
        // One sign more than in the pattern without its lowest bit.
        let without = pattern & (pattern - 1);
        let column = columns[pattern.trailing_zeros() as usize];
        #[expect(
            clippy::needless_range_loop,
            reason = "iterators are not vectorised here"
        )]
        for j in 0..TILE {
            table[pattern].0[j] = table[without].0[j] - (column[j] + column[j]);
        }
    }
}

/// A floating-point number.
trait Number: Copy + Default + Add<Output = Self> + Sub<Output = Self> + AddAssign {}

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

    #[test]
    fn numbers_are_the_bits() {
        let signs = Signs::new(
            vec![0b0000_0101, 0b10],
            2,
            &[3, 3],
            (Kind::Float, Device::Cpu),
        );
        let dense: Vec<f32> = Vec::try_from(signs.dense().flatten(0, -1)).expect("floats");
        assert_eq!(dense, [-1., 1., -1., 1., 1., 1., 1., 1., 1.]);
    }
}
