//! Maps that scale, shift and sum channels, each in one pass over memory.

use crate::problem::sign_products::Number;
use tch::{Device, Kind, Tensor};

/// `z[k, n, c, t] = s[c] x[k, n, c, t] + y[n, c, t] a[k, c] + b[k, c]`, of which absent terms are zero.
#[derive(Clone, Copy, Default)]
pub(super) struct ChannelSum<'a> {
    /// `x: [K, N, C, *]` and `s: [C, ..]`.
    pub scaled: Option<(&'a Tensor, &'a Tensor)>,
    /// `y: [N, C, *]` and `a: [K, C, ..]`.
    pub weighted: Option<(&'a Tensor, &'a Tensor)>,
    /// `b: [K, C, ..]`.
    pub shift: Option<&'a Tensor>,
}

impl ChannelSum<'_> {
    /// z for K vectors over samples of the shape `[N, C, *]`.
    ///
    /// Of libtorch's operations each would be a pass of its own, and one that broadcasts along
    /// channels runs position by position where these are few.
    pub fn of(self, k: i64, samples: &[i64]) -> Tensor {
        let like = self.scaled.or(self.weighted).map(|(x, _)| x).or(self.shift);
        let like = like.expect("a sum has terms");
        match (like.device(), like.kind()) {
            (Device::Cpu, Kind::Float) => self.on_cpu::<f32>(k, samples, Kind::Float),
            (Device::Cpu, Kind::Double) => self.on_cpu::<f64>(k, samples, Kind::Double),
            _ => self.by_tensors(k, samples),
        }
    }

    fn on_cpu<F: Number>(self, k: i64, samples: &[i64], kind: Kind) -> Tensor {
        let z = Tensor::empty([&[k], samples].concat(), (kind, Device::Cpu));
        let whole = |t: Option<&Tensor>| t.map(Tensor::contiguous);
        let (x, s) = self.scaled.unzip();
        let (y, a) = self.weighted.unzip();
        let [x, s, y, a, b] = [x, s, y, a, self.shift].map(whole);
        let [x, s, y, a, b] = [&x, &s, &y, &a, &b].map(|t| numbers::<F>(t.as_ref()));
        let (c, t) = channels_and_positions(samples);
        let all = samples.iter().product::<i64>() as usize;
        let zero = F::default();
        for (row, z) in numbers_mut::<F>(&z).chunks_mut(t).enumerate() {
            let (k, channel) = (row * t / all, row % c);
            let s = s.map_or(zero, |s| s[channel]);
            let a = a.map_or(zero, |a| a[k * c + channel]);
            let b = b.map_or(zero, |b| b[k * c + channel]);
            let x = x.map(|x| &x[row * t..][..t]);
            let y = y.map(|y| &y[row * t % all..][..t]);
            match (x, y) {
                (Some(x), Some(y)) => {
                    for (z, (x, y)) in z.iter_mut().zip(x.iter().zip(y)) {
                        *z = *x * s + (*y * a + b);
                    }
                }
                (Some(x), None) => z.iter_mut().zip(x).for_each(|(z, x)| *z = *x * s + b),
                (None, Some(y)) => z.iter_mut().zip(y).for_each(|(z, y)| *z = *y * a + b),
                (None, None) => z.fill(b),
            }
        }
        z
    }

    fn by_tensors(self, k: i64, samples: &[i64]) -> Tensor {
        let ones = vec![1; samples.len() - 2];
        let along = |s: &Tensor| s.reshape([&[-1], ones.as_slice()].concat());
        let each = |a: &Tensor| a.reshape([&[k, 1, samples[1]], ones.as_slice()].concat());
        let scaled = self.scaled.map(|(x, s)| x * along(s));
        let weighted = self.weighted.map(|(y, a)| y * each(a));
        let shift = self
            .shift
            .map(|b| each(b).expand([&[k], samples].concat(), false));
        let terms = [scaled, weighted, shift].into_iter().flatten();
        terms.reduce(|a, b| a + b).expect("a sum has terms")
    }
}

/// `Σ_nt x[k, n, c, t] y[n, c, t]`, or `Σ_nt x[k, n, c, t]` without y: `[K, N, C, *] -> [K, C]`.
/// Positions of one channel are summed in the working precision, on the CPU all else in float64.
pub(super) fn channel_sums(x: &Tensor, y: Option<&Tensor>) -> Tensor {
    match (x.device(), x.kind()) {
        (Device::Cpu, Kind::Float) => sums_on_cpu::<f32>(x, y),
        (Device::Cpu, Kind::Double) => sums_on_cpu::<f64>(x, y),
        _ => {
            let size = x.size();
            let x = y.map_or_else(|| x.shallow_clone(), |y| x * y);
            let x = x.reshape([size[0], size[1], size[2], -1]);
            x.sum_dim_intlist([1, 3].as_slice(), false, None::<Kind>)
        }
    }
}

fn sums_on_cpu<F: Number>(x: &Tensor, y: Option<&Tensor>) -> Tensor {
    let (size, kind) = (x.size(), x.kind());
    let (x, y) = (x.contiguous(), y.map(Tensor::contiguous));
    let (c, t) = channels_and_positions(&size[1..]);
    let all = size[1..].iter().product::<i64>() as usize;
    let mut sums = vec![0.0f64; size[0] as usize * c];
    let y = numbers::<F>(y.as_ref());
    for (row, x) in numbers_of::<F>(&x).chunks(t).enumerate() {
        let sum = match y {
            Some(y) => inner(x, &y[row * t % all..][..t]),
            None => sum(x),
        };
        sums[row * t / all * c + row % c] += sum.into();
    }
    Tensor::from_slice(&sums)
        .view([size[0], c as i64])
        .to_kind(kind)
}

/// Numbers that are summed side by side.
const LANES: usize = 16;

fn sum<F: Number>(x: &[F]) -> F {
    let mut lanes = [F::default(); LANES];
    let (whole, rest) = x.as_chunks::<LANES>();
    for x in whole {
        lanes.iter_mut().zip(x).for_each(|(sum, x)| *sum += *x);
    }
    lanes
        .iter()
        .chain(rest)
        .fold(F::default(), |sum, x| sum + *x)
}

fn inner<F: Number>(x: &[F], y: &[F]) -> F {
    let mut lanes = [F::default(); LANES];
    let ((whole, rest), (by, last)) = (x.as_chunks::<LANES>(), y.as_chunks::<LANES>());
    for (x, y) in whole.iter().zip(by) {
        for (sum, (x, y)) in lanes.iter_mut().zip(x.iter().zip(y)) {
            *sum += *x * *y;
        }
    }
    let rest = rest
        .iter()
        .zip(last)
        .fold(F::default(), |sum, (x, y)| sum + *x * *y);
    lanes.iter().fold(rest, |sum, x| sum + *x)
}

/// Of samples `[N, C, *]`.
fn channels_and_positions(samples: &[i64]) -> (usize, usize) {
    (
        samples[1] as usize,
        samples[2..].iter().product::<i64>() as usize,
    )
}

fn numbers<F: Number>(t: Option<&Tensor>) -> Option<&[F]> {
    t.map(numbers_of)
}

/// The numbers of a contiguous tensor on the CPU, in its own kind.
#[allow(unsafe_code)]
pub(super) fn numbers_of<F: Number>(t: &Tensor) -> &[F] {
    assert!(t.is_contiguous() && t.kind().elt_size_in_bytes() == size_of::<F>());
    // SAFETY: so many numbers of that size lie there, as long as the tensor lives.
    unsafe { std::slice::from_raw_parts(t.data_ptr().cast(), t.numel()) }
}

/// The numbers of a contiguous tensor on the CPU that nothing else knows yet, in its own kind.
#[allow(unsafe_code, clippy::mut_from_ref)]
pub(super) fn numbers_mut<F: Number>(t: &Tensor) -> &mut [F] {
    assert!(t.is_contiguous() && t.kind().elt_size_in_bytes() == size_of::<F>());
    // SAFETY: so many numbers of that size lie there, and nothing else reads or writes them.
    unsafe { std::slice::from_raw_parts_mut(t.data_ptr().cast(), t.numel()) }
}
