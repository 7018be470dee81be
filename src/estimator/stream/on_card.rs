//! The numbers of Philox on a GPU, made there by libtorch's own operations.
//!
//! No number is copied one by one, and nothing here waits for the card. The bits are those of
//! [`philox`](crate::problem::random::philox) on the CPU; normals agree to rounding.

use tch::{Device, Kind, Tensor};

/// Blocks of one space, side by side in a row for every probe.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    /// The last word of their counters.
    pub(super) space: u32,
    /// The number of the first one.
    pub(super) first: u64,
    /// How many there are.
    pub(super) blocks: u64,
}

/// The key, and what all counters of a draw share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draw {
    pub(super) key: [u32; 2],
    pub(super) batch: u32,
    /// The first probe.
    pub(super) first: u64,
    /// How many probes.
    pub(super) count: u64,
}

const WORD: i64 = 0xffff_ffff;

/// Ten rounds of Philox4x32 for the blocks of all `pieces`: `[K, blocks, 4]`, words as 64-bit
/// integers from 0 on.
///
/// A product of two words wraps around in 64 bits, and both of its halves are right. Cost: about 130
/// operations, whatever there is to draw.
pub(super) fn words(draw: Draw, pieces: &[Piece], device: Device) -> Tensor {
    let options = (Kind::Int64, device);
    let range = |first: u64, count: u64| {
        Tensor::arange_start(first as i64, (first + count) as i64, options)
    };
    let blocks: Vec<Tensor> = pieces.iter().map(|p| range(p.first, p.blocks)).collect();
    let space = |p: &Piece| Tensor::full([p.blocks as i64], i64::from(p.space), options);
    let spaces: Vec<Tensor> = pieces.iter().map(space).collect();
    let row = |parts: &[Tensor]| Tensor::cat(parts, 0).unsqueeze(0);
    let mut c = [
        row(&blocks),
        range(draw.first, draw.count).unsqueeze(1),
        Tensor::full([1, 1], i64::from(draw.batch), options),
        row(&spaces),
    ];
    let mut key = draw.key;
    for _ in 0..10 {
        let [a, b] = [
            c[0].g_mul_scalar(0xD251_1F53i64),
            c[2].g_mul_scalar(0xCD9E_8D57i64),
        ];
        let low = |product: &Tensor| product.bitwise_and(WORD);
        let mix = |product: &Tensor, with: &Tensor, key: u32| {
            let high = low(&product.bitwise_right_shift_tensor_scalar(32i64));
            high.bitwise_xor_tensor(with).bitwise_xor(i64::from(key))
        };
        c = [
            mix(&b, &c[1], key[0]),
            low(&b),
            mix(&a, &c[3], key[1]),
            low(&a),
        ];
        key = [
            key[0].wrapping_add(0x9E37_79B9),
            key[1].wrapping_add(0xBB67_AE85),
        ];
    }
    Tensor::stack(&c, -1)
}

/// Words as the bytes that they have in memory, lowest first: `[K, blocks, 4] -> [K, 16 blocks]`.
pub(super) fn bytes(words: &Tensor) -> Tensor {
    words
        .to_kind(Kind::Int)
        .view_dtype(Kind::Uint8)
        .flatten(1, -1)
}

/// A sign for every bit of `bytes: [K, n]`, lowest first, +1 where it is 0: `[K, 8 n]`.
pub(super) fn signs(bytes: &Tensor, kind: Kind) -> Tensor {
    let places = Tensor::arange(8, (Kind::Uint8, bytes.device()));
    let bits = bytes
        .unsqueeze(-1)
        .bitwise_right_shift(&places)
        .bitwise_and(1);
    let mut signs = bits.flatten(1, -1).to_kind(kind);
    signs *= -2.0;
    signs += 1.0;
    signs
}

/// Four normals from every four words, by Box and Muller: `[K, blocks, 4] -> [K, 4 blocks]`.
pub(super) fn normals(words: &Tensor, kind: Kind) -> Tensor {
    let unit = (words.to_kind(Kind::Double) + 0.5) / 4_294_967_296.0;
    let pairs = unit.unflatten(2, [2, 2]);
    let radius = (pairs.select(-1, 0).log() * -2.0).sqrt();
    let angle = pairs.select(-1, 1) * std::f64::consts::TAU;
    let both = Tensor::stack(&[&radius * angle.cos(), radius * angle.sin()], -1);
    both.flatten(1, -1).to_kind(kind)
}

/// Rows of normals on the sphere of radius `√n`: `[K, n]`.
pub(super) fn on_sphere(normals: &Tensor) -> Tensor {
    let wide = normals.to_kind(Kind::Double);
    let squares = wide.square().sum_dim_intlist(1, true, None::<Kind>);
    let scale = (squares.reciprocal() * normals.size()[1] as f64).sqrt();
    (wide * scale).to_kind(normals.kind())
}

/// A tensor of the machine on a card, by a copy that nobody waits for.
pub(super) fn upload(t: &Tensor, device: Device) -> Tensor {
    match device.is_cuda() {
        true => t
            .internal_pin_memory(device)
            .to_device_(device, t.kind(), true, false),
        false => t.to_device(device),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::random::philox;

    /// The operations take any device: what they give on the CPU is Philox.
    #[test]
    fn words_are_those_of_philox() {
        let draw = Draw {
            key: [0xdead_beef, 0xffff_fff1],
            batch: 3,
            first: 4_000_000_000,
            count: 3,
        };
        let piece = |space, first, blocks| Piece {
            space,
            first,
            blocks,
        };
        let pieces = [piece(5, 7, 2), piece(0x0700_0001, 0, 3)];
        let found = words(draw, &pieces, Device::Cpu);
        assert_eq!(found.size(), [3, 5, 4]);
        let found: Vec<i64> = Vec::try_from(found.flatten(0, -1)).expect("integers");
        let mut wanted = Vec::new();
        for probe in 0..3 {
            for piece in pieces {
                for block in piece.first..piece.first + piece.blocks {
                    let probe = 4_000_000_000u32 + probe;
                    let counter = [block as u32, probe, draw.batch, piece.space];
                    wanted.extend(philox(counter, draw.key).map(i64::from));
                }
            }
        }
        assert_eq!(found, wanted);
    }
}
