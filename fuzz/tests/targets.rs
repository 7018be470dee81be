//! Every fuzz target runs on something to read and on something to refuse, so that none rots between long runs.

use curvature_runner_fuzz::{idx, safetensors, spec};

#[test]
fn every_target_runs() {
    for experiment in ["smoke", "convergence"] {
        let path = format!(
            "{}/../experiments/{experiment}.toml",
            env!("CARGO_MANIFEST_DIR")
        );
        spec::read(&std::fs::read_to_string(path).expect("an experiment of ours"));
    }
    spec::read("name = 'fuzz'");
    let images = [
        &[0, 0, 8, 3][..],
        &[0, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 1],
        &[7; 8],
    ]
    .concat();
    idx::read(&images);
    idx::read(&images[..9]);
    let empty = [&2u64.to_le_bytes()[..], b"{}"].concat();
    safetensors::read(&empty);
    safetensors::read(b"name = 'fuzz'");
}
