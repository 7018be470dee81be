//! Every layer, loss, matrix and product of the table of cases, and every estimator over it.

use super::card::{all_on, card, on, pretend_card_alone};
use crate::support::cases::cases_once;
use crate::support::*;
use curvature_runner::curvature::{Autodiff, Blocks, Forward, Hmp, Product, Quadratic, exact};
use curvature_runner::estimator::{Estimate, EstimatorSpec};
use curvature_runner::problem::{Batch, Curvature, NetworkProblem, Problem};
use tch::{Device, Kind, Tensor};

/// What may differ on a card: the order of sums.
fn tolerance(kind: Kind) -> f64 {
    match kind {
        Kind::Double => 1e-9,
        _ => 1e-4,
    }
}

/// Everything that `problem` has a product for, on the card and on the CPU.
fn assert_products_agree(case: &str, cpu: &NetworkProblem, curvature: Curvature, device: Device) {
    let card = on(cpu, device);
    let v = vectors(cpu, 3, 9);
    let v: Vec<Tensor> = v.iter().map(|v| v.to_kind(cpu.kind())).collect();
    let v_card = all_on(&v, device);
    let (at, at_card) = (cpu.linearize_for(curvature), card.linearize_for(curvature));
    let agree = |what: &str, found: &Tensor, wanted: &Tensor| {
        assert_eq!(found.device(), device, "{case}, {what}");
        assert_eq!(found.kind(), wanted.kind(), "{case}, {what}");
        let error = relative_error(&found.to_device(Device::Cpu), wanted);
        let close = error < tolerance(cpu.kind());
        assert!(close, "{case}, {curvature:?}, {what}: off by {error:e}");
    };
    for blocks in [Blocks::Full, Blocks::Parameter] {
        let partition = blocks.of(&cpu.network).unwrap();
        let wanted = flat(&Hmp::new(&at, &partition).multiply(&v), 1);
        let found = flat(&Hmp::new(&at_card, &partition).multiply(&v_card), 1);
        agree(&format!("hmp, {blocks}"), &found, &wanted);
        let laid_out = Hmp::of_parts(std::slice::from_ref(&at_card), &partition, 10_000);
        let found = flat(&laid_out.multiply(&v_card), 1);
        agree(&format!("hmp laid out, {blocks}"), &found, &wanted);
        let autodiff = Autodiff::new(&card, curvature, &partition);
        let found = flat(&autodiff.multiply(&v_card), 1);
        agree(&format!("autodiff, {blocks}"), &found, &wanted);
        let wanted = Forward::new(&at, &partition).quadratic(&v);
        let found = Forward::new(&at_card, &partition).quadratic(&v_card);
        agree(&format!("forward, {blocks}"), &found, &wanted);
    }
    let wanted = flat(&exact::diagonal(&at), 0);
    let found = flat(&exact::diagonal(&at_card), 0);
    agree("exact", &found, &wanted);
}

#[test]
fn products_agree_with_the_cpu() {
    let Some((device, _shared)) = card("products_agree_with_the_cpu") else {
        return;
    };
    for (case, cpu) in cases_once() {
        assert_products_agree(&case, &cpu, Curvature::Hessian, device);
    }
}

/// No operator between puts out float32 where the problem is in float64. A real card does the same
/// in float32.
#[test]
fn products_keep_their_precision() {
    const FLOAT: i32 = 6;
    if let Some((device, _alone)) = pretend_card_alone("products_keep_their_precision") {
        pretend_card::refuse_kind(FLOAT);
        let case = || {
            for (case, cpu) in cases_once().step_by(3) {
                assert_products_agree(&case, &cpu, Curvature::Ggn, device);
            }
        };
        let ended = std::panic::catch_unwind(case);
        pretend_card::refuse_kind(-1);
        ended.unwrap();
    } else if let Some((device, _shared)) = card("products_keep_their_precision") {
        for (case, cpu) in cases_once() {
            let cpu = in_float32(&cpu);
            assert_products_agree(&case, &cpu, Curvature::Hessian, device);
        }
    }
}

fn in_float32(problem: &NetworkProblem) -> NetworkProblem {
    let floats = |t: &Tensor| t.to_kind(Kind::Float);
    let placed = |batch: &Batch| batch.placed(Device::Cpu, Kind::Float);
    NetworkProblem {
        parameters: problem.parameters.iter().map(floats).collect(),
        buffers: problem.buffers.iter().map(floats).collect(),
        batches: problem.batches.iter().map(placed).collect(),
        ..problem.clone()
    }
}

/// Cut into batches of three samples.
fn in_batches(problem: &NetworkProblem) -> NetworkProblem {
    let Batch {
        inputs, targets, ..
    } = &problem.batches[0];
    let batch = |first: i64| {
        let count = 3.min(inputs.size()[0] - first);
        let part = |t: &Tensor| t.narrow(0, first, count);
        Batch::new(part(inputs), part(targets))
    };
    let batches = (0..inputs.size()[0]).step_by(3).map(batch).collect();
    let tensors = problem.parameters.iter().chain(&problem.buffers);
    let tensors = tensors.map(Tensor::shallow_clone).collect();
    let (network, loss) = (problem.network.clone(), problem.loss.clone());
    NetworkProblem::new(network, loss, tensors, batches)
}

fn estimates(estimator: &EstimatorSpec, problem: NetworkProblem) -> Vec<Estimate> {
    let start = curvature_runner::estimator::Start::Philox(1);
    task(estimator).run(&problem.into(), &start, &[3, 8].into(), 4)
}

/// Estimators by layers, on every network, whole and in batches.
#[test]
fn estimators_agree_with_the_cpu() {
    let Some((device, _shared)) = card("estimators_agree_with_the_cpu") else {
        return;
    };
    let mut estimators = every_estimator();
    estimators.extend(of_other_matrices().into_iter().map(|(spec, _)| spec));
    for (index, (case, cpu)) in cases_once().enumerate() {
        // Each network meets some of the estimators, each estimator some of the networks.
        for estimator in estimators.iter().skip(index % 3).step_by(3) {
            for cpu in [&cpu, &in_batches(&cpu)] {
                let wanted = estimates(estimator, cpu.clone());
                let found = estimates(estimator, on_keeping_batches(cpu, device));
                for (found, wanted) in found.iter().zip(&wanted) {
                    let error = (found.value.mean - wanted.value.mean).abs();
                    let close = error < 1e-9 * wanted.value.mean.abs().max(1.0);
                    assert!(close, "{case}, {estimator:?}: off by {error:e}");
                }
            }
        }
    }
}

/// On the card, but for the data of several batches, which come there in turn.
fn on_keeping_batches(problem: &NetworkProblem, device: Device) -> NetworkProblem {
    let batches = problem.batches.clone();
    let card = on(problem, device);
    match batches.len() {
        1 => card,
        _ => NetworkProblem { batches, ..card },
    }
}

/// What is on a card is told from what is not: the check can fail.
#[test]
fn a_tensor_left_on_the_cpu_is_found() {
    let Some((device, _shared)) = card("a_tensor_left_on_the_cpu_is_found") else {
        return;
    };
    let problem = example_network(Kind::Float);
    let card = on(&problem, device);
    let partition = Blocks::Full.of(&card.network).unwrap();
    let at = card.linearize();
    let v = vectors(&problem, 2, 9);
    let forgotten = || Hmp::new(&at, &partition).multiply(&v);
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(forgotten));
    assert!(ended.is_err());
    let _: Problem = card.into();
}
