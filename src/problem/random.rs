//! Random numbers that are a function of their place, not of what was drawn before.

use tch::Tensor;

/// Philox4x32-10 (Salmon, Moraes, Dror, Shaw, SC'11, doi:10.1145/2063384.2063405).
///
/// Maps a 128-bit counter and a 64-bit key to 128 random bits.
pub fn philox(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    const MULTIPLIERS: [u64; 2] = [0xD251_1F53, 0xCD9E_8D57];
    const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
    let (mut c, mut k) = (counter, key);
    for _ in 0..10 {
        let a = MULTIPLIERS[0] * u64::from(c[0]);
        let b = MULTIPLIERS[1] * u64::from(c[2]);
        c = [
            (b >> 32) as u32 ^ c[1] ^ k[0],
            b as u32,
            (a >> 32) as u32 ^ c[3] ^ k[1],
            a as u32,
        ];
        k = [k[0].wrapping_add(WEYL[0]), k[1].wrapping_add(WEYL[1])];
    }
    c
}

/// The last word of a counter that stands for drawn targets; probes count their spaces from 0 up.
const TARGETS: u32 = 0xff00_0000;

/// Uniform numbers in (0, 1) for the targets of samples `first..first + N`, always the same for a
/// sample: `[draws, *shape]` in float64, `shape` beginning with N.
pub(super) fn uniform_targets(draws: u32, first: u64, shape: &[i64]) -> Tensor {
    let each: i64 = shape[1..].iter().product();
    let mut numbers = Vec::with_capacity((i64::from(draws) * shape[0] * each) as usize);
    for draw in 0..draws {
        for sample in first..first + shape[0] as u64 {
            for entry in 0..each as u32 {
                let place = [entry, draw, sample as u32, TARGETS | (sample >> 32) as u32];
                let [word, ..] = philox(place, [0, 0]);
                numbers.push((f64::from(word) + 0.5) / 2f64.powi(32));
            }
        }
    }
    Tensor::from_slice(&numbers).reshape([&[i64::from(draws)], shape].concat())
}
