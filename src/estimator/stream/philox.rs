//! Counter-based probes: any entry of any probe can be computed by itself.

use crate::estimator::Probe;
use crate::problem::Signs;
use crate::problem::random::philox;
use rayon::prelude::*;
use tch::{Device, Kind, Tensor};

/// What a vector lives in; part of the counter, so that no two spaces share random numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// The parameter of this index.
    Parameter(usize),
    /// The output of the layer of this index, for every sample.
    Activation(usize),
    /// The output of the layer of this index, at which the own curvature of layers above stands as
    /// a diagonal, for every sample.
    DiagonalCurvature(usize),
    /// A root of the own curvature of the layer of this index, where that is no diagonal, for every
    /// sample.
    NonDiagonalCurvature(usize),
    /// The columns of the loss's root, for every sample.
    Loss,
    /// The parameter of this index, one vector per sample.
    SampleParameter(usize),
    /// The parameter of this index, for a second set of vectors, independent of the first.
    SecondParameter(usize),
    /// The parameter of this index, for a third set of vectors, independent of the other two.
    ThirdParameter(usize),
}

impl Space {
    /// The last word of the counter: the kind of space in the top byte, its index below.
    fn word(self) -> u32 {
        let (kind, index) = match self {
            Self::Parameter(index) => (0, index),
            Self::Activation(index) => (1, index),
            Self::DiagonalCurvature(index) => (2, index),
            Self::Loss => (3, 0),
            Self::SampleParameter(index) => (4, index),
            Self::SecondParameter(index) => (5, index),
            Self::ThirdParameter(index) => (6, index),
            Self::NonDiagonalCurvature(index) => (7, index),
        };
        (kind << 24) | u32::try_from(index).expect("fewer than 2^24 layers")
    }
}

/// Independent random vectors, addressed by seed, batch, space and probe index.
///
/// Entry j of probe k comes from the counter (j's block, k, batch, space) under the key `seed`: it
/// does not depend on how many probes are drawn at once, on threads, on the device, or on how the
/// samples of the batch are cut into slices.
#[derive(Clone, Copy, Debug)]
pub struct PhiloxStream {
    key: [u32; 2],
    batch: u32,
    /// The number within the batch of the first sample that vectors over samples are for.
    first_sample: u64,
    kind: Kind,
    device: Device,
}

impl PhiloxStream {
    /// Vectors of this kind, computed on the CPU and moved to `device`.
    pub fn new(seed: u64, kind: Kind, device: Device) -> Self {
        Self {
            key: [seed as u32, (seed >> 32) as u32],
            batch: 0,
            first_sample: 0,
            kind,
            device,
        }
    }

    /// Vectors of their own for the batch of this index; a new stream is that of batch 0.
    pub fn of_batch(self, index: usize) -> Self {
        let batch = u32::try_from(index).expect("fewer than 2^32 batches");
        Self { batch, ..self }
    }

    /// Vectors `[N, *]` for the samples from number `first` of the batch on: the rows that the whole
    /// batch would draw for them. Means nothing for a [`Space`] without samples or for
    /// [`Probe::Sphere`].
    pub fn at_sample(self, first: u64) -> Self {
        Self {
            first_sample: first,
            ..self
        }
    }

    /// The signs of [`PhiloxStream::draw`] as bits.
    pub fn signs(&self, space: Space, first: u64, count: u64, shape: &[i64]) -> Signs {
        let blocks = (shape.iter().product::<i64>() as u64).div_ceil(128);
        let source = self.source(space);
        let mut bytes = Vec::with_capacity((count * blocks) as usize * 16);
        for probe in first..first + count {
            for block in 0..blocks {
                for word in source.block(probe, block as u32) {
                    bytes.extend_from_slice(&word.to_le_bytes());
                }
            }
        }
        Signs::new(bytes, blocks as usize * 16, shape, (self.kind, self.device))
    }

    /// Probes `first..first + count`: `[count, *shape]`.
    ///
    /// # Panics
    /// From probe 2^32 on.
    pub fn draw(
        &self,
        probe: Probe,
        space: Space,
        first: u64,
        count: u64,
        shape: &[i64],
    ) -> Tensor {
        let shape = [&[count as i64], shape].concat();
        let numel: i64 = shape[1..].iter().product();
        let vectors = Tensor::empty(&shape, (self.kind, Device::Cpu));
        let source = self.source(space);
        let before = self.first_sample * shape[2.min(shape.len())..].iter().product::<i64>() as u64;
        match self.kind {
            Kind::Float => fill::<f32>(&vectors, numel, &|k, out| {
                source.fill(probe, first + k, before, out)
            }),
            Kind::Double => fill::<f64>(&vectors, numel, &|k, out| {
                source.fill(probe, first + k, before, out)
            }),
            kind => unreachable!("probes are float32 or float64, not {kind:?}"),
        }
        vectors.to_device(self.device)
    }

    fn source(&self, space: Space) -> RandomBits {
        RandomBits {
            key: self.key,
            batch: self.batch,
            space: space.word(),
        }
    }
}

/// Fills the rows of a new CPU tensor in place, side by side unless this job has one thread.
#[allow(unsafe_code)]
fn fill<T: Send>(rows: &Tensor, numel: i64, row: &(dyn Fn(u64, &mut [T]) + Sync)) {
    assert!(rows.is_contiguous() && rows.device() == Device::Cpu && numel > 0);
    // SAFETY: the tensor is contiguous, on the CPU, of kind T, and not yet shared.
    let data = unsafe { std::slice::from_raw_parts_mut(rows.data_ptr().cast(), rows.numel()) };
    let rows = data.len() / numel as usize;
    if tch::get_num_threads() == 1 || rows == 1 {
        let chunks = data.chunks_mut(numel as usize).enumerate();
        chunks.for_each(|(k, out)| row(k as u64, out));
    } else {
        let chunks = data.par_chunks_mut(numel as usize).enumerate();
        chunks.for_each(|(k, out)| row(k as u64, out));
    }
}

/// The random bits of one space and batch under one key.
#[derive(Clone, Copy)]
struct RandomBits {
    key: [u32; 2],
    batch: u32,
    space: u32,
}

impl RandomBits {
    fn block(&self, probe: u64, block: u32) -> [u32; 4] {
        let probe = u32::try_from(probe).expect("fewer than 2^32 probes");
        philox([block, probe, self.batch, self.space], self.key)
    }

    /// Entries `before..` of a probe.
    fn fill<T: Entry>(&self, kind: Probe, probe: u64, before: u64, out: &mut [T]) {
        match kind {
            Probe::Rademacher => self.signs(probe, before, out),
            Probe::Gaussian => self.normals(probe, before, out),
            Probe::Sphere => {
                self.normals(probe, before, out);
                let square: f64 = out.iter().map(|&x| x.into().powi(2)).sum();
                let scale = (out.len() as f64 / square).sqrt();
                out.iter_mut()
                    .for_each(|x| *x = T::from_f64((*x).into() * scale));
            }
        }
    }

    /// One bit a sign, 128 a block, lowest bit first: +1 where it is 0.
    fn signs<T: Entry>(&self, probe: u64, before: u64, out: &mut [T]) {
        by_blocks::<T, 128>(before, out, |block, out| {
            let bits = self.block(probe, block);
            for (word, out) in bits.iter().zip(out.chunks_mut(32)) {
                for (byte, out) in word.to_le_bytes().iter().zip(out.chunks_mut(8)) {
                    out.copy_from_slice(&T::SIGNS[*byte as usize][..out.len()]);
                }
            }
        });
    }

    /// Box and Muller (Ann. Math. Stat. 29:2, 1958): a block of four words gives four normals.
    fn normals<T: Entry>(&self, probe: u64, before: u64, out: &mut [T]) {
        // The midpoints of 2^32 equal intervals: never 0, never 1.
        let unit = |word: u32| (f64::from(word) + 0.5) / 4_294_967_296.0;
        by_blocks::<T, 4>(before, out, |block, out| {
            let words = self.block(probe, block);
            for (pair, out) in words.chunks_exact(2).zip(out.chunks_mut(2)) {
                let radius = (-2.0 * unit(pair[0]).ln()).sqrt();
                let (sin, cos) = (std::f64::consts::TAU * unit(pair[1])).sin_cos();
                for (x, value) in out.iter_mut().zip([radius * cos, radius * sin]) {
                    *x = T::from_f64(value);
                }
            }
        });
    }
}

/// Calls `fill(block, entries)` for all blocks of `SIZE` entries in which `out` lies, when `before`
/// entries stand before it; the last one may be cut short.
fn by_blocks<T: Entry, const SIZE: usize>(
    before: u64,
    out: &mut [T],
    fill: impl Fn(u32, &mut [T]),
) {
    let (mut block, skipped) = (before / SIZE as u64, (before % SIZE as u64) as usize);
    let rest = out.len().min((SIZE - skipped) % SIZE);
    let (rest, whole) = out.split_at_mut(rest);
    if !rest.is_empty() {
        let mut entries = [T::SIGNS[0][0]; SIZE];
        fill(block as u32, &mut entries);
        rest.copy_from_slice(&entries[skipped..][..rest.len()]);
        block += 1;
    }
    for (index, entries) in whole.chunks_mut(SIZE).enumerate() {
        fill(block as u32 + index as u32, entries);
    }
}

/// A floating-point type that probes are made of.
trait Entry: Copy + Send + Into<f64> + 'static {
    /// The eight signs of every byte, lowest bit first.
    const SIGNS: [[Self; 8]; 256];

    fn from_f64(value: f64) -> Self;
}

macro_rules! entry {
    ($float:ty) => {
        impl Entry for $float {
            const SIGNS: [[Self; 8]; 256] = {
                let mut table = [[1.0; 8]; 256];
                let mut i = 0;
                while i < 256 * 8 {
                    if (i / 8) >> (i % 8) & 1 == 1 {
                        table[i / 8][i % 8] = -1.0;
                    }
                    i += 1;
                }
                table
            };

            fn from_f64(value: f64) -> Self {
                value as $float
            }
        }
    };
}

entry!(f32);
entry!(f64);

#[cfg(test)]
mod tests {
    use super::philox;

    /// The known answers that the authors publish with Random123.
    #[test]
    fn known_answers() {
        assert_eq!(
            philox([0; 4], [0; 2]),
            [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]
        );
        assert_eq!(
            philox([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            philox(
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0]
            ),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }
}
