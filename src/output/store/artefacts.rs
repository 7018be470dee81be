//! From what an estimator found beyond a number to rows of tables and files.

use super::files::File;
use super::records::Record;
use super::spectral::{DensityRecord, EigenvalueRecord, VarianceRecord};
use super::tables::Rows;
use crate::estimator::{
    Artefact, Eigenvalue, Identity, Node, ParameterVectors, ProbeVariance, Quantity,
};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use std::collections::HashMap;

/// Adds the rows of what was found with the estimate `of`; returns what is no row. `parameters` has
/// the names of parameters, `name` is what tells the files of one job from those of others.
pub fn add_artefacts(
    rows: &mut Rows,
    of: &Record,
    artefacts: &[Artefact],
    parameters: &[(String, i64)],
    name: &str,
) -> Vec<File> {
    let mut files = Vec::new();
    for artefact in artefacts {
        if let Artefact::Eigenvectors(vectors) = artefact {
            let file = format!("eigenvectors-{name}.safetensors");
            files.push((file, safetensors(parameters, vectors)));
        }
    }
    let vectors = files.first().map(|(file, _)| file);
    for artefact in artefacts {
        match artefact {
            Artefact::Eigenvectors(_) => {}
            Artefact::Eigenvalues(found) => {
                let row = |(index, pair): (u64, &Eigenvalue)| EigenvalueRecord {
                    index,
                    eigenvalue: pair.value,
                    bound: pair.bound,
                    residual: pair.residual_norm,
                    converged: pair.converged,
                    vectors: vectors.cloned(),
                    ..EigenvalueRecord::keyed(&of.experiment, &of.identity())
                };
                rows.eigenvalues.extend((0..).zip(found).map(row));
            }
            Artefact::Density(nodes) => {
                let row = |n: &Node| DensityRecord {
                    sample: n.sample,
                    node: n.node,
                    weight: n.weight,
                    ..DensityRecord::keyed(&of.experiment, &of.identity())
                };
                rows.density.extend(nodes.iter().map(row));
            }
            Artefact::Variance(count, variances) => {
                rows.variance
                    .extend(variances.iter().map(|v| variance(of, *count, v)));
            }
        }
    }
    files
}

/// The row of a variance, whose key columns are those of the estimator that it is of.
fn variance(of: &Record, count: u64, variance: &ProbeVariance) -> VarianceRecord {
    let estimator = variance.of.clone().with(|columns| {
        columns.matrix = of.matrix.clone();
        columns.checkpoint = of.checkpoint.clone();
        columns.v_batch = of.v_batch;
    });
    let key = Identity {
        v: Some(count),
        seed: of.seed,
        repeat: of.repeat,
        ..estimator.of(Quantity::Trace)
    };
    VarianceRecord {
        predicted: variance.predicted,
        empirical: variance.empirical.mean,
        std_error: variance.empirical.std_error,
        probes_to_1_percent: variance.probes_to_1_percent,
        ..VarianceRecord::keyed(&of.experiment, &key)
    }
}

/// The bytes of a safetensors file with a float64 tensor `[k, *shape]` for every parameter.
fn safetensors(names: &[(String, i64)], parameters: &[ParameterVectors]) -> Vec<u8> {
    let bytes = |p: &ParameterVectors| -> Vec<u8> {
        p.values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect()
    };
    let data: Vec<Vec<u8>> = parameters.iter().map(bytes).collect();
    let tensors = names.iter().zip(parameters).zip(&data);
    let views = tensors.map(|(((name, _), p), bytes)| {
        let view = TensorView::new(Dtype::F64, p.shape.clone(), bytes);
        (
            name.as_str(),
            view.expect("as many bytes as the shape says"),
        )
    });
    let views: Vec<(&str, TensorView)> = views.collect();
    let none: Option<HashMap<String, String>> = None;
    safetensors::serialize(views, none).expect("names and views fit")
}
