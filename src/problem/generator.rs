//! PyTorch's CPU random generator, draw for draw, without libtorch's process-wide state.
//!
//! libtorch keeps one generator per process; an experiment needs one per seed, on any thread. The
//! engine is MT19937 seeded as its reference implementation does (Matsumoto and Nishimura, ACM
//! TOMACS 8:3, 1998, doi:10.1145/272991.272995); the distributions repeat PyTorch's arithmetic.
//! `tests/torch_generator.rs` compares every method with libtorch itself, bit for bit.

use rand_mt::Mt;
use std::f64::consts::TAU;

/// One stream of PyTorch's CPU generator, as `torch.Generator().manual_seed(seed)` starts it.
#[derive(Clone, Debug)]
pub struct TorchGenerator {
    engine: Box<Mt>,
}

impl TorchGenerator {
    /// The generator after `manual_seed(seed)`; like PyTorch's it takes the low 32 bits.
    pub fn seeded(seed: u64) -> Self {
        Self {
            engine: Box::new(Mt::new(seed as u32)),
        }
    }

    /// `torch.empty((), dtype=torch.int64).random_()`: uniform on `[0, 2^63)`, two words.
    pub fn int63(&mut self) -> i64 {
        (self.word64() & (u64::MAX >> 1)) as i64
    }

    /// `torch.empty(n).uniform_(from, to)` in float32: one word per element, in order.
    pub fn uniform(&mut self, n: usize, from: f64, to: f64) -> Vec<f32> {
        let (from, to) = (from as f32, to as f32);
        let unit = 1.0 / (1u32 << 24) as f32;
        (0..n)
            .map(|_| {
                let x = (self.engine.next_u32() & 0x00ff_ffff) as f32 * unit;
                // libtorch's kernels are compiled with fused multiply-add.
                x.mul_add(to - from, from)
            })
            .collect()
    }

    /// `torch.empty(n).normal_()` in float32, up to the last bits: Box and Muller's method, eight
    /// pairs at a time for 16 numbers or more, the last 16 of them drawn anew where n is no multiple
    /// of 16; pair by pair in float64 for fewer.
    pub fn normal(&mut self, n: usize) -> Vec<f32> {
        if n < 16 {
            let pairs = (0..n.div_ceil(2)).flat_map(|_| self.normal_pair());
            return pairs.take(n).collect();
        }
        let mut values = self.uniform(n, 0.0, 1.0);
        values.chunks_exact_mut(16).for_each(box_muller);
        if !n.is_multiple_of(16) {
            let last = &mut values[n - 16..];
            last.copy_from_slice(&self.uniform(16, 0.0, 1.0));
            box_muller(last);
        }
        values
    }

    fn normal_pair(&mut self) -> [f32; 2] {
        let mut unit = || (self.word64() & ((1 << 53) - 1)) as f64 / (1u64 << 53) as f64;
        let (angle, u) = (TAU * unit(), unit());
        let radius = (-2.0 * (-u).ln_1p()).sqrt();
        [angle.cos(), angle.sin()].map(|x| (radius * x) as f32)
    }

    /// `torch.randperm(n)`: Fisher-Yates from the front, one word per step.
    pub fn permutation(&mut self, n: usize) -> Vec<i64> {
        let mut order: Vec<i64> = (0..n as i64).collect();
        for i in 0..n.saturating_sub(1) {
            let offset = self.engine.next_u32() as usize % (n - i);
            order.swap(i, i + offset);
        }
        order
    }

    /// `(torch.rand(n) < 0.5) * 2 - 1` in float32: +1 where bit 23 of the word is 0.
    pub fn fill_signs_f32(&mut self, out: &mut [f32]) {
        for sign in out {
            let bit = (self.engine.next_u32() >> 23) & 1;
            *sign = f32::from_bits(1f32.to_bits() | (bit << 31));
        }
    }

    /// Random signs in float64, whose uniform is 53 bits of two words: +1 where bit 52 is 0.
    pub fn fill_signs_f64(&mut self, out: &mut [f64]) {
        for sign in out {
            let bit = (self.word64() >> 52) & 1;
            *sign = f64::from_bits(1f64.to_bits() | (bit << 63));
        }
    }

    /// Passes over `words` 32-bit words.
    pub fn skip(&mut self, words: u64) {
        for _ in 0..words {
            self.engine.next_u32();
        }
    }

    fn word64(&mut self) -> u64 {
        let high = u64::from(self.engine.next_u32());
        let low = u64::from(self.engine.next_u32());
        (high << 32) | low
    }
}

/// Sixteen uniform numbers as eight radii and eight angles, replaced by normal ones.
fn box_muller(values: &mut [f32]) {
    let (radii, angles) = values.split_at_mut(8);
    for (u, v) in radii.iter_mut().zip(angles) {
        let radius = (-2.0 * (1.0 - *u).ln()).sqrt();
        let angle = TAU as f32 * *v;
        (*u, *v) = (radius * angle.cos(), radius * angle.sin());
    }
}
