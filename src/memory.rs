//! How much memory a piece of work may have and needs, and how the allocator deals with it.

use crate::libtorch;
use tch::Device;

/// Bytes that work on a CPU may have where nobody says how many: enough to be fast, little enough for
/// a laptop.
const USUAL: u64 = 2 << 30;

/// Bytes that work on `device` may have: as many as are `asked` for, or else 2 GiB on a CPU, and half
/// of what is free on a card.
pub fn budget(device: Device, asked: Option<u64>) -> u64 {
    let usual = || libtorch::card_memory(device).map_or(USUAL, |card| card.free / 2);
    asked.unwrap_or_else(usual)
}

/// Runs `work` on `device` and tells by how many bytes at most memory grew meanwhile: what tensors
/// hold on a card, or the process on a CPU.
///
/// `None` where nobody says. On a CPU (Linux alone, through `/proc/self`) memory that the allocator
/// keeps from earlier work and uses again is not seen.
pub fn growth_of<T>(device: Device, work: impl FnOnce() -> T) -> (T, Option<u64>) {
    match device {
        Device::Cuda(_) => growth_on_card(device, work),
        _ => growth_of_process(work),
    }
}

fn growth_on_card<T>(card: Device, work: impl FnOnce() -> T) -> (T, Option<u64>) {
    libtorch::reset_peak(card);
    let before = libtorch::allocated(card);
    let result = work();
    let growth = libtorch::allocated(card)
        .zip(before)
        .map(|(after, before)| after.peak.saturating_sub(before.now));
    (result, growth)
}

fn growth_of_process<T>(work: impl FnOnce() -> T) -> (T, Option<u64>) {
    // Writing 5 sets the peak back to the present size.
    let reset = std::fs::write("/proc/self/clear_refs", "5");
    let before = status("VmRSS:");
    let result = work();
    let peak = reset.ok().and_then(|()| status("VmHWM:"));
    let growth = peak
        .zip(before)
        .map(|(peak, before)| peak.saturating_sub(before));
    (result, growth)
}

/// Lets the allocator keep freed buffers for the next chunk instead of giving them back.
///
/// Chunks allocate and free tensors of megabytes. glibc gives each back to the system, and mapping it
/// afresh costs up to half of a product's time, or keeps all in one arena, for which threads wait.
/// On Linux mimalloc takes the place of its `malloc` in the whole process, libtorch's part of it too
/// (Leijen, Zorn, de Moura, 2019, Mimalloc: Free List Sharding in Action): products of the example, of
/// convolutional networks and of transformers take 0.7 to 1.0 of the time. Linux would give it memory by
/// huge pages, each zeroed at the first touch: the first job of a run took up to 70 ms for that, and nothing took
/// less time afterwards, so that they are declined. Buffers are kept until [`release_freed_buffers`] or for an hour: after
/// 100 seconds of other work a product of the character GPT found 400 MB of its own gone.
#[allow(unsafe_code)]
pub fn keep_freed_buffers() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: only numbers are set.
    unsafe {
        libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0);
        /// `mi_option_purge_delay`, in milliseconds; arenas wait ten times as long.
        const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
        const HOUR: std::ffi::c_long = 3_600_000;
        libmimalloc_sys::mi_option_set(PURGE_DELAY, HOUR);
    }
}

/// Gives freed buffers back to the system, so that what later work needs is seen again.
#[allow(unsafe_code)]
pub fn release_freed_buffers() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: only memory that nothing holds is given back.
    unsafe {
        libmimalloc_sys::mi_collect(true);
    }
}

/// A line of `/proc/self/status`, in bytes.
fn status(name: &str) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    #[test]
    fn growth_is_seen() {
        let size = 64 << 20;
        let (sum, growth) = super::growth_of(tch::Device::Cpu, || {
            let ones = std::hint::black_box(vec![1u8; size]);
            ones.iter().map(|&x| u64::from(x)).sum::<u64>()
        });
        assert_eq!(sum, size as u64);
        assert!(
            growth.is_none_or(|bytes| bytes > size as u64 / 2),
            "{growth:?}"
        );
    }
}
