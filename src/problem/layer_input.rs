//! Where a layer's input comes from: one output below it, or several that are joined.

use tch::Tensor;

/// How several outputs make up one input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Join {
    /// Their sum; all have one shape.
    Add,
    /// Side by side along this axis of a sample; the first is that of the channels.
    Cat(usize),
}

/// The outputs that make up a layer's input, each by its layer's number; `None` is the data, or
/// what depends on no parameter.
#[derive(Clone, Debug)]
pub(super) struct LayerInput {
    sources: Vec<Option<usize>>,
    join: Join,
    /// How many entries each has along the axis on which they stand side by side.
    lengths: Vec<i64>,
}

impl LayerInput {
    /// A single output as it is.
    pub fn one(source: Option<usize>) -> Self {
        Self {
            sources: vec![source],
            join: Join::Add,
            lengths: vec![0],
        }
    }

    /// Several outputs joined, and the shape of the whole; `None` if their shapes do not fit each
    /// other.
    pub fn joined(parts: &[(Option<usize>, Vec<i64>)], join: Join) -> Option<(Self, Vec<i64>)> {
        let shape = &parts.first()?.1;
        let mut whole = shape.clone();
        let mut lengths = vec![0; parts.len()];
        match join {
            Join::Add => {
                if parts.iter().any(|(_, other)| other != shape) {
                    return None;
                }
            }
            Join::Cat(axis) => {
                let mut sum = 0i64;
                for ((_, other), length) in parts.iter().zip(&mut lengths) {
                    *length = *other.get(axis)?;
                    sum = sum.checked_add(*length)?;
                    whole[axis] = *length;
                    if *other != whole {
                        return None;
                    }
                }
                whole[axis] = sum;
            }
        }
        let input = Self {
            sources: parts.iter().map(|&(source, _)| source).collect(),
            join,
            lengths,
        };
        Some((input, whole))
    }

    /// This input with every layer's number replaced.
    pub fn renumbered(&self, number: impl Fn(usize) -> Option<usize>) -> Self {
        let sources = self.sources.iter().map(|&s| s.and_then(&number)).collect();
        Self {
            sources,
            ..self.clone()
        }
    }

    /// The layers whose outputs they are, without the data.
    pub fn sources(&self) -> impl Iterator<Item = usize> {
        self.sources.iter().copied().flatten()
    }

    /// Whether the data, or what depends on no parameter, are among them.
    pub fn takes_data(&self) -> bool {
        self.sources.iter().any(Option::is_none)
    }

    /// The layer whose output it is as it stands, if it is one.
    pub fn only(&self) -> Option<usize> {
        match self.sources[..] {
            [source] => source,
            _ => None,
        }
    }

    /// Whether it is a sum, or one output alone.
    pub fn is_sum(&self) -> bool {
        self.join == Join::Add || self.sources.len() == 1
    }

    /// Whether a diagonal matrix over the input is one over the outputs, too. Under a sum it is not:
    /// that sees all outputs at once, so that their entries mix.
    pub fn keeps_diagonals(&self) -> bool {
        matches!(self.join, Join::Cat(_)) || self.sources().count() < 2
    }

    /// The input for one batch: `[N, *in]`.
    pub fn value(&self, data: &Tensor, outputs: &[Tensor]) -> Tensor {
        let of = |source: &Option<usize>| match source {
            Some(source) => outputs[*source].shallow_clone(),
            None => data.shallow_clone(),
        };
        let parts = self.sources.iter().map(of);
        match self.join {
            Join::Add => parts.reduce(|a, b| a + b).expect("an input has a source"),
            Join::Cat(axis) => Tensor::cat(&parts.collect::<Vec<_>>(), 1 + axis as i64),
        }
    }

    /// The input's tangents `[K, N, *in]` from those of the outputs, of which an absent one is zero.
    pub fn tangent(&self, outputs: &[Option<Tensor>]) -> Option<Tensor> {
        let of = |source: &Option<usize>| outputs[(*source)?].as_ref();
        let parts: Vec<Option<&Tensor>> = self.sources.iter().map(of).collect();
        match self.join {
            Join::Add => parts
                .into_iter()
                .flatten()
                .map(Tensor::shallow_clone)
                .reduce(|a, b| a + b),
            Join::Cat(axis) => {
                let like = *parts.iter().flatten().next()?;
                let zero = |length: i64| {
                    let mut shape = like.size();
                    shape[2 + axis] = length;
                    Tensor::zeros(&shape, (like.kind(), like.device()))
                };
                let part = |(part, &length): (Option<&Tensor>, &i64)| match part {
                    Some(part) => part.shallow_clone(),
                    None => zero(length),
                };
                let parts: Vec<Tensor> = parts.into_iter().zip(&self.lengths).map(part).collect();
                Some(Tensor::cat(&parts, 2 + axis as i64))
            }
        }
    }

    /// The part for each output of an adjoint or a diagonal at the input, in which `leading` axes come
    /// before those of a sample.
    pub fn split(&self, h: &Tensor, leading: i64) -> Vec<(usize, Tensor)> {
        let mut start = 0;
        let mut parts = Vec::with_capacity(self.sources.len());
        for (source, &length) in self.sources.iter().zip(&self.lengths) {
            if let Some(source) = *source {
                let part = match self.join {
                    Join::Add => h.shallow_clone(),
                    Join::Cat(axis) => h.narrow(leading + axis as i64, start, length),
                };
                parts.push((source, part));
            }
            start += length;
        }
        parts
    }
}
