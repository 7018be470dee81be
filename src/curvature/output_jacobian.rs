//! Diagonal blocks by the Jacobian of the network's outputs, laid out once.

use super::Partition;
use crate::problem::{Added, Linearization, LinearizedLayer, Vectors, unit_vectors};
use tch::{Kind, Tensor};

/// `A_l = ∂f/∂z_l` for the outputs `z_l` of some layers l: over these stand only layers without
/// curvature of their own (piecewise linear ones, or all of them for other matrices than the
/// Hessian).
///
/// A block of parameters of layer l is then `J_lᵀ A_lᵀ H A_l J_l` with the loss's Hessian H, so that a
/// vector needs no pass through the layers above: its own tangents `dz = J_l v`, and `A_l dz`. Where the
/// gradient has no part in the matrix, that holds for blocks of any parameters.
///
/// Cost: one adjoint for each of the network's C outputs, all at once, for all vectors to come; then
/// `C` multiplications for each of a layer's outputs. Memory: `C N Σ_l features_l` numbers.
pub(super) struct OutputJacobian {
    /// `[N, C, features]` for every layer, where there is one.
    rows: Vec<Option<Tensor>>,
    /// The shape of the outputs, `[N, *out]`.
    output: Vec<i64>,
}

/// The most bytes of a Jacobian.
const MOST_BYTES: f64 = (1u64 << 29) as f64;

impl OutputJacobian {
    /// For the blocks of `partition`, where about `vectors` vectors make it worth its cost; else of no
    /// layer at all.
    pub fn new(at: &Linearization, partition: &Partition, vectors: u64) -> Self {
        let output = at.layers()[at.top()].output.clone();
        let mut jacobian = Self {
            rows: at.layers().iter().map(|_| None).collect(),
            output,
        };
        let layers = jacobian.worthwhile(at, partition, vectors);
        if !layers.is_empty() {
            jacobian.lay_out(at, &layers);
        }
        jacobian
    }

    /// The layers for which it is laid out: those of the blocks that need it, if all of them together
    /// save work.
    fn worthwhile(&self, at: &Linearization, partition: &Partition, vectors: u64) -> Vec<usize> {
        let outputs = self.outputs();
        let (mut layers, mut saved) = (Vec::new(), 0.0);
        for block in partition.blocks() {
            let Some(own) = layers_of(at, block) else {
                continue;
            };
            let lowest = own.iter().copied().min().unwrap_or(at.top());
            let way = at
                .above(&[lowest])
                .into_iter()
                .enumerate()
                .filter(|(_, above)| *above);
            let way: f64 = way.map(|(l, _)| at.layers()[l].work()).sum();
            let own_work: f64 = own.iter().map(|&l| at.layers()[l].work()).sum();
            let contraction = |&l: &usize| (outputs * at.layers()[l].features()) as f64;
            saved += way - own_work - own.iter().map(contraction).sum::<f64>();
            layers.extend(own);
        }
        layers.sort_unstable();
        layers.dedup();
        let whole: f64 = at.layers().iter().map(LinearizedLayer::work).sum();
        let numbers = |&l: &usize| (self.output[0] * outputs * at.layers()[l].features()) as f64;
        let gradient = at.loss().gradient();
        let bytes = gradient.kind().elt_size_in_bytes() as f64;
        let bytes = layers.iter().map(numbers).sum::<f64>() * bytes;
        match vectors as f64 * saved > outputs as f64 * whole && bytes <= MOST_BYTES {
            true => layers,
            false => Vec::new(),
        }
    }

    fn lay_out(&mut self, at: &Linearization, layers: &[usize]) {
        let units = unit_vectors(0, self.outputs(), &self.output, &at.loss().gradient());
        at.propagate_adjoints(at.top(), units, Some(layers), |l, _, a| {
            if layers.contains(&l) {
                self.rows[l] = Some(a.flatten(2, -1).transpose(0, 1).contiguous());
            }
            Added::default()
        });
    }

    /// How many outputs a sample has, C.
    fn outputs(&self) -> i64 {
        self.output[1..].iter().product()
    }

    /// Whether this block can do without passes.
    pub fn covers(&self, at: &Linearization, block: &[usize]) -> bool {
        let layers = layers_of(at, block);
        layers.is_some_and(|layers| layers.iter().all(|&l| self.rows[l].is_some()))
    }

    /// The tangents of the outputs along K vectors in a block's parameters: `[K, N, *out]`.
    pub fn tangent(&self, at: &Linearization, block: &[usize], v: &[Vectors]) -> Tensor {
        let layers = layers_of(at, block).expect("a block that is covered");
        let of = |&l: &usize| {
            let layer = &at.layers()[l];
            let dz = layer
                .tangent_along(None, block, v)
                .expect("a parameter of the block");
            let rows = self.rows[l].as_ref().expect("a layer that is covered");
            // [N, C, F] × [N, F, K]
            rows.bmm(&dz.flatten(2, -1).permute([1, 2, 0]))
        };
        let df = layers
            .iter()
            .map(of)
            .reduce(|a, b| a + b)
            .expect("a block has parameters");
        let k = df.size()[2];
        df.permute([2, 0, 1])
            .reshape([&[k], self.output.as_slice()].concat())
    }

    /// The form of K vectors in a block's parameters: `[K]` in float64.
    pub fn form(&self, at: &Linearization, block: &[usize], v: &[Vectors]) -> Tensor {
        let forms = at.loss().quadratic(&self.tangent(at, block, v));
        forms.sum_dim_intlist(1, false, None::<Kind>)
    }

    /// The product with K vectors in a block's parameters, one `[K, *shape]` for each of them.
    pub fn product(&self, at: &Linearization, block: &[usize], v: &[Vectors]) -> Vec<Tensor> {
        let h = at.loss().hessian(&self.tangent(at, block, v));
        let count = h.size()[0];
        // [N, K, C]
        let h = h.flatten(2, -1).transpose(0, 1);
        let mut below: Vec<Option<Tensor>> = self.rows.iter().map(|_| None).collect();
        let part = |&index: &usize| {
            let (l, i) = at.locate(index);
            let layer = &at.layers()[l];
            let gz = below[l].get_or_insert_with(|| {
                let rows = self.rows[l].as_ref().expect("a layer that is covered");
                let shape = [&[count], layer.output.as_slice()].concat();
                h.bmm(rows).transpose(0, 1).reshape(shape)
            });
            layer.parameters().adjoint(i, gz)
        };
        block.iter().map(part).collect()
    }
}

/// The layers that take a block's parameters, where over all of them stand only layers without
/// curvature of their own and nothing couples the parameters; `None` for others, for parameters that
/// layers share, and for a block of the topmost layer, which has no layers above.
fn layers_of(at: &Linearization, block: &[usize]) -> Option<Vec<usize>> {
    if block.iter().any(|&index| at.uses(index).count() > 1) {
        return None;
    }
    let mut layers: Vec<usize> = block.iter().map(|&index| at.locate(index).0).collect();
    layers.dedup();
    let alone = layers.len() == 1 || layers.iter().all(|&l| at.layers()[l].gradient.is_none());
    (alone && at.is_straight_above(&layers) && layers != [at.top()]).then_some(layers)
}
