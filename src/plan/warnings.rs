//! What a user should know before a run: nothing wrong, but worth a second look.

use super::Plan;
use crate::lists::VBatch;
use crate::spec::ExperimentKind;
use tch::Device;

impl Plan {
    /// Each in a sentence.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.spec.kind == ExperimentKind::Timing {
            warnings.extend(self.uneven());
        }
        if let Device::Cuda(_) = self.device {
            let layers = self.spec.model.iter().flat_map(|model| &model.layers);
            let kinds: Vec<&str> = layers.map(|layer| layer.kind()).collect();
            warnings.extend(on_gpu(&kinds, self.spec.tf32));
        }
        warnings
    }

    /// Timed jobs whose last batch is smaller than the others.
    fn uneven(&self) -> Option<String> {
        let mut pairs: Vec<(u64, u64)> = self
            .jobs
            .iter()
            .filter_map(|job| match (job.v_batch, job.budget.counts().last()) {
                (Some(VBatch::Fixed(v_batch)), Some(&v)) if v % v_batch != 0 => Some((v, v_batch)),
                _ => None,
            })
            .collect();
        pairs.sort_unstable();
        pairs.dedup();
        let (v, v_batch) = pairs.first()?;
        let more = match pairs.len() {
            1 => String::new(),
            several => format!(" and {} more", several - 1),
        };
        Some(format!(
            "V = {v} is not a multiple of V_batch = {v_batch}{more}: the last batch is smaller, which is timed as well"
        ))
    }
}

/// What a GPU computes otherwise than expected for layers of these kinds.
fn on_gpu(kinds: &[&str], tf32: bool) -> Vec<String> {
    let scattered = |kind: &&str| kind.starts_with("conv") || kind.contains("pool");
    let mut warnings = Vec::new();
    if tf32 {
        warnings.push(
            "tf32 = true: products and convolutions are rounded to 10 bits, errors of about 1e-3 are to be expected".into(),
        );
    }
    if kinds.iter().any(scattered) {
        warnings.push(
            "gradients of convolutions and pooling on a GPU are summed in no fixed order: the last digits vary from run to run".into(),
        );
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_is_warned_of_where_it_differs() {
        let count = |kinds: &[&str], tf32| on_gpu(kinds, tf32).len();
        assert_eq!(count(&["linear", "tanh"], false), 0);
        assert_eq!(count(&["linear", "tanh"], true), 1);
        assert_eq!(count(&["conv2d", "linear"], false), 1);
        assert_eq!(count(&["conv2d", "linear"], true), 2);
        assert_eq!(count(&["max_pool2d"], false), 1);
    }
}
