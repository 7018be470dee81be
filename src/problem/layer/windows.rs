//! What a window sees of its input, laid out for matrix products: all at once, or 32 positions at a time.

use super::channels::{numbers_mut, numbers_of};
use super::window::Window;
use crate::problem::sign_products::{Number, TILE};
use std::marker::PhantomData;
use tch::{Device, Kind, Tensor};

/// What the window sees of `a: [N, *a]`, for the positions of all samples after each other.
pub(super) struct Windows<F> {
    /// The padded input, contiguous.
    padded: Tensor,
    /// Entries of one of its channels.
    volume: usize,
    pub samples: usize,
    pub groups: usize,
    /// Channels of a in one group.
    pub channels: usize,
    /// Where an entry of the kernel looks at a position, from the channel's first entry on:
    /// `[entries][positions]`.
    pub places: Vec<Vec<usize>>,
    pub positions: usize,
    number: PhantomData<F>,
}

impl<F: Number> Windows<F> {
    /// Of the padded input `[N, C, *]`, at `positions` along every dimension.
    pub fn new(padded: &Tensor, window: &Window, positions: &[i64], groups: i64) -> Self {
        let padded = padded.contiguous();
        let size = padded.size();
        Self {
            volume: size[2..].iter().product::<i64>() as usize,
            samples: size[0] as usize,
            groups: groups as usize,
            channels: (size[1] / groups) as usize,
            places: places(window, positions, &size[2..]),
            positions: positions.iter().product::<i64>() as usize,
            number: PhantomData,
            padded,
        }
    }

    /// All columns: `[G, channels × entries, N, T]`.
    pub fn columns(&self, kind: Kind) -> Tensor {
        let (entries, t) = (self.places.len(), self.positions);
        let fan = self.channels * entries;
        let shape = [self.groups, fan, self.samples, t].map(|n| n as i64);
        let columns = Tensor::empty(shape, (kind, Device::Cpu));
        let padded = numbers_of::<F>(&self.padded);
        let each = numbers_mut::<F>(&columns).chunks_mut(self.samples * t);
        for (row, out) in each.enumerate() {
            let (channel, places) = (row / entries, &self.places[row % entries]);
            for (sample, out) in out.chunks_mut(t).enumerate() {
                let first = (sample * self.groups * self.channels + channel) * self.volume;
                let padded = &padded[first..][..self.volume];
                out.iter_mut()
                    .zip(places)
                    .for_each(|(x, &place)| *x = padded[place]);
            }
        }
        columns
    }

    /// Calls `work(columns, group, tile)` for all tiles of 32 columns of every group; those beyond the
    /// last column repeat the first.
    pub fn each_tile(&self, mut work: impl FnMut(&[Run], usize, &[[F; TILE]])) {
        let channels = self.channels;
        let padded = numbers_of::<F>(&self.padded);
        let mut tile = vec![[F::default(); TILE]; channels * self.places.len()];
        for first in (0..self.samples * self.positions).step_by(TILE) {
            let columns = self.runs(first);
            for group in 0..self.groups {
                self.look(padded, &columns, group, &mut tile);
                work(&columns, group, &tile);
            }
        }
    }

    /// The columns of the tile that begins with column `first`, sample by sample.
    fn runs(&self, first: usize) -> Vec<Run> {
        let end = (first + TILE).min(self.samples * self.positions);
        let mut runs = Vec::new();
        let mut at = first;
        while at < end {
            let (sample, position) = (at / self.positions, at % self.positions);
            let length = (self.positions - position).min(end - at);
            runs.push(Run {
                sample,
                position,
                length,
            });
            at += length;
        }
        runs
    }

    /// What the window sees of one group's channels at some columns.
    fn look(&self, padded: &[F], columns: &[Run], group: usize, tile: &mut [[F; TILE]]) {
        let (channels, entries) = (self.channels, self.places.len());
        for (entry, places) in self.places.iter().enumerate() {
            let mut from = [0; TILE];
            let mut next = 0;
            for &Run {
                sample,
                position,
                length,
            } in columns
            {
                let start = (sample * self.groups + group) * channels * self.volume;
                for place in &places[position..position + length] {
                    from[next] = start + place;
                    next += 1;
                }
            }
            let begin = from[0];
            from[next..].fill(begin);
            for channel in 0..channels {
                let row = &mut tile[channel * entries + entry];
                let padded = &padded[channel * self.volume..];
                for (x, from) in row.iter_mut().zip(from) {
                    *x = padded[from];
                }
            }
        }
    }
}

/// Neighbouring positions of a sample, columns of one tile.
#[derive(Clone, Copy)]
pub(super) struct Run {
    pub sample: usize,
    pub position: usize,
    pub length: usize,
}

/// As [`Windows::places`] has them, in an input of spatial shape `padded`.
fn places(window: &Window, positions: &[i64], padded: &[i64]) -> Vec<Vec<usize>> {
    let all = |sizes: &[i64]| -> Vec<Vec<i64>> {
        sizes.iter().fold(vec![Vec::new()], |places, &size| {
            let longer = |place: &Vec<i64>| {
                let place = place.clone();
                (0..size).map(move |i| [place.as_slice(), &[i]].concat())
            };
            places.iter().flat_map(longer).collect()
        })
    };
    let positions = all(positions);
    let place = |entry: &Vec<i64>, position: &Vec<i64>| {
        let along = |d: usize| position[d] * window.stride[d] + entry[d] * window.dilation[d];
        (0..padded.len()).fold(0, |place, d| place * padded[d] + along(d)) as usize
    };
    let entries = all(&window.kernel);
    let of = |entry: &Vec<i64>| positions.iter().map(|p| place(entry, p)).collect();
    entries.iter().map(of).collect()
}
