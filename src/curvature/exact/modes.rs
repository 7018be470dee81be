//! Which way every parameter's diagonal is computed, by what it costs.

use crate::problem::{Linearization, LinearizedLayer};

/// The parameters in reverse mode, by columns of square roots propagated down to them; the others
/// are in forward mode, by the tangents of their unit vectors.
pub(super) struct Modes {
    pub reverse: Vec<bool>,
}

/// A square root of some curvature at the output of a layer.
pub(super) struct SquareRoot {
    pub layer: usize,
    /// Only layers of a lower number than this depend on its columns.
    pub above: usize,
    pub columns: i64,
}

impl Modes {
    /// The cheapest modes found: beginning with the reverse mode for all, one layer after another from
    /// the bottom changes to the forward mode where that saves work.
    pub fn cheapest(at: &Linearization, roots: &[SquareRoot]) -> Self {
        Self::with_work(at, roots).0
    }

    /// The work of the cheapest modes, in multiplications for a sample.
    pub fn least_work(at: &Linearization, roots: &[SquareRoot]) -> f64 {
        Self::with_work(at, roots).1
    }

    fn with_work(at: &Linearization, roots: &[SquareRoot]) -> (Self, f64) {
        let costs = Costs::new(at, roots);
        let alone = |index: usize| at.uses(index).count() < 2;
        let mut modes = Self {
            reverse: (0..at.parameter_count()).map(alone).collect(),
        };
        let mut best = costs.total(&modes);
        for layer in at.layers() {
            let mut changed = Vec::new();
            for &index in layer.indices.iter().filter(|&&index| alone(index)) {
                modes.reverse[index] = false;
                changed.push(index);
                let total = costs.total(&modes);
                if total < best {
                    best = total;
                    changed.clear();
                }
            }
            for index in changed {
                modes.reverse[index] = true;
            }
        }
        (modes, best)
    }

    /// The layers below number `above` with parameters in reverse mode.
    pub fn reverse_layers(&self, at: &Linearization, above: usize) -> Vec<usize> {
        let layers = at.layers().iter().enumerate().take(above);
        let reverse = |layer: &LinearizedLayer| layer.indices.iter().any(|&i| self.reverse[i]);
        layers
            .filter(|(_, l)| reverse(l))
            .map(|(index, _)| index)
            .collect()
    }
}

/// Work in multiplications for a vector and a sample, as far as it tells one way from another.
struct Costs<'a> {
    at: &'a Linearization,
    roots: &'a [SquareRoot],
    /// The work of a tangent or an adjoint through every layer.
    through: Vec<f64>,
    /// The work of a tangent from every layer's output to the network's.
    up: Vec<f64>,
}

impl<'a> Costs<'a> {
    fn new(at: &'a Linearization, roots: &'a [SquareRoot]) -> Self {
        let through: Vec<f64> = at.layers().iter().map(LinearizedLayer::work).collect();
        let up = |start: usize| {
            let above = at.above(&[start]);
            let layers = above.iter().enumerate().skip(start + 1);
            layers
                .filter(|(_, above)| **above)
                .map(|(l, _)| through[l])
                .sum()
        };
        Self {
            up: (0..through.len()).map(up).collect(),
            at,
            roots,
            through,
        }
    }

    fn total(&self, modes: &Modes) -> f64 {
        let columns = self.roots.iter().map(|root| {
            let goals = modes.reverse_layers(self.at, root.above);
            let wanted = self.at.above(&goals);
            let layers = (0..=root.layer).filter(|&l| wanted[l]);
            root.columns as f64 * layers.map(|l| self.through[l]).sum::<f64>()
        });
        let forward = self.at.layers().iter().enumerate().map(|(l, layer)| {
            let own = layer.indices.iter().enumerate();
            let forward = own.filter(|&(_, &index)| !modes.reverse[index]);
            let each = self.up[l] + self.through[l];
            forward
                .map(|(i, _)| layer.numel(i) as f64 * each)
                .sum::<f64>()
        });
        columns.sum::<f64>() + forward.sum::<f64>()
    }
}
