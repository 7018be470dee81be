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
/// Chunks allocate and free tensors of megabytes; glibc returns each to the system, and mapping
/// them afresh costs up to half of a product's time (V_batch = 100: 0.24 s against 0.13 s). No size
/// is mapped by itself, since glibc maps everything from 32 MiB on whatever its threshold is: products
/// of 29 million parameters spent half of their time there. All threads share one arena, since the
/// others map what is over 64 MiB whatever they are told: the exact trace of VGG-11 takes 2.5 times as
/// long with them. On small networks two threads wait for each other there (a pass of the example
/// takes 1.2 times as long).
#[allow(unsafe_code)]
pub fn keep_freed_buffers() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt only sets parameters of the allocator.
    unsafe {
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 1 << 30);
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Gives freed buffers back to the system, so that what later work needs is seen again.
#[allow(unsafe_code)]
pub fn release_freed_buffers() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: only memory that nothing holds is given back.
    unsafe {
        libc::malloc_trim(0);
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
