//! Every fuzz target runs on something to read and on something to refuse, so that none rots between long runs.

use curvature_runner_fuzz::{idx, safetensors as file, spec};
use safetensors::tensor::{Dtype, TensorView, serialize};

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
    let bytes = [0u8; 4 * 3 * 4];
    let view = |shape| TensorView::new(Dtype::F32, shape, &bytes).expect("as many bytes");
    let data = [("x", view(vec![4, 3])), ("y", view(vec![4, 3]))];
    file::read(&serialize(data, None).expect("two tensors"));
    file::read(b"name = 'fuzz'");
}
