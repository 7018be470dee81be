//! How many vectors go through a network at once, within a bound on memory.

use crate::memory::budget;
use crate::problem::{Linearization, LinearizedLayer};
use tch::Device;

/// The most that vectors on their way through a network use on a CPU, in bytes: more is not faster
/// there, since larger buffers come fresh from the system.
const CPU_MEMORY: u64 = 1 << 28;

/// How many bytes vectors on their way through a network may use on `device`, where `asked` are
/// allowed, see [`budget`]: on a CPU 256 MiB at most.
pub fn chunk_memory(device: Device, asked: Option<u64>) -> u64 {
    let memory = budget(device, asked);
    match device.is_cuda() {
        true => memory,
        false => memory.min(CPU_MEMORY),
    }
}

/// Parts `(first, count)` of `0..total` vectors, each of about `bytes` where a vector has `numbers`
/// entries per sample, and of at least one vector.
pub fn chunks(
    at: &Linearization,
    total: i64,
    numbers: i64,
    bytes: u64,
) -> impl Iterator<Item = (i64, i64)> + use<> {
    let like = at.loss().gradient();
    let each = like.size()[0] * numbers * like.kind().elt_size_in_bytes() as i64;
    // A step holds what it reads, what it writes and a temporary of either size.
    let part = (bytes as i64 / (4 * each).max(1)).clamp(1, total.max(1));
    (0..total)
        .step_by(part as usize)
        .map(move |first| (first, part.min(total - first)))
}

/// The most entries per sample that one of `layers` puts out, or makes on the way.
pub fn widest(layers: &[LinearizedLayer]) -> i64 {
    let most = |layer: &LinearizedLayer| layer.features().max(layer.local.inner_features());
    layers.iter().map(most).max().unwrap_or(1)
}
