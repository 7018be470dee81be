//! Our side of `make compare`: the protocol of `peer.py`, over the same problem folders.

use curvature_runner::error::UserError;
use curvature_runner::estimator::{EstimatorSpec, Sampling, Start, Task};
use curvature_runner::plan::Plan;
use curvature_runner::problem::{Problem, ProblemSpec};
use curvature_runner::spec::{Spec, SpecText};
use serde_json::{Value, json};
use std::io::BufRead;
use std::path::Path;
use std::time::Instant;

const V_BATCHES: [u64; 10] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];

/// V_batch where a request names none: estimators that need all their products at once.
const WHOLE: u64 = 100;

/// Kind, product, quantity, and whether V_batch is to be tuned.
const METHODS: [(&str, &str, &str, bool); 13] = [
    ("exact", "", "exact", false),
    ("hutchinson", "autodiff", "block", false),
    ("hutchinson", "autodiff", "full", false),
    ("hutchinson", "hmp", "block", true),
    ("hutchinson", "hmp", "full", true),
    ("hutchinson", "forward", "block", true),
    ("hutchinson", "forward", "full", true),
    ("hutchpp", "hmp", "block", false),
    ("hutchpp", "hmp", "full", false),
    ("xtrace", "hmp", "block", false),
    ("xtrace", "hmp", "full", false),
    ("activation", "", "activation", true),
    ("propagation", "", "propagation", true),
];

/// What the tables call a method: Hutchinson's is known by its product.
fn name(&(kind, product, ..): &(&'static str, &'static str, &str, bool)) -> &'static str {
    if kind == "hutchinson" { product } else { kind }
}

/// What a spec says of a method.
fn spec(&(kind, product, quantity, _): &(&str, &str, &str, bool), v: u64, v_batch: u64) -> String {
    let blocks = match quantity {
        "block" => "blocks = 'parameter'\n",
        "full" => "blocks = 'full'\n",
        _ => "",
    };
    let product = match product {
        "" => String::new(),
        product => format!("product = '{product}'\n"),
    };
    let sampling = match kind {
        "exact" => String::new(),
        _ => format!("V = [{v}]\nV_batch = [{v_batch}]\nseeds = [0]\n"),
    };
    format!("kind = '{kind}'\n{blocks}{product}{sampling}")
}

fn main() {
    curvature_runner::memory::keep_freed_buffers();
    let folder = std::env::args().nth(1).expect("usage: ours PROBLEM_FOLDER");
    let folder = Path::new(&folder);
    let problem = load(folder);
    let listed: Vec<Value> = METHODS
        .iter()
        .map(|method| {
            let batches = method.3.then_some(V_BATCHES);
            json!({"method": name(method), "quantity": method.2, "V_batch": batches, "unsupported": null})
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
        let asked = METHODS
            .iter()
            .find(|method| request["method"] == name(method) && request["quantity"] == method.2);
        println!(
            "{}",
            match asked {
                Some(method) => answer(&problem, method, &request),
                None => json!({"error": "no such method"}),
            }
        );
    }
}

fn answer(problem: &Problem, method: &(&str, &str, &str, bool), request: &Value) -> Value {
    let number = |key: &str, default: u64| request[key].as_u64().unwrap_or(default);
    let (v, v_batch, seed) = (number("V", 1), number("V_batch", WHOLE), number("seed", 0));
    let task = match task(spec(method, v, v_batch)) {
        Ok(task) => task,
        Err(error) => return json!({"error": error.to_string()}),
    };
    let clock = Instant::now();
    let estimate = task
        .run(problem, &Start::Philox(seed), &[v].into(), v_batch)
        .remove(0);
    let seconds = clock.elapsed().as_secs_f64();
    // Of the others the estimate is no mean of independent samples.
    let mean = matches!(method.0, "hutchinson" | "activation" | "propagation");
    let (value, samples) = (estimate.value, if mean { v } else { 0 });
    json!({"seconds": seconds, "estimate": value.mean, "std_error": value.std_error, "samples": samples})
}

fn task(text: String) -> Result<std::sync::Arc<dyn Task>, UserError> {
    let estimator: EstimatorSpec = SpecText::new("request", text)
        .deserialize()
        .expect("a valid table");
    let expanded = estimator.expand(&Sampling::default(), &ProblemSpec::default())?;
    Ok(expanded.task)
}

/// The problem of a folder, through a spec like a user's.
fn load(folder: &Path) -> Problem {
    let text = std::fs::read_to_string(folder.join("problem.json")).expect("problem.json");
    let description: Value = serde_json::from_str(&text).expect("problem.json is JSON");
    let part = |value: &Value| {
        toml::Value::try_from(value)
            .expect("JSON without nulls")
            .to_string()
    };
    let device = std::env::var("PEER_DEVICE").unwrap_or("cpu".into());
    let text = format!(
        "name = 'compare'\nkind = 'timing'\ndevice = '{device}'\n\
         data = {{ source = 'safetensors', path = 'data.safetensors' }}\n\
         model = {{ weights = 'model.safetensors', layers = {} }}\n\
         loss = {}\nestimator = [{{ kind = 'exact' }}]\n",
        part(&description["layers"]),
        part(&description["loss"])
    );
    let source = SpecText::new(folder.join("problem.toml"), text);
    let plan = Spec::parse(&source).and_then(|spec| Plan::new(spec, &source));
    let plan = plan.unwrap_or_else(|error| panic!("{:?}", miette::Report::new(error)));
    plan.build(plan.device).0.remove(0)
}
