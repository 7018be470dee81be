//! Inner products of vectors in the shape of a parameter, in one pass over memory.

use super::signs::{SignTable, Signs};
use rayon::prelude::*;
use std::ops::{AddAssign, Mul};
use tch::{Device, Kind, Tensor};

/// Entries summed in the working precision before they are added up in float64; whole bytes of signs.
const RUN: usize = 1024;
/// Sums that are formed side by side, in a few registers.
const LANES: usize = 32;
/// Entries of a vector that one thread takes.
const PART: usize = 64 * RUN;

/// `Σ v_k ∘ u_k` over all but the first axis, for `v: [K, *shape]` and `u: [K, *shape]`, or `[1, *shape]` for all:
/// `[K]` in float64.
pub(super) fn dot(v: &Tensor, u: &Tensor) -> Tensor {
    match (v.device(), v.kind()) {
        (Device::Cpu, Kind::Float) => of_numbers::<f32>(v, u),
        (Device::Cpu, Kind::Double) => of_numbers::<f64>(v, u),
        _ => {
            let rows = (v * u).sum_dim_intlist(-1, false, None::<Kind>);
            let rows = rows.to_kind(Kind::Double).reshape([v.size()[0], -1]);
            rows.sum_dim_intlist(1, false, None::<Kind>)
        }
    }
}

impl Signs {
    /// `Σ v_k ∘ u_k` over all but the first axis, for `u: [K, *shape]`: `[K]` in float64.
    pub(super) fn dot(&self, u: &Tensor) -> Tensor {
        match self.kind() {
            Kind::Float if self.on_cpu() => self.with_numbers::<f32>(u),
            Kind::Double if self.on_cpu() => self.with_numbers::<f64>(u),
            _ => dot(&self.dense(), u),
        }
    }

    fn with_numbers<F: Entry>(&self, u: &Tensor) -> Tensor {
        let u = u.contiguous();
        rows(self.count(), numbers::<F>(&u), |k, first, u| {
            let bytes = &self.bits()[self.place(k, first) / 8..];
            let mut lanes = [F::default(); 8];
            let signs = |byte: u8| &F::OF_BYTE[usize::from(byte)];
            let (whole, rest) = u.as_chunks();
            for (u, &byte) in whole.iter().zip(bytes) {
                add(&mut lanes, u, signs(byte));
            }
            add(&mut lanes, &padded(rest), signs(bytes[whole.len()]));
            sum(&lanes)
        })
    }
}

fn of_numbers<F: Entry>(v: &Tensor, u: &Tensor) -> Tensor {
    let (count, v, u) = (v.size()[0] as usize, v.contiguous(), u.contiguous());
    let (v, u) = (numbers::<F>(&v), numbers::<F>(&u));
    let numel = v.len() / count.max(1);
    let row = |k| if u.len() == numel { 0 } else { k * numel };
    rows(count, v, |k, first, v| {
        let mut lanes = [F::default(); LANES];
        let (whole_v, rest_v) = v.as_chunks();
        let (whole_u, rest_u) = u[row(k) + first..][..v.len()].as_chunks();
        for (v, u) in whole_v.iter().zip(whole_u) {
            add(&mut lanes, v, u);
        }
        add(&mut lanes, &padded(rest_v), &padded(rest_u));
        sum(&lanes)
    })
}

/// Adds `v ∘ u` to the lanes.
fn add<F: Entry, const N: usize>(lanes: &mut [F; N], v: &[F; N], u: &[F; N]) {
    for i in 0..N {
        lanes[i] += v[i] * u[i];
    }
}

/// Fewer than N entries, zeros behind them.
fn padded<F: Entry, const N: usize>(rest: &[F]) -> [F; N] {
    let mut entries = [F::default(); N];
    entries[..rest.len()].copy_from_slice(rest);
    entries
}

/// The sums of `run(k, first, entries)` over the runs of `count` vectors, side by side unless this
/// job has one thread: `[count]`.
fn rows<F: Entry>(
    count: usize,
    numbers: &[F],
    run: impl Fn(usize, usize, &[F]) -> f64 + Sync,
) -> Tensor {
    let numel = numbers.len() / count.max(1);
    let part = |k: usize, index: usize, part: &[F]| -> f64 {
        let runs = part.chunks(RUN).enumerate();
        runs.map(|(i, entries)| run(k, index * PART + i * RUN, entries))
            .sum()
    };
    let alone = tch::get_num_threads() == 1 || numel <= PART;
    let row = |(k, row): (usize, &[F])| -> f64 {
        let part = |(index, entries)| part(k, index, entries);
        match alone {
            true => row.chunks(PART).enumerate().map(part).sum(),
            // In order, so that the sum is the same whichever thread is done first.
            false => {
                let parts: Vec<f64> = row.par_chunks(PART).enumerate().map(part).collect();
                parts.iter().sum()
            }
        }
    };
    let sums: Vec<f64> = numbers.chunks(numel.max(1)).enumerate().map(row).collect();
    Tensor::from_slice(&sums)
}

fn sum<F: Entry>(lanes: &[F]) -> f64 {
    lanes.iter().map(|&lane| lane.into()).sum()
}

/// The entries of a tensor.
#[allow(unsafe_code)]
fn numbers<F: Entry>(t: &Tensor) -> &[F] {
    assert!(t.is_contiguous() && t.device() == Device::Cpu && t.kind() == F::KIND);
    // SAFETY: a contiguous tensor of this kind on the CPU, which lives as long as the slice.
    unsafe { std::slice::from_raw_parts(t.data_ptr().cast(), t.numel()) }
}

/// A floating-point number.
trait Entry: SignTable + Default + AddAssign + Mul<Output = Self> + Into<f64> + Send + Sync {
    const KIND: Kind;
}

impl Entry for f32 {
    const KIND: Kind = Kind::Float;
}

impl Entry for f64 {
    const KIND: Kind = Kind::Double;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lengths within a byte, a run, a part, and over several of each.
    #[test]
    fn numbers_and_signs_give_the_sums() {
        for numel in [1i64, 13, 1024, 1500, (PART + 4321) as i64] {
            let bytes_each = (numel as usize).div_ceil(8);
            let bytes = (0..3 * bytes_each).map(|i| (i * i % 251) as u8).collect();
            let signs = Signs::new(bytes, bytes_each, &[numel], (Kind::Double, Device::Cpu));
            let u = Tensor::randn([numel, 3], (Kind::Double, Device::Cpu)).tr();
            let expected = (signs.dense() * &u).sum_dim_intlist(1, false, None::<Kind>);
            for found in [signs.dot(&u), dot(&signs.dense(), &u)] {
                let error = (found - &expected).abs().max().double_value(&[]);
                assert!(
                    error < 1e-11 * numel as f64,
                    "{numel} entries: off by {error:e}"
                );
            }
        }
    }
}
