//! Whole runs on the card: every kind of estimator, several batches, TorchScript, memory, cards.

use super::card::{BYTES, card, pretend_card_alone};
use crate::support::experiment;
use curvature_runner::libtorch::{allow_tf32, tf32_is_allowed};
use curvature_runner::output::{Finished, Record};
use curvature_runner::plan::Plan;
use curvature_runner::run::{NoObserver, Observer, Todo, run};
use curvature_runner::spec::{Override, Spec, SpecText};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use tch::Device;

/// A network with a buffer, shared weights and curvature of both signs.
const NETWORK: &str = r#"
data = { source = "synthetic_classification", samples = 12, shape = [2, 6, 6], classes = 3, batch = 6, batches = "all" }
model = { layers = [
  { kind = "conv2d", out = 3, kernel_size = 3, padding = 1 },
  { kind = "batch_norm2d" },
  { kind = "tanh" },
  { kind = "max_pool2d", kernel_size = 2 },
  { kind = "flatten" },
  { kind = "linear", out = 4 },
  { kind = "sigmoid" },
  { kind = "linear", out = 3 },
] }
loss = { kind = "cross_entropy" }
"#;

/// Every kind of estimator.
const ESTIMATORS: &str = r#"
sampling = { V = [12, 24], V_batch = [8], seeds = [1] }
estimator = [
  { kind = "exact", diagonal = true },
  { kind = "hutchinson", blocks = "parameter", product = "hmp" },
  { kind = "hutchinson", blocks = "full", product = "autodiff", V = [3] },
  { kind = "hutchinson", blocks = "full", probe = "gaussian" },
  { kind = "activation" },
  { kind = "activation", probe = "hadamard" },
  { kind = "activation", passes = "joint", matrix = "fisher_mc" },
  { kind = "propagation" },
  { kind = "hutchpp", blocks = "full", product = "hmp" },
  { kind = "a_hutchpp", blocks = "full", product = "hmp", probe = "gaussian" },
  { kind = "na_hutchpp", blocks = "full", product = "hmp" },
  { kind = "xtrace", blocks = "full", product = "hmp", probe = "sphere" },
  { kind = "xnystrace", blocks = "full", product = "hmp", matrix = "ggn", probe = "sphere" },
  { kind = "nystrompp", blocks = "full", product = "hmp", matrix = "ggn" },
  { kind = "bekas", blocks = "full", product = "hmp" },
  { kind = "diagpp", blocks = "full", product = "hmp" },
  { kind = "xdiag", blocks = "full", product = "hmp" },
  { kind = "frobenius", blocks = "full", product = "hmp" },
  { kind = "lanczos", blocks = "full", product = "hmp", k = 2, steps = 60 },
  { kind = "slq", blocks = "full", product = "hmp", steps = 6 },
  { kind = "log_det", blocks = "full", product = "hmp", matrix = "ggn", delta = [0.5], steps = 6 },
  { kind = "variance" },
]
"#;

fn plan(text: &str, device: &str) -> Result<Arc<Plan>, String> {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/exported");
    // Beside the test program where it was moved to another machine.
    let folder = match built.exists() {
        true => built,
        false => "tests/data/exported".into(),
    };
    let source = SpecText::new(folder.join("spec.toml"), text);
    plan_of(source, device)
}

fn plan_of(source: SpecText, device: &str) -> Result<Arc<Plan>, String> {
    let source = source.with(&[
        Override::text("--device", "device", device),
        Override::number("--threads", "threads", 1),
    ]);
    let spec = Spec::parse(&source).map_err(|error| format!("{error:?}"))?;
    let plan = Plan::new(spec, &source).map_err(|error| format!("{error:?}"))?;
    Ok(Arc::new(plan))
}

/// All jobs of a plan, in order; none may fail.
fn jobs(plan: &Arc<Plan>) -> Vec<Finished> {
    jobs_watched(plan, &(Arc::new(NoObserver) as Arc<dyn Observer>))
}

fn jobs_watched(plan: &Arc<Plan>, watch: &Arc<dyn Observer>) -> Vec<Finished> {
    let mut jobs: Vec<Finished> = Vec::new();
    run(plan, &Todo::all(plan), watch, |done| {
        jobs.extend(done.job());
        Ok(())
    })
    .unwrap();
    let failure = jobs.iter().find_map(|job| job.rows.failures.first());
    assert!(failure.is_none(), "{failure:?}");
    jobs.sort_by_key(|job| job.index);
    jobs
}

fn records(plan: &Arc<Plan>) -> Vec<Record> {
    rows(jobs(plan))
}

fn rows(jobs: Vec<Finished>) -> Vec<Record> {
    let records = jobs.into_iter().map(|job| job.rows.records);
    records.flatten().collect()
}

fn assert_agree(found: &[Record], wanted: &[Record], tolerance: f64) {
    assert_eq!(found.len(), wanted.len());
    for (found, wanted) in found.iter().zip(wanted) {
        assert_eq!(wanted.device, "cpu");
        assert!(found.device.starts_with("cuda:"), "{found:?}");
        let error = (found.estimate - wanted.estimate).abs();
        let close = error < tolerance * wanted.estimate.abs().max(1.0);
        assert!(close, "{found:?} {wanted:?}");
    }
}

#[test]
fn every_kind_of_estimator_agrees_with_the_cpu() {
    let Some(_shared) = card("every_kind_of_estimator_agrees_with_the_cpu") else {
        return;
    };
    let text = format!("dtype = \"float64\"\n{NETWORK}{ESTIMATORS}");
    let cuda = records(&plan(&text, "cuda").unwrap());
    assert_agree(&cuda, &records(&plan(&text, "cpu").unwrap()), 1e-8);
    // What tensors hold is known on a card.
    assert!(cuda.iter().all(|row| row.memory > Some(0)), "{cuda:?}");
}

/// The committed experiment in float32: the numbers of the torch stream.
#[test]
fn the_example_agrees_with_the_cpu() {
    let Some(_shared) = card("the_example_agrees_with_the_cpu") else {
        return;
    };
    let source = || SpecText::read(&experiment("smoke.toml")).unwrap();
    let on = |device| records(&plan_of(source(), device).unwrap());
    assert_agree(&on("cuda"), &on("cpu"), 1e-4);
}

#[test]
fn a_torchscript_module_agrees_with_the_cpu() {
    let Some(_shared) = card("a_torchscript_module_agrees_with_the_cpu") else {
        return;
    };
    let text = "dtype = 'float64'\n\
        data = { source = 'safetensors', path = 'attention.safetensors' }\n\
        model = { torchscript = 'attention.pt' }\nloss = { kind = 'cross_entropy' }\n\
        sampling = { V = [3], V_batch = [3], seeds = [0] }\n\
        estimator = [{ kind = 'hutchinson', blocks = 'full', product = 'autodiff' }]\n";
    let on = |device| records(&plan(text, device).unwrap());
    assert_agree(&on("cuda"), &on("cpu"), 1e-9);
}

/// Convolutions and products are not rounded to TF32, whatever libtorch begins with, unless the spec
/// says so; then the records do as well.
#[test]
fn tf32_is_off_unless_asked_for() {
    let Some((_, _alone)) = pretend_card_alone("tf32_is_off_unless_asked_for") else {
        return;
    };
    let sampling = "sampling = { V = [2], V_batch = [2], seeds = [0] }\n";
    let estimator = "estimator = [{ kind = \"hutchinson\", blocks = \"full\" }]\n";
    for (key, allowed, dtype) in [("", false, "float32"), ("tf32 = true", true, "tf32")] {
        allow_tf32(true);
        let text = format!("{key}\n{NETWORK}{sampling}{estimator}");
        let rows = records(&plan(&text, "cuda").unwrap());
        assert_eq!(tf32_is_allowed(), allowed);
        assert!(rows.iter().all(|row| row.dtype == dtype), "{rows:?}");
        let warned = plan(&text, "cuda").unwrap().warnings();
        let named = warned.iter().any(|warning| warning.contains("tf32"));
        assert_eq!(named, allowed, "{warned:?}");
        let on_cpu = records(&plan(&text, "cpu").unwrap());
        assert!(on_cpu.iter().all(|row| row.dtype == "float32"));
    }
    allow_tf32(false);
    let text = format!("tf32 = true\ndtype = \"float64\"\n{NETWORK}{sampling}{estimator}");
    let refused = plan(&text, "cuda").unwrap_err();
    assert!(refused.contains("never rounded to TF32"), "{refused}");
}

/// Lets no job go on before a second one has begun.
#[derive(Default)]
struct TwoAtOnce {
    begun: Mutex<usize>,
    more: Condvar,
}

impl Observer for TwoAtOnce {
    fn started(&self, _index: usize) {
        let mut begun = self.begun.lock().unwrap();
        *begun += 1;
        self.more.notify_all();
        // Only a run that keeps to one card waits for the end of this.
        let patience = Duration::from_secs(60);
        let alone = |begun: &mut usize| *begun < 2;
        let _ = self.more.wait_timeout_while(begun, patience, alone);
    }
}

/// Jobs are spread over all cards, each of which is used, and come to the same estimates.
#[test]
fn jobs_are_spread_over_all_cards() {
    let Some((_, _alone)) = pretend_card_alone("jobs_are_spread_over_all_cards") else {
        return;
    };
    let text = format!(
        "dtype = \"float64\"\n{NETWORK}sampling = {{ V = [40], V_batch = [8], seeds = {{ from = 0, count = 16 }} }}\n\
         estimator = [{{ kind = \"hutchinson\", blocks = \"full\", product = \"hmp\" }}]\n"
    );
    let spread = plan(&text, "cuda:*").unwrap();
    assert_eq!(spread.devices, [Device::Cuda(0), Device::Cuda(1)]);
    let watch: Arc<dyn Observer> = Arc::new(TwoAtOnce::default());
    let all = rows(jobs_watched(&spread, &watch));
    assert_agree(&all, &records(&plan(&text, "cpu").unwrap()), 1e-9);
    for card in ["cuda:0", "cuda:1"] {
        assert!(all.iter().any(|row| row.device == card), "{card} is idle");
    }
    // Which card ran a job is no part of what its result is.
    let one = plan(&text, "cuda").unwrap();
    assert_ne!(spread.keys(), one.keys());
    let timed = plan(&format!("kind = \"timing\"\n{text}"), "cuda:*").unwrap();
    assert!(!timed.spreads());
}

/// Memory that runs out halves V_batch, and a plan refuses what no card of this size can hold.
#[test]
fn a_small_card_is_respected() {
    let Some((_, _alone)) = pretend_card_alone("a_small_card_is_respected") else {
        return;
    };
    let text = |v_batch: u64| {
        format!(
            "{NETWORK}sampling = {{ V = [{v_batch}], V_batch = [{v_batch}], seeds = [0] }}\n\
             estimator = [{{ kind = \"hutchinson\", blocks = \"full\", product = \"hmp\" }}]\n"
        )
    };
    pretend_card::resize(8 << 20);
    let ended = std::panic::catch_unwind(|| {
        let plan = plan(&text(1500), "cuda").unwrap();
        assert_eq!(plan.memory, {
            let free = curvature_runner::libtorch::card_memory(Device::Cuda(0));
            free.unwrap().free / 2
        });
        let all = jobs(&plan);
        let used = all[0].rows.records[0].v_batch.unwrap();
        assert!(used < 1500, "{used}");
        let told = |note: &String| note.contains("out of memory at V_batch = 1500");
        assert!(all[0].notes.iter().any(told), "{:?}", all[0].notes);
        refused(&text(1_000_000))
    });
    pretend_card::resize(BYTES);
    let refused = ended.unwrap();
    assert!(refused.contains("the GPU has 8.0 MiB"), "{refused}");
}

fn refused(text: &str) -> String {
    plan(text, "cuda").unwrap_err()
}
