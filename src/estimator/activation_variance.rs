//! The variance of activation probes, from the Hessian of every sample at the outputs of layers.

use crate::problem::{Added, Linearization, LinearizedLayer, unit_vectors};
use tch::{Kind, Tensor};

/// The variance of one probe per sample and layer, the layers probed one by one: the sum over layers
/// l and samples n of `2 γ² (‖H_n‖²_F − Σ (H_n)_aa²)`, H_n the Hessian of sample n at the layer's
/// output and γ what its parameters weigh it with.
///
/// `None` where a weight is shared between positions (convolutions), so that its probes are weights.
/// Cost: per layer a tangent and an adjoint pass for each of its outputs, `at_once` at a time.
pub(super) fn activation_variance(at: &Linearization, at_once: u64) -> Option<f64> {
    let layers = at.layers().iter().enumerate();
    let with_parameters = layers.filter(|(_, layer)| !layer.indices.is_empty());
    let each = with_parameters.map(|(l, layer)| layer_variance(at, l, layer, at_once as i64));
    each.sum()
}

fn layer_variance(
    at: &Linearization,
    l: usize,
    layer: &LinearizedLayer,
    at_once: i64,
) -> Option<f64> {
    let maps = layer.parameters();
    let factors = (0..layer.indices.len()).map(|i| maps.trace_factor(i));
    let factors: Option<Vec<Tensor>> = factors.collect();
    let trace_factor = factors?.into_iter().reduce(|a, b| a + b)?;
    let size = layer.output.clone();
    let (samples, width) = (size[0], size[1..].iter().product::<i64>());
    let like = at.loss().gradient();
    let mut off_diagonal = Tensor::zeros([samples], (Kind::Double, like.device()));
    for first in (0..width).step_by(at_once as usize) {
        let count = at_once.min(width - first);
        let units = unit_vectors(first, count, &size, &like);
        let columns = output_hessian(at, l, &units).reshape([count, samples, width]);
        let columns = columns.to_kind(Kind::Double);
        // `[N, count]`: entry a of column a.
        let diagonal = columns.narrow(2, first, count).diagonal(0, 0, 2);
        off_diagonal += columns
            .square()
            .sum_dim_intlist([0i64, 2].as_slice(), false, None::<Kind>);
        off_diagonal -= diagonal.square().sum_dim_intlist(1, false, None::<Kind>);
    }
    let weight = trace_factor.to_kind(Kind::Double).square();
    Some(2.0 * (weight * off_diagonal).sum(Kind::Double).double_value(&[]))
}

/// `H_n u_n` at the output of layer l for vectors `u: [K, N, *out]`.
fn output_hessian(at: &Linearization, l: usize, u: &Tensor) -> Tensor {
    let tangents = at.propagate_tangents(l, |index, _| (index == l).then(|| u.shallow_clone()));
    let mut product = None;
    let top = at.loss().hessian(&tangents.output);
    at.propagate_adjoints(at.top(), top, Some(&[l]), |index, _, hz| {
        if index == l {
            product = Some(hz.shallow_clone());
            return Added::default();
        }
        Added {
            input: tangents.inputs[index].as_ref(),
            parameters: None,
        }
    });
    product.expect("adjoints reach layer l")
}
