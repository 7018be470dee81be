//! The estimator of a spec that names none: the best way to the trace that its network allows.

use super::{Setup, pilot};
use crate::curvature::ProductKind;
use crate::estimator::{EstimatorSpec, Exact, Hutchinson, Propagation};
use crate::problem::Network;
use crate::spec::Spec;
use tch::{Device, Kind};

/// The most columns that an exact trace may take to be taken.
const MOST_COLUMNS: i64 = 512;

/// Relative error at 95 % confidence where passes are cheap, and where every product is dear.
const TOLERANCE: f64 = 0.01;
const TOLERANCE_OF_PRODUCTS: f64 = 0.05;

/// A pass of propagation and a product cost about the same; products are taken where their variance
/// is smaller by more than this factor.
const CLEARLY: f64 = 2.0;

/// Columns that a pass of propagation takes, and about what a product costs.
const COLUMNS_OF_A_DRAW: f64 = 2.0;

/// Multiplications that take no time to speak of: less than a second on one core.
const SHORT: f64 = 1e10;

/// A run to a tolerance takes about so many draws at least.
const FEWEST_DRAWS: f64 = 10.0;

/// Standard errors in half of a 95 % interval.
const STANDARD_ERRORS: f64 = 1.96;

/// Gives `spec` an estimator if it has none, and says which and why; a pilot has its problem on `place`.
pub(super) fn choose(spec: &mut Spec, setup: &Setup, place: (Device, Kind)) -> Option<String> {
    if !spec.estimator.is_empty() {
        return None;
    }
    let network = match setup {
        Setup::Matrix(_) => None,
        Setup::Network(setup) => Some(&*setup.network),
    };
    let (mut estimator, mut rtol, mut why) = best(network);
    if let EstimatorSpec::Propagation(_) = estimator {
        (estimator, rtol, why) = sampled(spec, setup, place, &why);
    }
    let sampling = &mut spec.sampling;
    let is_open = sampling.v.is_none() && sampling.rtol.is_none() && sampling.atol.is_none();
    if is_open {
        sampling.rtol = rtol;
    }
    let chosen = format!("no [[estimator]], so {}: {why}", in_words(&estimator));
    spec.estimator = vec![estimator];
    Some(match rtol.filter(|_| is_open) {
        Some(rtol) => format!("{chosen}; to {} % (rtol = {rtol})", rtol * 100.0),
        None => chosen,
    })
}

/// An estimator, the tolerance that suits it, and why it is the best.
fn best(network: Option<&Network>) -> (EstimatorSpec, Option<f64>, String) {
    let exact = EstimatorSpec::Exact(Exact::default());
    let Some(network) = network else {
        return (exact, None, "the eigenvalues are known".into());
    };
    if network.script().is_some() {
        let autodiff = Hutchinson {
            product: Some(ProductKind::Autodiff),
            ..Hutchinson::default()
        };
        let why = "a TorchScript module has no layer rules";
        let estimator = EstimatorSpec::Hutchinson(autodiff);
        return (estimator, Some(TOLERANCE_OF_PRODUCTS), why.into());
    }
    match columns(network) {
        columns @ ..=MOST_COLUMNS => {
            let why = format!("a backward pass of at most {columns} columns gives it");
            (exact, None, why)
        }
        columns => {
            let why = format!("the exact trace may take {columns} columns");
            match network.shared_parameter() {
                None => {
                    let propagation = EstimatorSpec::Propagation(Propagation::default());
                    (propagation, Some(TOLERANCE), why)
                }
                Some(shared) => {
                    let products = EstimatorSpec::Hutchinson(Hutchinson::default());
                    let why = format!("{why}, and layers share \"{shared}\"");
                    (products, Some(TOLERANCE_OF_PRODUCTS), why)
                }
            }
        }
    }
}

/// Propagation, or products where a pilot finds that these need clearly fewer draws, or the exact trace where
/// either would take as long.
fn sampled(
    spec: &Spec,
    setup: &Setup,
    place: (Device, Kind),
    why: &str,
) -> (EstimatorSpec, Option<f64>, String) {
    let propagation = EstimatorSpec::Propagation(Propagation::default());
    let products = EstimatorSpec::Hutchinson(Hutchinson::default());
    let both = [&propagation, &products];
    let Some(pilot) = pilot::pilot(setup, place, both, &spec.sampling) else {
        return (propagation, Some(TOLERANCE), why.into());
    };
    let [pass, product] = pilot.spreads;
    let found = format!(
        "{why}, and in a pilot the standard deviation of a pass of propagation was {} % of the trace, that of a product {} %",
        short(pass * 100.0),
        short(product * 100.0)
    );
    let (sampled, spread, tolerance) = match product.powi(2) * CLEARLY < pass.powi(2) {
        true => (products, product, TOLERANCE_OF_PRODUCTS),
        false => (propagation, pass, TOLERANCE),
    };
    let errors = STANDARD_ERRORS * spread / spec.sampling.rtol.unwrap_or(tolerance);
    let draws = errors.powi(2).max(FEWEST_DRAWS);
    // An exact value is worth the time of twice as many draws, and whatever takes no time to speak of.
    let sampling = 2.0 * COLUMNS_OF_A_DRAW * draws;
    let is_short = pilot.exact_columns * multiplications(setup) <= SHORT;
    if spec.sampling.v.is_none() && (is_short || pilot.exact_columns <= sampling) {
        let why = format!(
            "it takes as much as {:.0} columns back through the whole network, and sampling about {:.0} draws",
            pilot.exact_columns, draws
        );
        return (EstimatorSpec::Exact(Exact::default()), None, why);
    }
    (sampled, Some(tolerance), found)
}

/// Multiplications of a column with all parameters, for all samples at all checkpoints.
fn multiplications(setup: &Setup) -> f64 {
    let network = setup.network();
    let samples = network.dataset.selection.samples(network.dataset.len());
    let of_a_sample: f64 = network.network.sizes().map(|l| l.multiplications).sum();
    of_a_sample * samples as f64 * setup.problems() as f64
}

/// Two digits.
fn short(percent: f64) -> String {
    match percent < 10.0 {
        true => format!("{percent:.1}"),
        false => format!("{percent:.0}"),
    }
}

/// At most so many columns make up the exact diagonal: one for every output, for every entry of a
/// curved layer, and for every entry of a parameter that layers share.
pub(crate) fn columns(network: &Network) -> i64 {
    let outputs = network.output().iter().product::<i64>();
    let curved = network.sizes().filter(|layer| layer.is_curved);
    let curved = curved.map(|layer| layer.outputs as i64);
    let shared = network.ties().iter().map(|tie| tie.info.numel());
    curved
        .chain(shared)
        .fold(outputs, |sum, columns| sum.saturating_add(columns))
}

fn in_words(estimator: &EstimatorSpec) -> String {
    match estimator {
        EstimatorSpec::Hutchinson(Hutchinson {
            product: Some(ProductKind::Autodiff),
            ..
        }) => "hutchinson with product = \"autodiff\"".into(),
        other => format!("kind = \"{}\"", other.kind()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::layer::LayerSpec;
    use crate::spec::SpecText;

    #[test]
    fn columns_are_outputs_and_entries_of_curved_layers() {
        #[derive(serde::Deserialize)]
        struct Layers {
            layers: Vec<LayerSpec>,
        }
        let text = r#"layers = [
            { kind = "linear", out = 7 }, { kind = "relu" }, { kind = "tanh" }, { kind = "layer_norm", normalized_shape = [7] },
            { kind = "linear", out = 5 }, { kind = "elu" }, { kind = "dropout" }, { kind = "linear", out = 3 },
        ]"#;
        let spec: Layers = SpecText::new("spec", text.to_string())
            .deserialize()
            .unwrap();
        let network = Network::new(&spec.layers, &[4]).unwrap();
        assert_eq!(columns(&network), 3 + 7 + 7 + 5);
    }
}
