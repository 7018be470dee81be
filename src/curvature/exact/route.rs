//! Which way every parameter's diagonal is computed, by what it costs.

use crate::problem::{Linearization, LinearizedLayer};

/// The parameters that see columns pulled down; the others have their own basis pushed up.
pub(super) struct Route {
    pub by_columns: Vec<bool>,
}

/// Columns that stand at the output of a layer.
pub(super) struct ColumnSource {
    pub layer: usize,
    /// Layers below this number have not yet seen what the columns stand for.
    pub seen: usize,
    pub columns: i64,
}

impl Route {
    /// The cheapest found: beginning with columns for all, one layer after another from the bottom
    /// changes over where that saves work.
    pub fn cheapest(at: &Linearization, sources: &[ColumnSource]) -> Self {
        let costs = Costs::new(at, sources);
        let mut route = Self {
            by_columns: vec![true; at.parameter_count()],
        };
        let mut best = costs.total(&route);
        for layer in at.layers() {
            let mut changed = Vec::new();
            for index in layer.indices.clone() {
                route.by_columns[index] = false;
                changed.push(index);
                let total = costs.total(&route);
                if total < best {
                    best = total;
                    changed.clear();
                }
            }
            for index in changed {
                route.by_columns[index] = true;
            }
        }
        route
    }

    /// The layers below number `seen` whose parameters need columns.
    pub fn goals(&self, at: &Linearization, seen: usize) -> Vec<usize> {
        let layers = at.layers().iter().enumerate().take(seen);
        let needs = |layer: &LinearizedLayer| layer.indices.clone().any(|i| self.by_columns[i]);
        layers
            .filter(|(_, l)| needs(l))
            .map(|(index, _)| index)
            .collect()
    }
}

/// Work in multiplications for a vector and a sample, as far as it tells one way from another.
struct Costs<'a> {
    at: &'a Linearization,
    sources: &'a [ColumnSource],
    /// Of a tangent or an adjoint through every layer.
    through: Vec<f64>,
    /// Of a tangent from every layer's output to the network's.
    up: Vec<f64>,
}

impl<'a> Costs<'a> {
    fn new(at: &'a Linearization, sources: &'a [ColumnSource]) -> Self {
        let through: Vec<f64> = at.layers().iter().map(through).collect();
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
            sources,
            through,
        }
    }

    fn total(&self, route: &Route) -> f64 {
        let columns = self.sources.iter().map(|source| {
            let goals = route.goals(self.at, source.seen);
            let wanted = self.at.above(&goals);
            let layers = (0..=source.layer).filter(|&l| wanted[l]);
            source.columns as f64 * layers.map(|l| self.through[l]).sum::<f64>()
        });
        let basis = self.at.layers().iter().enumerate().map(|(l, layer)| {
            let pushed = layer.indices.clone().filter(|&i| !route.by_columns[i]);
            let each = self.up[l] + self.through[l];
            let numel = |index| layer.numel(index - layer.indices.start) as f64;
            pushed.map(|index| numel(index) * each).sum::<f64>()
        });
        columns.sum::<f64>() + basis.sum::<f64>()
    }
}

/// A layer's outputs times what of its weights meets each, and its inputs.
fn through(layer: &LinearizedLayer) -> f64 {
    let outputs = layer.features() as f64;
    let meets = |i: usize| {
        let shape = layer.parameters().shape(i);
        shape[1..].iter().product::<i64>() as f64
    };
    let weights = (0..layer.indices.len()).map(meets);
    outputs * (1.0 + weights.sum::<f64>())
}
