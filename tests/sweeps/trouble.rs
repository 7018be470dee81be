//! Jobs that cannot be done, and memory that runs out.

use super::{MANY, Sweep, assert_same, timeless};
use curvature_runner::estimator::{Budget, Estimate, Setting, Start, Task};
use curvature_runner::output::{Session, read_records};
use curvature_runner::plan::Plan;
use curvature_runner::problem::Problem;
use curvature_runner::run::{NoObserver, Observer, Todo, run};
use curvature_runner::spec::{Spec, SpecText};
use std::fmt::Debug;
use std::process::{Command, Output};
use std::sync::Arc;
use tch::{Device, Kind, Tensor};

/// Runs a sweep that may have so much address space, in KiB.
fn within(sweep: &Sweep, kibibytes: u64, options: &[&str]) -> Output {
    Command::new("bash")
        .args([
            "-c",
            &format!("ulimit -v {kibibytes} && exec \"$0\" \"$@\""),
        ])
        .arg(assert_cmd::cargo::cargo_bin("runner"))
        .args(["spec.toml", "--threads", "1"])
        .args(options)
        .current_dir(&sweep.0)
        .output()
        .unwrap()
}

const LIMIT: u64 = 1_100_000;

/// More probes and tangents at once than fit.
const GREEDY: &str = r#"
    kind = "convergence"
    sampling = { V = [400_000], V_batch = [400_000], seeds = [0, 1] }
    estimator = [{ kind = "hutchinson", blocks = "full", product = "hmp" }]
"#;

#[test]
fn memory_that_runs_out_halves_v_batch() {
    let sweep = Sweep::new(GREEDY);
    let output = within(&sweep, LIMIT, &[]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let warning =
        "warning: hutchinson hmp full rademacher: out of memory at V_batch = 400000, went on with ";
    // The second job begins with what the first one came to.
    assert_eq!(text.matches(warning).count(), 1, "{text}");
    let rows = read_records(&sweep.results()).unwrap();
    let used = rows[0].v_batch.unwrap();
    assert_eq!(rows.len(), 2, "{text}");
    // What the first one leaves behind may cost the second another half.
    assert!(used < 400_000 && rows[1].v_batch <= Some(used), "{text}");
    assert!(text.contains(&format!("{warning}{used}")), "{text}");
    let manifest = std::fs::read_to_string(sweep.results().join("manifest.toml")).unwrap();
    assert!(
        manifest.contains("out of memory at V_batch = 400000"),
        "{manifest}"
    );
}

/// An estimator that fails, but is otherwise the one that it stands for.
struct Failing(Arc<dyn Task>);

impl Debug for Failing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl Task for Failing {
    fn setting(&self) -> Setting {
        self.0.setting()
    }

    fn is_exact(&self) -> bool {
        self.0.is_exact()
    }

    fn run(&self, _: &Problem, _: &Start, _: &Budget, _: u64) -> Vec<Estimate> {
        let shape = Tensor::zeros([2, 3], (Kind::Float, Device::Cpu));
        panic!("never here: {:?}", shape.reshape([5]));
    }
}

#[test]
fn a_failing_job_is_recorded_and_the_rest_goes_on() {
    let sweep = Sweep::new(MANY);
    let source = SpecText::read(&sweep.0.path().join("spec.toml")).unwrap();
    let mut plan = Plan::new(Spec::parse(&source).unwrap(), &source).unwrap();
    // The exact trace, and the second job.
    for job in [1, 24] {
        let task = plan.jobs[job].task.clone();
        plan.jobs[job].task = Arc::new(Failing(task));
    }
    assert_eq!(plan.jobs[24].setting.estimator, "exact");
    let mut session = Session::start(&sweep.results(), &plan, &source, None, false).unwrap();
    let watch: Arc<dyn Observer> = Arc::new(NoObserver);
    let plan = Arc::new(plan);
    run(&plan, &Todo::all(&plan), &watch, |finished| {
        session.append(finished)
    })
    .unwrap();
    let outcome = session.end(false).unwrap();
    assert_eq!(outcome.failures.len(), 2);
    let failures = std::fs::read_to_string(sweep.results().join("failures.csv")).unwrap();
    let lines: Vec<&str> = failures.lines().collect();
    let error = "shape '[5]' is invalid for input of size 6";
    // Later columns may follow.
    let begins = |line: usize, with: &str| assert!(lines[line].starts_with(with), "{failures}");
    begins(
        0,
        "experiment,estimator,matrix,blocks,product,probe,stream,V,V_batch,seed,repeat,error",
    );
    begins(
        1,
        &format!("sweep,hutchinson,hessian,full,autodiff,rademacher,philox,60,,1,0,{error}"),
    );
    begins(2, &format!("sweep,exact,hessian,,,,,,,,0,{error}"));
    let manifest = || std::fs::read_to_string(sweep.results().join("manifest.toml")).unwrap();
    assert!(manifest().contains("status = \"failed\""));
    let rows = timeless(&sweep.results());
    assert_eq!(rows.len(), 59 * 3);
    assert!(rows.iter().all(|row| row.exact.is_none()));

    // They are not tried again unless asked for, and are not forgotten.
    let (code, text) = sweep.run(&[]);
    assert_eq!(code, 1, "{text}");
    assert!(
        text.contains("59 jobs are done already, 0 to run"),
        "{text}"
    );
    assert!(
        text.contains("2 jobs failed before (--retry-failed runs them again)"),
        "{text}"
    );
    let (code, text) = sweep.run(&["--retry-failed"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("[2/2] "), "{text}");
    assert!(!sweep.results().join("failures.csv").exists());
    assert!(manifest().contains("status = \"complete\""));
    let undisturbed = Sweep::new(MANY);
    undisturbed.run(&["-q"]);
    assert_same(&sweep.results(), &undisturbed.results());
}
