//! Our side of `make compare`: the protocol of `peer.py`, over the same problem folders.

use curvature_runner::estimator::{EstimatorSpec, Sampling, Start, Task};
use curvature_runner::plan::Plan;
use curvature_runner::problem::{ProblemSpec, Subject};
use curvature_runner::spec::{Source, Spec};
use serde_json::{Value, json};
use std::io::BufRead;
use std::path::Path;
use std::time::Instant;

const V_BATCHES: [u64; 6] = [5, 10, 20, 50, 100, 200];

/// Name, quantity, what a spec says of it, and whether V_batch means something.
const METHODS: [(&str, &str, &str, bool); 8] = [
    ("exact", "exact", "kind = 'exact'", false),
    (
        "autodiff",
        "block",
        "kind = 'hutchinson'\nblocks = 'parameter'\nproduct = 'autodiff'",
        false,
    ),
    (
        "autodiff",
        "full",
        "kind = 'hutchinson'\nblocks = 'full'\nproduct = 'autodiff'",
        false,
    ),
    (
        "hmp",
        "block",
        "kind = 'hutchinson'\nblocks = 'parameter'\nproduct = 'hmp'",
        true,
    ),
    (
        "hmp",
        "full",
        "kind = 'hutchinson'\nblocks = 'full'\nproduct = 'hmp'",
        true,
    ),
    (
        "forward",
        "block",
        "kind = 'hutchinson'\nblocks = 'parameter'\nproduct = 'forward'",
        true,
    ),
    (
        "forward",
        "full",
        "kind = 'hutchinson'\nblocks = 'full'\nproduct = 'forward'",
        true,
    ),
    ("activation", "activation", "kind = 'activation'", true),
];
const PROPAGATION: (&str, &str, &str, bool) =
    ("propagation", "propagation", "kind = 'propagation'", true);

fn main() {
    curvature_runner::memory::keep_freed_buffers();
    let folder = std::env::args().nth(1).expect("usage: ours PROBLEM_FOLDER");
    let folder = Path::new(&folder);
    let methods: Vec<_> = METHODS.into_iter().chain([PROPAGATION]).collect();
    let subject = load(folder);
    let listed: Vec<Value> = methods
        .iter()
        .map(|(method, quantity, _, batched)| {
            let batches = if *batched {
                json!(V_BATCHES)
            } else {
                Value::Null
            };
            json!({"method": method, "quantity": quantity, "V_batch": batches, "unsupported": null})
        })
        .collect();
    let version = env!("CARGO_PKG_VERSION");
    let threads = tch::get_num_threads();
    println!(
        "{}",
        json!({"ready": true, "name": "runner", "versions": {"runner": version}, "threads": threads, "methods": listed})
    );
    for line in std::io::stdin().lock().lines() {
        let request: Value = serde_json::from_str(&line.expect("a line")).expect("a request");
        if request["quit"] == true {
            return;
        }
        let asked = |method: &(&str, &str, &str, bool)| {
            request["method"] == method.0 && request["quantity"] == method.1
        };
        println!(
            "{}",
            match methods.iter().find(|method| asked(method)) {
                Some((_, _, spec, _)) => answer(&subject, spec, &request),
                None => json!({"error": "no such method"}),
            }
        );
    }
}

fn answer(subject: &Subject, spec: &str, request: &Value) -> Value {
    let number = |key: &str, default: u64| request[key].as_u64().unwrap_or(default);
    let (v, v_batch, seed) = (number("V", 1), number("V_batch", 20), number("seed", 0));
    let task = task(spec, v_batch);
    let clock = Instant::now();
    let estimate = task
        .run(subject, &Start::Philox(seed), &[v].into(), v_batch)
        .remove(0);
    let seconds = clock.elapsed().as_secs_f64();
    json!({"seconds": seconds, "estimate": estimate.value.mean, "std_error": estimate.value.std_error})
}

fn task(spec: &str, v_batch: u64) -> std::sync::Arc<dyn Task> {
    let text = format!("{spec}\nV = [1]\nV_batch = [{v_batch}]\nseeds = [0]");
    let text = if spec.contains("exact") {
        spec.into()
    } else {
        text
    };
    let source = Source::new("request", text);
    let estimator: EstimatorSpec = source.deserialize().expect("a valid estimator");
    estimator
        .expand(&Sampling::default(), &ProblemSpec::default())
        .expect("a valid estimator")
        .task
}

/// The problem of a folder, through a spec like a user's.
fn load(folder: &Path) -> Subject {
    let text = std::fs::read_to_string(folder.join("problem.json")).expect("problem.json");
    let description: Value = serde_json::from_str(&text).expect("problem.json is JSON");
    let part = |value: &Value| {
        toml::Value::try_from(value)
            .expect("JSON without nulls")
            .to_string()
    };
    let text = format!(
        "name = 'compare'\nkind = 'timing'\ndevice = 'cpu'\n\
         data = {{ source = 'safetensors', path = 'data.safetensors' }}\n\
         model = {{ weights = 'model.safetensors', layers = {} }}\n\
         loss = {}\nestimator = [{{ kind = 'exact' }}]\n",
        part(&description["layers"]),
        part(&description["loss"])
    );
    let source = Source::new(folder.join("problem.toml"), text);
    let plan = Spec::parse(&source).and_then(|spec| Plan::new(spec, &source));
    let plan = plan.unwrap_or_else(|error| panic!("{:?}", miette::Report::new(error)));
    plan.setup.build(plan.device, plan.dtype).0.remove(0)
}
