//! Where the time of products goes, layer by layer: `operations SPEC...` prints a table for each.
//!
//! Every map of every layer is timed by itself, at the tangents and adjoints that reach it, for a few
//! sign vectors at once; layers with weights of the same shape share a row. A second table has whole passes
//! and products, in gradients.

#[path = "../estimates.rs"]
mod estimates;
mod gradients;

use curvature_runner::estimator::stream::{PhiloxStream, Space};
use curvature_runner::plan::Plan;
use curvature_runner::problem::{
    Added, Linearization, LinearizedLayer, NetworkProblem, Problem, Signs, Vectors,
};
use curvature_runner::spec::{Spec, SpecText};
use std::path::Path;
use std::time::Instant;
use tch::Tensor;

/// Vectors at once.
const VECTORS: u64 = 4;
/// How often each map is timed; the median counts.
const RUNS: usize = 5;
/// What is timed: a form takes the first two, a product tangent, adjoint and weight's adjoint.
const MAPS: [&str; 4] = [
    "tangent",
    "second derivatives",
    "adjoint",
    "weight's adjoint",
];

/// Layers with weights of the same shape.
#[derive(Default)]
struct Row {
    name: String,
    layers: usize,
    /// Multiplications and additions of a tangent of one vector.
    flop: f64,
    /// Bytes of weights and outputs.
    bytes: f64,
    /// Milliseconds of one vector.
    times: [f64; MAPS.len()],
}

fn main() {
    curvature_runner::memory::keep_freed_buffers();
    for path in std::env::args().skip(1) {
        let problem = load(Path::new(&path));
        let name = Path::new(&path).file_stem().unwrap_or_default();
        println!(
            "\n{}, {} samples\n",
            name.to_string_lossy(),
            problem.samples()
        );
        print(&rows(&problem));
        gradients::print(&problem);
    }
}

/// The first problem of a spec, its first batch.
fn load(path: &Path) -> NetworkProblem {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let source = SpecText::new(path, text);
    let plan = Spec::parse(&source).and_then(|spec| Plan::new(spec, &source));
    let plan = plan.unwrap_or_else(|error| panic!("{:?}", miette::Report::new(error)));
    match plan.build(plan.device).0.remove(0).first_batch() {
        Problem::Network(network) => network,
        Problem::Matrix(_) => panic!("{}: expected a network", path.display()),
    }
}

fn rows(problem: &NetworkProblem) -> Vec<Row> {
    let at = problem.linearize();
    let stream = PhiloxStream::new(0, problem.kind(), problem.device());
    let signs: Vec<Signs> = (problem.parameters.iter().enumerate())
        .map(|(i, p)| stream.signs(Space::Parameter(i), 0, VECTORS, &p.size()))
        .collect();
    let v: Vec<Vectors> = signs.iter().map(Vectors::Signs).collect();
    let (inputs, adjoints) = passes(&at, &v);
    let bytes = problem.kind().elt_size_in_bytes() as f64;
    let mut rows: Vec<Row> = Vec::new();
    for (l, layer) in at.layers().iter().enumerate() {
        let (Some(hz), name) = (&adjoints[l], name(layer)) else {
            continue;
        };
        let index = rows
            .iter()
            .position(|row| row.name == name)
            .unwrap_or_else(|| {
                rows.push(Row {
                    name,
                    ..Row::default()
                });
                rows.len() - 1
            });
        let (row, samples) = (&mut rows[index], layer.output[0] as f64);
        row.layers += 1;
        row.flop += 2.0 * samples * layer.work();
        row.bytes += bytes * (samples * layer.features() as f64 + numel(layer));
        let times = times(layer, inputs[l].as_ref(), hz, &v);
        row.times
            .iter_mut()
            .zip(times)
            .for_each(|(sum, ms)| *sum += ms);
    }
    rows
}

/// The tangents at the input of every layer, and the adjoints at its output.
fn passes(at: &Linearization, v: &[Vectors]) -> (Vec<Option<Tensor>>, Vec<Option<Tensor>>) {
    let none = || at.layers().iter().map(|_| None).collect::<Vec<_>>();
    let (mut inputs, mut adjoints) = (none(), none());
    let all: Vec<usize> = (0..v.len()).collect();
    let output = at.parameter_tangents(&all, v, |l, _, dx| {
        inputs[l] = Some(dx.shallow_clone());
        None
    });
    let top = at.loss().hessian(&output);
    at.propagate_adjoints(at.top(), top, None, |l, _, hz| {
        adjoints[l] = Some(hz.shallow_clone());
        Added::default()
    });
    (inputs, adjoints)
}

/// Milliseconds of one vector, for every map.
fn times(
    layer: &LinearizedLayer,
    dx: Option<&Tensor>,
    hz: &Tensor,
    v: &[Vectors],
) -> [f64; MAPS.len()] {
    let own = |i: usize| v[layer.indices[i]];
    let own: Vec<Vectors> = (0..layer.indices.len()).map(own).collect();
    let places = || 0..own.len();
    let tangent = || drop(layer.tangent_along(dx, &layer.indices, &own));
    let second = || {
        if let (Some(g), Some(dx)) = (&layer.gradient, dx) {
            drop(layer.own_curvature.quadratic(dx));
            for i in places() {
                drop(layer.parameters().mixed_form(i, g, dx, own[i]));
            }
        }
    };
    let adjoint = || {
        if layer.has_input() {
            drop(layer.local.adjoint(hz));
        }
    };
    let weight = || {
        for i in places() {
            drop(layer.parameter_product(i, hz, dx));
        }
    };
    [
        timed(&tangent),
        timed(&second),
        timed(&adjoint),
        timed(&weight),
    ]
}

/// The median time of some runs, after one that is not timed, in milliseconds of one vector.
fn timed(work: &dyn Fn()) -> f64 {
    work();
    let mut seconds: Vec<f64> = (0..RUNS)
        .map(|_| {
            let clock = Instant::now();
            work();
            clock.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    1e3 * seconds[RUNS / 2] / VECTORS as f64
}

/// What layers are alike: the shape of the weight, or that there is none.
fn name(layer: &LinearizedLayer) -> String {
    if layer.indices.is_empty() {
        let name = match layer.local.inner_features() {
            0 => "without parameters",
            _ => "attention",
        };
        return name.into();
    }
    match layer.parameters().shape(0)[..] {
        [_] => "norms and biases".into(),
        ref shape => format!("{shape:?}"),
    }
}

fn numel(layer: &LinearizedLayer) -> f64 {
    (0..layer.indices.len())
        .map(|i| layer.numel(i) as f64)
        .sum()
}

/// The table in Markdown: milliseconds of one vector, and in brackets the share of all.
fn print(rows: &[Row]) {
    println!(
        "| weight | layers | MFLOP | MB | flop per byte | {} |",
        MAPS.join(" | ")
    );
    println!("|---|---|---|---|---|{}", "---|".repeat(MAPS.len()));
    let all: f64 = rows.iter().flat_map(|row| row.times).sum();
    for row in rows {
        let times = row
            .times
            .map(|ms| format!("{ms:.2} ({:.0} %)", 100.0 * ms / all));
        println!(
            "| {} | {} | {:.1} | {:.1} | {:.1} | {} |",
            row.name,
            row.layers,
            row.flop / 1e6,
            row.bytes / 1e6,
            row.flop / row.bytes,
            times.join(" | ")
        );
    }
}
