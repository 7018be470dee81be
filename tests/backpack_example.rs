//! BackPACK's example "Hutchinson Trace Estimation", number for number, on real MNIST.

use curvature_runner::output::{ParameterRecord, Record};
use curvature_runner::plan::Plan;
use curvature_runner::run::{NoObserver, Observer, Todo, run};
use curvature_runner::spec::{Override, Spec, SpecText};
use std::path::Path;
use std::sync::Arc;

fn records_of(spec: &str) -> Vec<Record> {
    rows_of(spec).0
}

fn rows_of(spec: &str) -> (Vec<Record>, Vec<ParameterRecord>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("experiments")
        .join(spec);
    let source = SpecText::read(&path).unwrap();
    // On one thread: libtorch's own take as long again for waiting.
    let source = source.with(&[
        Override::text("--device", "device", "cpu"),
        Override::number("--threads", "threads", 1),
    ]);
    let plan = Arc::new(Plan::new(Spec::parse(&source).unwrap(), &source).unwrap());
    let mut jobs = Vec::new();
    let watch: Arc<dyn Observer> = Arc::new(NoObserver);
    run(&plan, &Todo::all(&plan), &watch, |done| {
        jobs.extend(done.job());
        Ok(())
    })
    .unwrap();
    jobs.sort_by_key(|job| job.index);
    let parameters = jobs
        .iter()
        .flat_map(|job| job.rows.parameters.clone())
        .collect();
    (
        jobs.into_iter().flat_map(|job| job.rows.records).collect(),
        parameters,
    )
}

/// What BackPACK 1.7.1 prints, in the order of the script.
const PRINTED: [(&str, Option<u64>, &str); 9] = [
    ("exact", None, "12.455"),
    ("hmp parameter", Some(10), "12.308"),
    ("autodiff full", None, "12.142"),
    ("autodiff parameter", None, "12.581"),
    ("autodiff full", None, "12.373"),
    ("autodiff parameter", None, "12.095"),
    ("hmp parameter", Some(5), "12.465"),
    ("hmp parameter", Some(10), "12.298"),
    ("hmp parameter", Some(20), "12.345"),
];

#[test]
fn the_nine_printed_numbers() {
    let (records, parameters) = rows_of("backpack_example.toml");
    for (part, (name, trace)) in parameters
        .iter()
        .zip([("1.weight", 7.705597), ("3.weight", 4.749412)])
    {
        assert_eq!(
            (part.estimator.as_str(), part.parameter.as_str()),
            ("exact", name)
        );
        assert!(
            (part.estimate - trace).abs() < 2e-6,
            "{name}: {} against {trace}",
            part.estimate
        );
    }
    let unseeded: Vec<&Record> = records.iter().filter(|r| r.seed.is_none()).collect();
    assert_eq!(unseeded.len(), PRINTED.len());
    for (record, (name, v_batch, printed)) in unseeded.iter().zip(PRINTED) {
        let found = match (&record.product, &record.blocks) {
            (Some(product), Some(blocks)) => format!("{product} {blocks}"),
            _ => record.estimator.clone(),
        };
        assert_eq!((found.as_str(), record.v_batch), (name, v_batch));
        assert_eq!(
            format!("{:.3}", record.estimate),
            printed,
            "{name} {v_batch:?}"
        );
    }
    let six_digits = [12.455009, 12.308348, 12.141584, 12.580908];
    for (record, expected) in unseeded.iter().zip(six_digits) {
        assert!(
            (record.estimate - expected).abs() < 2e-5,
            "{} {expected}",
            record.estimate
        );
    }
}

/// `tests/data/backpack_curves.csv`: seeds 0 to 4 as computed by BackPACK 1.7.1 on PyTorch 2.11.
#[test]
fn the_convergence_curves() {
    let records = records_of("convergence.toml");
    let mut reader = csv::Reader::from_path(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/backpack_curves.csv"),
    )
    .unwrap();
    let mut rows = 0;
    for row in reader.deserialize() {
        let (seed, v, v_batch, expected): (u64, u64, u64, f64) = row.unwrap();
        let found = records
            .iter()
            .find(|r| (r.seed, r.v, r.v_batch) == (Some(seed), Some(v), Some(v_batch)))
            .unwrap_or_else(|| panic!("no row for seed {seed}, V = {v}"));
        let error = (found.estimate / expected - 1.0).abs();
        assert!(
            error < 1e-4,
            "seed {seed}, V = {v}: {} against {expected}",
            found.estimate
        );
        rows += 1;
    }
    assert_eq!(rows, 5 * 30);
    assert_eq!(records.iter().filter(|r| r.seed.is_some()).count(), 15 * 30);
}

/// The other ten seeds: each is computed once more by itself, by the reference product.
#[test]
fn the_other_seeds_agree_with_autodiff() {
    use curvature_runner::curvature::{Autodiff, Blocks, Quadratic};
    use curvature_runner::estimator::TorchStream;
    use curvature_runner::problem::Curvature;
    use curvature_runner::problem::generator::TorchGenerator;
    use tch::{Device, Kind};

    let records = records_of("convergence.toml");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/convergence.toml");
    let source = SpecText::read(&path).unwrap();
    let plan = Plan::new(Spec::parse(&source).unwrap(), &source).unwrap();
    let (problem, _) = plan.setup.network().build(Device::Cpu, Kind::Float);
    let blocks = Blocks::Parameter.of(&problem.network).unwrap();
    let autodiff = Autodiff::new(&problem, Curvature::Hessian, &blocks);
    let shapes: Vec<Vec<i64>> = problem.parameters.iter().map(|p| p.size()).collect();
    for seed in 5..15 {
        for v in [10u64, 13, 48] {
            let generator = TorchGenerator::seeded(seed);
            let mut stream = TorchStream::new(generator, shapes.clone(), Kind::Float, Device::Cpu);
            let mut sum = 0.0;
            let mut left = v;
            while left > 0 {
                let count = left.min(10);
                let terms = autodiff.quadratic(&stream.next(count));
                sum += terms.sum(Kind::Double).double_value(&[]);
                left -= count;
            }
            let expected = sum / v as f64;
            let found = records
                .iter()
                .find(|r| (r.seed, r.v) == (Some(seed), Some(v)))
                .unwrap();
            let error = (found.estimate / expected - 1.0).abs();
            assert!(
                error < 1e-4,
                "seed {seed}, V = {v}: {} against {expected}",
                found.estimate
            );
        }
    }
}
