//! How long a run may take, guessed without a trial.

use super::todo::runs_of_a_job;
use crate::plan::{Plan, Portion, Setup, columns};
use crate::problem::matrix::Basis;
use tch::Device;

/// Multiplications and additions a second, of one core and of a GPU.
const ON_CPU: f64 = 1e10;
const ON_GPU: f64 = 1e12;

/// Seconds of a product beside its arithmetic.
const CALL: f64 = 2e-5;

/// Operations of a product per multiplication of the network: two passes forward, two backward, each
/// with a multiplication and an addition.
const PASSES: f64 = 8.0;

/// A guess at the seconds that `portions` of a plan take, rather too high than too low: what double
/// backward passes would take on one slow core. An exact trace counts as a quarter of a product for each
/// of its columns at most. Runs to a tolerance are left out, and fast products may take a hundredth of
/// it.
///
/// It costs nothing, and tells the runs that may take long from those that cannot.
pub fn guess(plan: &Plan, portions: &[Portion]) -> f64 {
    let operations = match &plan.setup {
        Setup::Network(setup) => {
            let selection = setup.dataset.selection;
            let samples = selection.samples(setup.dataset.len()) as f64;
            let layers = setup.network.sizes().map(|size| size.multiplications);
            PASSES * samples * layers.sum::<f64>()
        }
        Setup::Matrix(matrix) => match matrix.basis {
            Basis::Haar => 4.0 * (matrix.n as f64).powi(2),
            Basis::Diagonal => 2.0 * matrix.n as f64,
        },
    };
    let speed = if plan.device == Device::Cpu {
        ON_CPU
    } else {
        ON_GPU
    };
    let probes = |portion: &Portion| {
        let job = &plan.jobs[portion.job];
        let products = match (job.task.is_exact(), &plan.setup) {
            (true, Setup::Network(setup)) => columns(&setup.network) as f64 / 4.0,
            _ => job.budget.counts().last().copied().unwrap_or(0) as f64,
        };
        plan.share(portion) * products
    };
    let products = portions.iter().map(probes).sum::<f64>() * runs_of_a_job(plan) as f64;
    products * (CALL + operations / speed)
}
