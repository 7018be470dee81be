//! Files that the repository ships: the data are the published ones, an exported network is the one
//! that PyTorch had.

use curvature_runner::estimator::{Start, exact_traces};
use curvature_runner::plan::Plan;
use curvature_runner::problem::Curvature;
use curvature_runner::spec::{Spec, SpecText};
use md5::{Digest, Md5};
use std::io::Read;
use std::path::Path;

#[test]
fn mnist_has_the_published_checksums() {
    for (name, published) in [
        (
            "train-images-idx3-ubyte",
            "6bbc9ace898e44ae57da46a324031adb",
        ),
        (
            "train-labels-idx1-ubyte",
            "a25bea736e30d166cdddb491f175f624",
        ),
    ] {
        let path = format!("{}/data/mnist/{name}.gz", env!("CARGO_MANIFEST_DIR"));
        let mut unpacked = Vec::new();
        let file = std::fs::File::open(path).unwrap();
        flate2::read::GzDecoder::new(file)
            .read_to_end(&mut unpacked)
            .unwrap();
        let found: String = Md5::digest(&unpacked)
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        assert_eq!(found, published, "{name}");
    }
}

/// `tools/check_export.py --fixture` wrote network, data, and PyTorch's own loss and traces.
#[test]
fn an_exported_network_has_the_loss_and_traces_that_pytorch_computes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/exported");
    let mut source = SpecText::read(&folder.join("model.toml")).unwrap();
    source.text = format!("dtype = \"float64\"\n{}", source.text);
    let plan = Plan::new(Spec::parse(&source).unwrap(), &source).unwrap();
    let (problem, _) = plan.setup.network().build(plan.device, plan.dtype);
    let text = std::fs::read_to_string(folder.join("expected.json")).unwrap();
    let expected: serde_json::Value = serde_json::from_str(&text).unwrap();
    let close = |found: f64, expected: &serde_json::Value| {
        (found - expected.as_f64().unwrap()).abs() < 1e-10
    };
    let loss = problem.loss_at(&problem.parameters).double_value(&[]);
    assert!(close(loss, &expected["loss"]), "{loss}");
    let traces = exact_traces(&problem.clone().into(), Curvature::Hessian);
    let names = problem.network.parameters();
    assert_eq!(names.len(), expected["traces"].as_object().unwrap().len());
    for (parameter, trace) in names.iter().zip(traces) {
        let name = &parameter.name;
        assert!(close(trace, &expected["traces"][name]), "{name}: {trace}");
    }
}

/// A TorchScript module has autodiff products; with as many as parameters their sum is the trace.
#[test]
fn a_torchscript_module_has_the_traces_that_pytorch_computes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/exported");
    let source = |estimator: &str| {
        let text = format!(
            "name = 'attention'\nkind = 'convergence'\ndtype = 'float64'\n\
             data = {{ source = 'safetensors', path = 'attention.safetensors' }}\n\
             model = {{ torchscript = 'attention.pt' }}\nloss = {{ kind = 'cross_entropy' }}\n\
             sampling = {{ V = [100], V_batch = [10], seeds = [0] }}\n\
             estimator = [{{ {estimator} }}]\n"
        );
        SpecText::new(folder.join("attention.toml"), text)
    };
    let by_units = source("kind = 'bekas', blocks = 'parameter', product = 'autodiff'");
    let plan = Plan::new(Spec::parse(&by_units).unwrap(), &by_units).unwrap();
    let (problems, _) = plan.setup.build(plan.device, plan.dtype);
    let job = &plan.jobs[0];
    let estimates = job
        .task
        .run(&problems[0], &Start::Philox(0), &job.budget, 10);
    let text = std::fs::read_to_string(folder.join("expected.json")).unwrap();
    let expected: serde_json::Value = serde_json::from_str(&text).unwrap();
    let parameters = plan.setup.parameters();
    assert_eq!(parameters.len(), 9);
    for ((name, _), found) in parameters.iter().zip(&estimates[0].parameters) {
        let expected = expected["attention"][name].as_f64().unwrap();
        assert!(
            (found.mean - expected).abs() < 1e-10,
            "{name}: {} {expected}",
            found.mean
        );
    }
    for refused in [
        "kind = 'exact'",
        "kind = 'propagation'",
        "kind = 'hutchinson', blocks = 'full'",
        "kind = 'xtrace', blocks = 'full', product = 'hmp', probe = 'rademacher'",
    ] {
        let source = source(refused);
        let error = Plan::new(Spec::parse(&source).unwrap(), &source).unwrap_err();
        let message = format!("{:?}", miette::Report::new(error));
        assert!(message.contains("product = \"autodiff\""), "{message}");
    }
}

/// libtorch's fused attention has a first derivative alone, which a check of the spec finds.
#[test]
fn a_module_without_second_derivative_is_refused() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/exported");
    let text = "name = 'fused'\ndata = { source = 'safetensors', path = 'attention.safetensors' }\n\
        model = { torchscript = 'fused.pt' }\nloss = { kind = 'cross_entropy' }\n";
    let source = SpecText::new(folder.join("fused.toml"), text.to_owned());
    let error = Plan::new(Spec::parse(&source).unwrap(), &source).unwrap_err();
    let help = miette::Diagnostic::help(&error).expect("there is a way out");
    let message = format!("{error} {help}");
    for words in ["no second derivative", "flash_attention", "--torchscript"] {
        assert!(message.contains(words), "{message}");
    }
}
