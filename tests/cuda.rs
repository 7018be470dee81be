//! Everything that runs on a GPU, against the same on the CPU; skipped where there is none.

mod support;

use curvature_runner::curvature::{Autodiff, Blocks, Forward, Hmp, Product, Quadratic, exact};
use curvature_runner::estimator::stream::{PhiloxStream, Space};
use curvature_runner::estimator::{Probe, Start};
use curvature_runner::output::Record;
use curvature_runner::plan::Plan;
use curvature_runner::problem::loss::Reduction;
use curvature_runner::problem::{Curvature, NetworkProblem};
use curvature_runner::run::{NoObserver, Observer, Todo, run};
use curvature_runner::spec::{Override, Spec, SpecText};
use std::sync::Arc;
use support::*;
use tch::{Device, Kind, Tensor};

/// The first GPU, or `None` with the reason printed.
fn gpu(test: &str) -> Option<Device> {
    match tch::Cuda::device_count() {
        0 => {
            println!("{test} skipped: libtorch finds no CUDA device");
            None
        }
        _ => Some(Device::Cuda(0)),
    }
}

fn on(problem: &NetworkProblem, device: Device) -> NetworkProblem {
    let place = |t: &Tensor| t.to_device(device);
    NetworkProblem {
        parameters: problem.parameters.iter().map(place).collect(),
        ..problem.clone()
    }
}

fn problems() -> Vec<NetworkProblem> {
    let layers = [
        flatten(),
        linear(6, true),
        tanh(),
        linear(5, false),
        sigmoid(),
        linear(4, true),
        relu(),
        linear(3, true),
    ];
    [cross_entropy(Reduction::Mean), mse(Reduction::Sum)]
        .into_iter()
        .map(|loss| problem(&layers, &[2, 3], 5, loss, 3))
        .collect()
}

#[test]
fn products_agree_with_the_cpu() {
    let Some(device) = gpu("products_agree_with_the_cpu") else {
        return;
    };
    for cpu in problems() {
        let cuda = on(&cpu, device);
        let v = vectors(&cpu, 4, 9);
        let v_cuda: Vec<Tensor> = v.iter().map(|v| v.to_device(device)).collect();
        let (at, at_cuda) = (cpu.linearize(), cuda.linearize());
        for blocks in [Blocks::Full, Blocks::Parameter] {
            let partition = blocks.of(&cpu.network).unwrap();
            let autodiff = |problem| Autodiff::new(problem, Curvature::Hessian, &partition);
            let wanted = flat(&autodiff(&cpu).multiply(&v), 1);
            for found in [
                Hmp::new(&at_cuda, &partition).multiply(&v_cuda),
                autodiff(&cuda).multiply(&v_cuda),
            ] {
                assert_eq!(found[0].device(), device);
                let found = flat(&found, 1).to_device(Device::Cpu);
                assert!(relative_error(&found, &wanted) < 1e-10, "{blocks:?}");
            }
            let wanted = Forward::new(&at, &partition).quadratic(&v);
            let found = Forward::new(&at_cuda, &partition).quadratic(&v_cuda);
            assert!(relative_error(&found.to_device(Device::Cpu), &wanted) < 1e-10);
        }
        let wanted = flat(&exact::diagonal(&at), 0);
        let found = flat(&exact::diagonal(&at_cuda), 0).to_device(Device::Cpu);
        assert!(relative_error(&found, &wanted) < 1e-10);
    }
}

#[test]
fn probes_are_the_same_bits() {
    let Some(device) = gpu("probes_are_the_same_bits") else {
        return;
    };
    for probe in [Probe::Rademacher, Probe::Gaussian, Probe::Sphere] {
        let draw = |device| {
            let stream = PhiloxStream::new(4, Kind::Float, device);
            stream.draw(probe, Space::Parameter(0), 3, 10, &[20, 31])
        };
        assert!(
            draw(device)
                .to_device(Device::Cpu)
                .equal(&draw(Device::Cpu))
        );
    }
}

#[test]
fn every_estimator_agrees_with_the_cpu() {
    let Some(device) = gpu("every_estimator_agrees_with_the_cpu") else {
        return;
    };
    for cpu in problems() {
        let cuda = on(&cpu, device);
        for estimator in every_estimator() {
            let task = task(&estimator);
            let run = |problem| task.run(problem, &Start::Philox(1), &[3, 8].into(), 4);
            for (found, wanted) in run(&cuda.clone().into())
                .iter()
                .zip(run(&cpu.clone().into()))
            {
                let error = (found.value.mean - wanted.value.mean).abs();
                assert!(
                    error < 1e-9 * wanted.value.mean.abs().max(1.0),
                    "{estimator:?}"
                );
            }
        }
    }
}

/// The committed experiment on the GPU, in float32: the numbers of the torch stream.
#[test]
fn the_example_agrees_with_the_cpu() {
    if gpu("the_example_agrees_with_the_cpu").is_none() {
        return;
    }
    let records = |device: &str| -> Vec<Record> {
        let source = SpecText::read(&experiment("smoke.toml")).unwrap();
        let source = source.with(&[Override::text("--device", "device", device)]);
        let plan = Plan::new(Spec::parse(&source).unwrap(), &source).unwrap();
        let plan = Arc::new(plan);
        let mut records = Vec::new();
        let watch: Arc<dyn Observer> = Arc::new(NoObserver);
        run(&plan, &Todo::all(&plan), &watch, |done| {
            records.extend(done.job().into_iter().flat_map(|job| job.rows.records));
            Ok(())
        })
        .unwrap();
        records.sort_by_key(|r| (r.product.clone(), r.blocks.clone(), r.v, r.seed));
        records
    };
    let (cuda, cpu) = (records("cuda"), records("cpu"));
    assert_eq!(cuda.len(), cpu.len());
    for (cuda, cpu) in cuda.iter().zip(&cpu) {
        assert_eq!(cuda.device, "cuda:0");
        assert!(
            (cuda.estimate / cpu.estimate - 1.0).abs() < 1e-4,
            "{cuda:?} {cpu:?}"
        );
    }
}
