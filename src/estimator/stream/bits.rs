//! The random bits of a space on the CPU, and the entries of probes that are made of them.

use crate::estimator::Probe;
use crate::problem::random::philox;
use crate::problem::{SignTable, write_signs};
use rayon::prelude::*;
use tch::{Device, Kind, Tensor};

/// Fills the rows of a new CPU tensor in place.
#[allow(unsafe_code)]
fn fill<T: Send>(rows: &Tensor, numel: i64, row: &(dyn Fn(u64, &mut [T]) + Sync)) {
    assert!(rows.is_contiguous() && rows.device() == Device::Cpu && numel > 0);
    // SAFETY: the tensor is contiguous, on the CPU, of kind T, and not yet shared.
    let data = unsafe { std::slice::from_raw_parts_mut(rows.data_ptr().cast(), rows.numel()) };
    each_row(data, numel as usize, row);
}

/// `row(k, entries)` for every row of so many entries, side by side unless this job has one thread.
pub(super) fn each_row<T: Send>(
    rows: &mut [T],
    numel: usize,
    row: &(dyn Fn(u64, &mut [T]) + Sync),
) {
    let alone = tch::get_num_threads() == 1 || rows.len() <= numel;
    match alone {
        true => (0..)
            .zip(rows.chunks_mut(numel))
            .for_each(|(k, out)| row(k, out)),
        false => {
            let rows = rows.par_chunks_mut(numel).enumerate();
            rows.for_each(|(k, out)| row(k as u64, out));
        }
    }
}

/// The words of a block in memory, lowest byte first.
pub(super) fn bytes_of(words: [u32; 4]) -> [u8; 16] {
    let joined = words
        .iter()
        .rev()
        .fold(0, |bits, &word| bits << 32 | u128::from(word));
    joined.to_le_bytes()
}

/// The random bits of one space and batch under one key.
#[derive(Clone, Copy)]
pub(super) struct RandomBits {
    pub(super) key: [u32; 2],
    pub(super) batch: u32,
    pub(super) space: u32,
}

impl RandomBits {
    pub(super) fn block(&self, probe: u64, block: u32) -> [u32; 4] {
        let probe = u32::try_from(probe).expect("fewer than 2^32 probes");
        philox([block, probe, self.batch, self.space], self.key)
    }

    /// Entries `before..before + n` of probes `first..first + K` as rows `[K, n]` on the CPU.
    pub(super) fn rows(
        &self,
        probe: Probe,
        first: u64,
        before: u64,
        size: [i64; 2],
        kind: Kind,
    ) -> Tensor {
        let rows = Tensor::empty(size, (kind, Device::Cpu));
        match kind {
            Kind::Float => fill::<f32>(&rows, size[1], &|k, out| {
                self.fill(probe, first + k, before, out)
            }),
            Kind::Double => fill::<f64>(&rows, size[1], &|k, out| {
                self.fill(probe, first + k, before, out)
            }),
            kind => unreachable!("probes are float32 or float64, not {kind:?}"),
        }
        rows
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
            write_signs(&bytes_of(self.block(probe, block)), out);
        });
    }

    /// Box and Muller (Ann. Math. Stat. 29:2, 1958): a block of four words gives four normals.
    fn normals<T: Entry>(&self, probe: u64, before: u64, out: &mut [T]) {
        // The midpoints of 2^32 equal intervals: never 0, never 1.
        let unit = |word: u32| (f64::from(word) + 0.5) / 4_294_967_296.0;
        let pair = |a, b| {
            let radius = (-2.0 * unit(a).ln()).sqrt();
            let (sin, cos) = (std::f64::consts::TAU * unit(b)).sin_cos();
            [radius * cos, radius * sin]
        };
        by_blocks::<T, 4>(before, out, |block, out| {
            let [a, b, c, d] = self.block(probe, block);
            let values = [pair(a, b), pair(c, d)];
            for (i, x) in out.iter_mut().enumerate() {
                *x = T::from_f64(values.as_flattened()[i]);
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
        let mut entries = [T::default(); SIZE];
        fill(block as u32, &mut entries);
        rest.copy_from_slice(&entries[skipped..][..rest.len()]);
        block += 1;
    }
    for (index, entries) in whole.chunks_mut(SIZE).enumerate() {
        fill(block as u32 + index as u32, entries);
    }
}

/// A floating-point type that probes are made of.
trait Entry: SignTable + Default + Send + Into<f64> {
    fn from_f64(value: f64) -> Self;
}

impl Entry for f32 {
    fn from_f64(value: f64) -> Self {
        value as Self
    }
}

impl Entry for f64 {
    fn from_f64(value: f64) -> Self {
        value
    }
}

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
