//! What tch has no function for: rounding to TF32, the memory of cards, the adjoint of a layer norm,
//! and the threads of OpenMP.
//!
//! The functions stand in `libtorch.cpp`, which `build.rs` compiles against libtorch's headers.

use std::ptr::{null, null_mut};
use std::sync::OnceLock;
use tch::{Device, Tensor};

/// Bytes of one card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CardMemory {
    /// What tensors may still take.
    pub free: u64,
    /// What the card has.
    pub total: u64,
}

/// Bytes that tensors hold on one card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allocated {
    /// Now.
    pub now: u64,
    /// At most, since [`reset_peak`].
    pub peak: u64,
}

#[allow(unsafe_code)]
mod c {
    use std::ffi::{c_int, c_void};
    unsafe extern "C" {
        pub(super) fn runner_layer_norm_adjoint(
            g: *const c_void,
            centred: *const c_void,
            slope: *const c_void,
            weight: *const c_void,
            out: *mut *mut c_void,
        ) -> c_int;
        pub(super) safe fn runner_set_tf32(allowed: c_int) -> c_int;
        pub(super) safe fn runner_tf32() -> c_int;
        pub(super) safe fn runner_memory(card: c_int, free: &mut u64, total: &mut u64) -> c_int;
        pub(super) safe fn runner_allocated(card: c_int, now: &mut u64, peak: &mut u64) -> c_int;
        pub(super) safe fn runner_reset_peak(card: c_int) -> c_int;
    }
}

/// Whether convolutions and matrix products in float32 on CUDA may be rounded to TF32, of 10 bits.
///
/// libtorch begins with "yes" for convolutions, and takes the environment's word for products. The
/// setting is one for the whole process.
pub fn allow_tf32(allowed: bool) {
    let done = c::runner_set_tf32(allowed.into());
    assert_eq!(done, 0, "libtorch takes no setting for TF32");
}

/// `(w ∘ g − mean(w ∘ g) − x mean(w ∘ g ∘ x) s²) s` for `g: [K, .., m]`, which is the adjoint of a layer norm at inputs
/// that less their mean are `x: [.., m]`, `s: [.., 1]` being one over their standard deviation, and
/// with a weight `w: [m]`, if there is one.
///
/// One pass over memory, where the operations of the formula take seven.
#[allow(unsafe_code)]
pub fn layer_norm_adjoint(g: &Tensor, x: &Tensor, s: &Tensor, w: Option<&Tensor>) -> Tensor {
    let mut out = null_mut();
    let w = w.map_or(null(), |w| w.as_ptr().cast());
    // SAFETY: handles of live tensors, which libtorch only reads; the handle that it makes is taken over.
    unsafe {
        let (g, x, s) = (g.as_ptr().cast(), x.as_ptr().cast(), s.as_ptr().cast());
        let done = c::runner_layer_norm_adjoint(g, x, s, w, &raw mut out);
        assert_eq!(
            done, 0,
            "libtorch refuses the shapes or kinds of a layer norm"
        );
        Tensor::from_ptr(out.cast())
    }
}

/// What [`allow_tf32`] has set.
pub fn tf32_is_allowed() -> bool {
    c::runner_tf32() != 0
}

/// The memory of a card; `None` off CUDA, or where libtorch does not tell.
pub fn card_memory(device: Device) -> Option<CardMemory> {
    let (mut free, mut total) = (0, 0);
    let done = c::runner_memory(card(device)?, &mut free, &mut total);
    (done == 0).then_some(CardMemory { free, total })
}

/// What tensors hold on a card; `None` off CUDA, or where libtorch does not tell.
pub fn allocated(device: Device) -> Option<Allocated> {
    let (mut now, mut peak) = (0, 0);
    let done = c::runner_allocated(card(device)?, &mut now, &mut peak);
    (done == 0).then_some(Allocated { now, peak })
}

/// Lets the peak of [`allocated`] begin anew from what is held now.
pub fn reset_peak(device: Device) {
    if let Some(card) = card(device) {
        c::runner_reset_peak(card);
    }
}

/// Waits until a card has done what was asked of it; nothing off CUDA.
pub fn synchronize(device: Device) {
    if let Device::Cuda(index) = device {
        tch::Cuda::synchronize(index as i64);
    }
}

/// Ends the idle threads that OpenMP keeps for this thread, which would keep the cores busy for milliseconds,
/// waiting for work, and where there are more of them than cores, let all others fall asleep after
/// every operation; they are started again when there is some.
#[allow(unsafe_code)]
pub fn end_openmp_threads() {
    type Pause = unsafe extern "C" fn(kind: libc::c_int) -> libc::c_int;
    const SOFT: libc::c_int = 1;
    static PAUSE: OnceLock<Option<Pause>> = OnceLock::new();
    // SAFETY: OpenMP 5.0 defines the function's type, and allows the call outside parallel regions,
    // where this thread is; an OpenMP without it leaves the symbol out.
    unsafe {
        let pause = PAUSE.get_or_init(|| {
            let symbol = libc::dlsym(libc::RTLD_DEFAULT, c"omp_pause_resource_all".as_ptr());
            (!symbol.is_null()).then(|| std::mem::transmute::<*mut libc::c_void, Pause>(symbol))
        });
        if let Some(pause) = pause {
            pause(SOFT);
        }
    }
}

fn card(device: Device) -> Option<i32> {
    match device {
        Device::Cuda(index) => i32::try_from(index).ok(),
        _ => None,
    }
}
