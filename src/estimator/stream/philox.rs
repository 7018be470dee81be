//! Counter-based probes: any entry of any probe can be computed by itself.

use super::bits::{RandomBits, bytes_of, each_row};
use super::on_card::{self, Draw, Piece, upload};
use crate::estimator::Probe;
use crate::problem::Signs;
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
    /// Vectors of this kind on `device`.
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
        let space = space.word();
        let piece = Piece {
            space,
            first: 0,
            blocks,
        };
        let bytes = self.bytes(&[piece], first, count);
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
        match self.device.is_cuda() {
            true => self
                .on_card(probe, &[(space, shape)], first, count)
                .remove(0),
            false => self.on_cpu(probe, space, first, count, shape),
        }
    }

    /// Probes `first..first + count` of several spaces, each with the shape of its vectors: one
    /// `[count, *shape]` for each. On a card they share one copy, or one set of operations.
    ///
    /// # Panics
    /// From probe 2^32 on.
    pub fn draw_each(
        &self,
        probe: Probe,
        wanted: &[(Space, &[i64])],
        first: u64,
        count: u64,
    ) -> Vec<Tensor> {
        let one = |(space, shape): &(Space, &[i64])| self.draw(probe, *space, first, count, shape);
        match self.device.is_cuda() {
            true => self.on_card(probe, wanted, first, count),
            false => wanted.iter().map(one).collect(),
        }
    }

    fn on_cpu(&self, probe: Probe, space: Space, first: u64, count: u64, shape: &[i64]) -> Tensor {
        let (source, before) = (self.bits(space.word()), self.before(shape));
        let size = [count as i64, shape.iter().product()];
        let rows = source.rows(probe, first, before, size, self.kind);
        rows.reshape([&size[..1], shape].concat())
    }

    /// Blocks of all spaces lie side by side; few are made by the CPU and copied, signs as bits.
    fn on_card(
        &self,
        probe: Probe,
        wanted: &[(Space, &[i64])],
        first: u64,
        count: u64,
    ) -> Vec<Tensor> {
        let per_block = per_block(probe);
        let piece = |(space, shape): &(Space, &[i64])| {
            let before = self.before(shape);
            let end = before + shape.iter().product::<i64>() as u64;
            let (first, space) = (before / per_block, space.word());
            let blocks = end.div_ceil(per_block) - first;
            Piece {
                space,
                first,
                blocks,
            }
        };
        let pieces: Vec<Piece> = wanted.iter().map(piece).collect();
        let entries = self.entries(probe, &pieces, first, count);
        let mut place = 0;
        let vectors = |((_, shape), piece): (&(Space, &[i64]), &Piece)| {
            let skipped = self.before(shape) % per_block;
            let from = (place * per_block + skipped) as i64;
            place += piece.blocks;
            let own = entries.narrow(1, from, shape.iter().product());
            let own = match probe {
                Probe::Sphere => on_card::on_sphere(&own),
                _ => own,
            };
            own.reshape([&[count as i64], *shape].concat())
        };
        wanted.iter().zip(&pieces).map(vectors).collect()
    }

    /// All entries of the blocks of `pieces`, on the card: `[count, *]`, normals for a sphere.
    fn entries(&self, probe: Probe, pieces: &[Piece], first: u64, count: u64) -> Tensor {
        let blocks: u64 = pieces.iter().map(|piece| piece.blocks).sum();
        let few = blocks * count <= few_blocks(probe);
        let words = || {
            let draw = Draw {
                key: self.key,
                batch: self.batch,
                first,
                count,
            };
            on_card::words(draw, pieces, self.device)
        };
        match (probe, few) {
            (Probe::Rademacher, true) => {
                let bytes = Tensor::from_slice(&self.bytes(pieces, first, count));
                let bytes = upload(&bytes.reshape([count as i64, -1]), self.device);
                on_card::signs(&bytes, self.kind)
            }
            (Probe::Rademacher, false) => on_card::signs(&on_card::bytes(&words()), self.kind),
            (_, true) => {
                let per_block = per_block(probe);
                let rows = |piece: &Piece| {
                    let size = [count as i64, (piece.blocks * per_block) as i64];
                    let (source, before) = (self.bits(piece.space), piece.first * per_block);
                    source.rows(Probe::Gaussian, first, before, size, self.kind)
                };
                let rows: Vec<Tensor> = pieces.iter().map(rows).collect();
                upload(&Tensor::cat(&rows, 1), self.device)
            }
            (_, false) => on_card::normals(&words(), self.kind),
        }
    }

    /// The random bits of all `pieces` in memory, probe after probe.
    fn bytes(&self, pieces: &[Piece], first: u64, count: u64) -> Vec<u8> {
        let blocks: u64 = pieces.iter().map(|piece| piece.blocks).sum();
        let mut bytes = vec![0; (count * blocks) as usize * 16];
        each_row(&mut bytes, blocks as usize * 16, &|k, row| {
            let mut row = row.as_chunks_mut::<16>().0.iter_mut();
            for piece in pieces {
                let source = self.bits(piece.space);
                for (block, out) in (piece.first..piece.first + piece.blocks).zip(&mut row) {
                    let words = source.block(first + k, block as u32);
                    *out = bytes_of(words);
                }
            }
        });
        bytes
    }

    /// Entries that stand before those of the first sample.
    fn before(&self, shape: &[i64]) -> u64 {
        self.first_sample * shape[1.min(shape.len())..].iter().product::<i64>() as u64
    }

    fn bits(&self, space: u32) -> RandomBits {
        RandomBits {
            key: self.key,
            batch: self.batch,
            space,
        }
    }
}

/// So many blocks are made by the CPU, and copied, in the time that it takes to launch the operations
/// that make them on a card: about 0.7 ms.
fn few_blocks(probe: Probe) -> u64 {
    match probe {
        Probe::Rademacher => 1 << 15,
        Probe::Gaussian | Probe::Sphere => 1 << 13,
    }
}

/// How many entries a block of Philox gives: a bit is a sign, a word a normal.
fn per_block(probe: Probe) -> u64 {
    match probe {
        Probe::Rademacher => 128,
        Probe::Gaussian | Probe::Sphere => 4,
    }
}
