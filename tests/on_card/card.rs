//! The card that the tests run on.

use crate::support::one_thread;
use curvature_runner::libtorch::allow_tf32;
use curvature_runner::problem::{Batch, NetworkProblem};
use std::sync::{LazyLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tch::{Device, Tensor};

/// Bytes of a pretend card.
pub const BYTES: u64 = 8 << 30;

static CARD: LazyLock<Option<bool>> = LazyLock::new(|| {
    let required = std::env::var("REQUIRE_CUDA").is_ok_and(|value| value == "1");
    let pretend = !required && pretend_card::insert(2, BYTES);
    let cards = tch::Cuda::device_count();
    assert!(
        cards > 0 || !required,
        "REQUIRE_CUDA=1, and libtorch finds no CUDA device"
    );
    allow_tf32(false);
    (cards > 0).then_some(pretend)
});

/// What is counted, and how large a pretend card is, is one for all tests of this process.
static SHARED: RwLock<()> = RwLock::new(());

/// The card, for a test beside others; `None`, with the reason printed, where there is none.
pub fn card(test: &str) -> Option<(Device, RwLockReadGuard<'static, ()>)> {
    one_thread();
    match *CARD {
        None => {
            println!("{test} skipped: libtorch has CUDA and finds no device");
            None
        }
        Some(_) => {
            let shared = SHARED.read().unwrap_or_else(PoisonError::into_inner);
            Some((Device::Cuda(0), shared))
        }
    }
}

/// A pretend card, for a test that counts or changes it; `None` where there is a real one.
pub fn pretend_card_alone(test: &str) -> Option<(Device, RwLockWriteGuard<'static, ()>)> {
    one_thread();
    match *CARD {
        Some(true) => {
            let alone = SHARED.write().unwrap_or_else(PoisonError::into_inner);
            Some((Device::Cuda(0), alone))
        }
        _ => {
            println!("{test} skipped: it is about a pretend card");
            None
        }
    }
}

/// The problem on a device, its data too.
pub fn on(problem: &NetworkProblem, device: Device) -> NetworkProblem {
    let place = |t: &Tensor| t.to_device(device);
    let placed = |batch: &Batch| batch.placed(device, problem.kind());
    NetworkProblem {
        parameters: problem.parameters.iter().map(place).collect(),
        buffers: problem.buffers.iter().map(place).collect(),
        batches: problem.batches.iter().map(placed).collect(),
        ..problem.clone()
    }
}

/// Tensors on a device.
pub fn all_on(tensors: &[Tensor], device: Device) -> Vec<Tensor> {
    tensors.iter().map(|t| t.to_device(device)).collect()
}
