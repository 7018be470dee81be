//! Where a plan computes, and how exactly: the CPU, a card, or several cards.

use super::Plan;
use crate::error::UserError;
use crate::estimator::written;
use crate::libtorch;
use crate::lists::Seed;
use crate::problem::Problem;
use crate::problem::generator::TorchGenerator;
use crate::spec::{Dtype, ExperimentKind, Spec};
use tch::Device;

/// The devices that `text` names, at least one; several for `cuda:*` alone.
///
/// # Errors
/// What is no device, or none of this machine.
pub(super) fn parse(text: &str) -> Result<Vec<Device>, UserError> {
    let available = tch::Cuda::device_count().max(0) as usize;
    let missing = || {
        UserError::new(
            "",
            format!("found no device \"{text}\": libtorch sees {available} CUDA devices"),
            "use \"cpu\", or a CUDA libtorch on a machine with an NVIDIA driver",
        )
    };
    let index = match text {
        "cpu" => return Ok(vec![Device::Cpu]),
        "auto" if available == 0 => return Ok(vec![Device::Cpu]),
        "cuda:*" if available == 0 => return Err(missing()),
        "cuda:*" => return Ok((0..available).map(Device::Cuda).collect()),
        "auto" | "cuda" => Some(0),
        other => other.strip_prefix("cuda:").and_then(|i| i.parse().ok()),
    };
    match index {
        None => Err(UserError::new(
            "",
            format!("found \"{text}\", expected a device"),
            "write \"auto\", \"cpu\", \"cuda\", \"cuda:0\" or, for all of them, \"cuda:*\"",
        )),
        Some(index) if index < available => Ok(vec![Device::Cuda(index)]),
        Some(_) => Err(missing()),
    }
}

/// Whether `tf32` means anything.
///
/// # Errors
/// TF32 beside float64.
pub(super) fn check_tf32(spec: &Spec) -> Result<(), UserError> {
    match (spec.tf32, spec.dtype) {
        (true, Dtype::Float64) => Err(UserError::new(
            "tf32",
            "found tf32 = true beside dtype = \"float64\", which is never rounded to TF32",
            "remove tf32, or write dtype = \"float32\"",
        )),
        _ => Ok(()),
    }
}

/// A device as a spec writes it.
pub fn device_name(device: Device) -> String {
    match device {
        Device::Cuda(index) => format!("cuda:{index}"),
        _ => "cpu".into(),
    }
}

impl Plan {
    /// The devices as a spec writes them.
    pub fn place(&self) -> String {
        match self.devices.len() {
            1 => device_name(self.device),
            _ => "cuda:*".into(),
        }
    }

    /// The precision of products as the records name it: the dtype, or "tf32" where a card may round
    /// to that.
    pub fn precision(&self) -> String {
        match self.spec.tf32 && self.device.is_cuda() {
            true => "tf32".into(),
            false => written(self.spec.dtype),
        }
    }

    /// Whether jobs are spread over several cards, each with one at a time; timed jobs and jobs that
    /// continue each other's random numbers run alone on the first card.
    pub fn spreads(&self) -> bool {
        self.devices.len() > 1 && self.may_run_at_once()
    }

    /// Whether jobs with probes run side by side on the CPU, one libtorch thread each; timed jobs,
    /// jobs on a GPU and jobs that continue each other's random numbers run alone.
    pub fn side_by_side(&self) -> bool {
        // As many as are planned, not as are left: a job is to run alike whenever it is run.
        let many = self.jobs.len() > self.threads;
        many && self.device == Device::Cpu && self.may_run_at_once()
    }

    fn may_run_at_once(&self) -> bool {
        let continues = self.jobs.iter().any(|job| job.seed == Some(Seed::Continue));
        self.spec.kind != ExperimentKind::Timing && !continues
    }

    /// The problems of all checkpoints in memory on one of the devices, and PyTorch's generator after
    /// they were drawn; float32 on a card is rounded from here on as the spec allows.
    pub fn build(&self, device: Device) -> (Vec<Problem>, TorchGenerator) {
        libtorch::allow_tf32(self.spec.tf32);
        self.setup.build(device, self.dtype)
    }
}
