//! What tch has no function for: rounding to TF32, the memory of cards, the adjoint of a layer norm,
//! oneDNN's matrix product, and the threads of OpenMP.
//!
//! The functions stand in `libtorch.cpp`, which `build.rs` compiles against libtorch's headers.

use std::ptr::{null, null_mut};
use std::sync::OnceLock;
use tch::{Device, Kind, Tensor};

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
        pub(super) safe fn runner_prefers_onednn() -> c_int;
        pub(super) fn runner_onednn_linear(
            x: *const c_void,
            w: *const c_void,
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

/// `x wᵀ` for `x: [.., in]`, `w: [out, in]`.
///
/// On processors of AMD that have AVX-512, large products in float32 are oneDNN's: MKL multiplies there without
/// AVX-512, and takes 1.1 to 1.2 times as long on an EPYC of 2022, shapes being those of a character GPT. What oneDNN
/// refuses is left to MKL.
#[allow(unsafe_code)]
pub fn linear(x: &Tensor, w: &Tensor) -> Tensor {
    /// Multiplications that are worth the calls around them.
    const WORTH: usize = 1 << 20;
    static PREFERRED: OnceLock<bool> = OnceLock::new();
    let preferred = PREFERRED.get_or_init(|| c::runner_prefers_onednn() == 1);
    let fits = x.device() == Device::Cpu && x.kind() == Kind::Float;
    if *preferred && fits && x.numel() * w.size()[0] as usize >= WORTH {
        let (x, mut out) = (x.contiguous(), null_mut());
        // SAFETY: handles of live tensors, which libtorch only reads; the handle that it makes is taken over.
        unsafe {
            let (x, w) = (x.as_ptr().cast(), w.as_ptr().cast());
            if c::runner_onednn_linear(x, w, &raw mut out) == 0 {
                return Tensor::from_ptr(out.cast());
            }
        }
    }
    x.linear(w, None::<&Tensor>)
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

#[cfg(test)]
mod tests {
    use tch::{Device, Kind, Tensor};

    /// Of a size at which oneDNN takes over on processors where it is the faster.
    #[test]
    fn a_large_product_is_right_with_any_strides() {
        tch::manual_seed(0);
        let normal = |size: &[i64]| Tensor::randn(size, (Kind::Float, Device::Cpu));
        let x = normal(&[128, 3, 64]).transpose(0, 1);
        let w = normal(&[64, 48]).tr();
        let whole = super::linear(&x, &w);
        let exact = x
            .to_kind(Kind::Double)
            .matmul(&w.to_kind(Kind::Double).tr());
        assert_eq!(whole.size(), [3, 128, 48]);
        let error = (whole - exact).abs().max().double_value(&[]);
        // Sums of 64 products of normal numbers, rounded to 24 bits.
        assert!(error < 1e-4, "{error}");
    }
}
