//! Any bytes as a safetensors file are read or refused, as data and as weights.

use curvature_runner::problem::data::DataSpec;
use curvature_runner::problem::generator::TorchGenerator;
use curvature_runner::problem::layer::{LayerSpec, Linear};
use curvature_runner::problem::{Network, weights};
use curvature_runner::spec::SpecText;
use std::sync::LazyLock;
use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> =
    LazyLock::new(|| tempfile::tempdir().expect("a folder for the file"));

/// Reads bytes as data, of which it draws a batch, and as weights.
pub fn read(bytes: &[u8]) {
    let file = FOLDER.path().join("any.safetensors");
    std::fs::write(&file, bytes).expect("a small file");
    let source = SpecText::new(
        "spec.toml",
        "source = \"safetensors\"\npath = \"any.safetensors\"",
    );
    let data: DataSpec = source.deserialize().expect("a data source");
    if let Ok(dataset) = data.load(FOLDER.path()) {
        dataset.draw(&mut TorchGenerator::seeded(0));
    }
    let linear = LayerSpec::Linear(Linear::new(3, true));
    let network = Network::new(&[linear], &[3]).expect("shapes that fit");
    if let Ok((tensors, _)) = weights::load(&file, &network) {
        tensors.iter().for_each(|tensor| drop(tensor.tensor()));
    }
}
