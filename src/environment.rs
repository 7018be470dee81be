//! The machine and the libraries that a run uses, as far as they can be found out.

use std::path::Path;
use std::process::Command;
use tch::Device;

const UNKNOWN: &str = "unknown";

/// The version of the libtorch that this process has loaded.
///
/// libtorch tells no version through tch; its folder does, in `build-version` (downloads) or
/// `version.py` (a Python package).
pub fn libtorch_version() -> String {
    loaded_library("libtorch_cpu.so")
        .and_then(|library| {
            let folder = Path::new(&library).parent()?.parent()?.to_path_buf();
            let plain = std::fs::read_to_string(folder.join("build-version")).ok();
            let python = || {
                let text = std::fs::read_to_string(folder.join("version.py")).ok()?;
                let line = text.lines().find(|line| line.starts_with("__version__"))?;
                Some(line.split('\'').nth(1)?.to_string())
            };
            plain.or_else(python)
        })
        .map_or(UNKNOWN.into(), |version| version.trim().to_string())
}

fn loaded_library(name: &str) -> Option<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let line = maps.lines().find(|line| line.ends_with(name))?;
    Some(line[line.find('/')?..].to_string())
}

/// The processor's name.
pub fn processor_name() -> String {
    std::fs::read_to_string("/proc/cpuinfo")
        .ok()
        .and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("model name"))?;
            Some(line.split_once(':')?.1.trim().to_string())
        })
        .unwrap_or(UNKNOWN.into())
}

/// The name of the device that the problem lives on.
pub fn device_name(device: Device) -> String {
    let Device::Cuda(index) = device else {
        return "cpu".into();
    };
    // libtorch counts those cards alone that this variable names.
    let visible = std::env::var("CUDA_VISIBLE_DEVICES").ok();
    let visible = visible.as_ref().and_then(|all| all.split(',').nth(index));
    let card = visible.map_or(index.to_string(), |card| card.trim().to_string());
    Command::new("nvidia-smi")
        .args(["--query-gpu=name", "--format=csv,noheader", "-i", &card])
        .output()
        .ok()
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .map_or(UNKNOWN.into(), |name| name.trim().to_string())
}

/// Threads that can run at once.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
