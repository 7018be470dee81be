//! What a product asks of a card: kernels, copies and waits, held so that they cannot creep up.
//!
//! `docs/cuda.md` has the same table with the times that it predicts.

use super::card::{all_on, on, pretend_card_alone};
use crate::support::*;
use curvature_runner::curvature::{Blocks, Operator, OperatorSpec, ProductKind};
use curvature_runner::estimator::{
    ActivationProbe, EstimatorSpec, PassKind, Probe, Propagation, Start,
};
use curvature_runner::problem::layer::{Conv, LayerSpec, MaxPool};
use curvature_runner::problem::loss::Reduction;
use curvature_runner::problem::{Curvature, NetworkProblem, Problem};
use pretend_card::Counts;
use tch::{Device, Kind};

/// The example and the CNN of the comparison, on few samples.
fn networks() -> [(&'static str, NetworkProblem); 2] {
    let conv = |out| {
        LayerSpec::Conv2d(Conv {
            padding: 2.into(),
            ..Conv::new(out, 5)
        })
    };
    let pool = || LayerSpec::MaxPool2d(MaxPool::new(2));
    let cnn = [
        conv(4),
        tanh(),
        pool(),
        conv(8),
        tanh(),
        pool(),
        flatten(),
        linear(10, true),
    ];
    let cnn = problem(&cnn, &[1, 12, 12], 4, cross_entropy(Reduction::Mean), 3);
    [("example", example_network(Kind::Double)), ("cnn", cnn)]
}

fn count(work: impl FnOnce()) -> Counts {
    pretend_card::reset();
    work();
    pretend_card::counts()
}

/// One call of each product with `vectors` vectors, the linearisation left out.
fn of_products(problem: &NetworkProblem, device: Device, vectors: i64) -> Vec<(String, Counts)> {
    let card: Problem = on(problem, device).into();
    let v = all_on(&crate::support::vectors(problem, vectors, 9), device);
    let mut rows = Vec::new();
    for product in [
        ProductKind::Hmp,
        ProductKind::Forward,
        ProductKind::Autodiff,
    ] {
        for blocks in [Blocks::Full, Blocks::Parameter] {
            let name = format!("{product:?} {blocks}").to_lowercase();
            let spec = OperatorSpec::Network {
                curvature: Curvature::Hessian,
                blocks,
                product,
            };
            spec.open(&card, 0, |operator: &Operator<'_>| {
                // What is kept from the first product on is no part of another.
                let _ = operator.quadratic(&v);
                let multiplied = count(|| match product {
                    ProductKind::Forward => drop(operator.quadratic(&v)),
                    _ => drop(operator.multiply(&v)),
                });
                rows.push((name, multiplied));
            });
        }
    }
    rows
}

/// What each further chunk of probes adds to a run of an estimator.
fn of_chunks(problem: &NetworkProblem, device: Device) -> Vec<(String, Counts)> {
    let card: Problem = on(problem, device).into();
    let estimators = [
        (
            "hutchinson, hmp, signs",
            hutchinson(Blocks::Parameter, ProductKind::Hmp, Probe::Rademacher),
        ),
        (
            "hutchinson, forward, normals",
            hutchinson(Blocks::Full, ProductKind::Forward, Probe::Gaussian),
        ),
        (
            "activation",
            activation(PassKind::Separate, ActivationProbe::Rademacher),
        ),
        (
            "activation, hadamard",
            activation(PassKind::Joint, ActivationProbe::Hadamard),
        ),
        (
            "propagation",
            EstimatorSpec::Propagation(Propagation::default()),
        ),
    ];
    let chunk = |(name, estimator): (&str, EstimatorSpec)| {
        let task = task(&estimator);
        let run = |v: u64| count(|| drop(task.run(&card, &Start::Philox(1), &[v].into(), 8)));
        let _ = run(64);
        let (few, many) = (run(64), run(128));
        // The reading at the end of up to 16 chunks is not part of a chunk.
        let each = |of: fn(Counts) -> u64| (of(many) - of(few)) / 8;
        let counts = Counts {
            launches: each(|c| c.launches),
            uploads: each(|c| c.uploads),
            downloads: each(|c| c.downloads),
            waits: each(|c| c.waits),
            uploaded_bytes: each(|c| c.uploaded_bytes),
        };
        (name.to_string(), counts)
    };
    estimators.into_iter().map(chunk).collect()
}

/// The most launches and uploads of each; no more is copied, and nothing waits. Rows of `autodiff` are of
/// three vectors, one after another.
const BOUNDS: &[(&str, &str, u64, u64)] = &[
    ("example", "hmp full", 23, 0),
    ("example", "hmp parameter", 22, 0),
    ("example", "forward full", 28, 0),
    ("example", "forward parameter", 29, 0),
    ("example", "autodiff full", 122, 0),
    ("example", "autodiff parameter", 143, 0),
    ("example", "hutchinson, hmp, signs", 37, 1),
    ("example", "hutchinson, forward, normals", 171, 0),
    ("example", "activation", 43, 2),
    ("example", "activation, hadamard", 84, 2),
    ("example", "propagation", 27, 1),
    ("cnn", "hmp full", 57, 0),
    ("cnn", "hmp parameter", 97, 0),
    ("cnn", "forward full", 53, 0),
    ("cnn", "forward parameter", 106, 0),
    ("cnn", "autodiff full", 291, 0),
    ("cnn", "autodiff parameter", 645, 0),
    ("cnn", "hutchinson, hmp, signs", 84, 1),
    ("cnn", "hutchinson, forward, normals", 56, 1),
    ("cnn", "activation", 136, 5),
    ("cnn", "activation, hadamard", 99, 5),
    ("cnn", "propagation", 80, 2),
];

#[test]
fn products_launch_no_more_than_stated() {
    let Some((device, _alone)) = pretend_card_alone("products_launch_no_more_than_stated") else {
        return;
    };
    let mut found = Vec::new();
    for (network, problem) in networks() {
        let rows = [
            of_products(&problem, device, 3),
            of_chunks(&problem, device),
        ]
        .concat();
        found.extend(
            rows.into_iter()
                .map(|(name, counts)| (network, name, counts)),
        );
    }
    assert_eq!(found.len(), BOUNDS.len());
    let mut wrong = String::new();
    for ((network, name, counts), &(_, _, launches, uploads)) in found.iter().zip(BOUNDS) {
        let stated = counts.launches <= launches && counts.uploads <= uploads;
        if !stated || counts.downloads + counts.waits > 0 {
            wrong += &format!("{network}, {name}: {counts:?}, stated {launches}, {uploads}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// A product with thirty times as many vectors asks for no more than one with three.
#[test]
fn more_vectors_cost_no_more_launches() {
    let Some((device, _alone)) = pretend_card_alone("more_vectors_cost_no_more_launches") else {
        return;
    };
    for (name, problem) in networks() {
        let few = of_products(&problem, device, 3);
        for ((product, few), (_, many)) in few.into_iter().zip(of_products(&problem, device, 90)) {
            if !product.starts_with("autodiff") {
                assert_eq!(few, many, "{name}, {product}");
            }
        }
    }
}
