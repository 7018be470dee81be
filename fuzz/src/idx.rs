//! Any bytes as the images of an IDX data set are read or refused.

use curvature_runner::problem::data::DataSpec;
use curvature_runner::problem::generator::TorchGenerator;
use curvature_runner::spec::SpecText;
use std::sync::LazyLock;
use tempfile::TempDir;

/// A folder with eight labels.
static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder for the data");
    let labels = [[0, 0, 8, 1, 0, 0, 0, 8], [1u8; 8]].concat();
    std::fs::write(folder.path().join("train-labels-idx1-ubyte"), labels).expect("a small file");
    folder
});

/// Reads bytes as images and draws a batch.
pub fn read(bytes: &[u8]) {
    let images = FOLDER.path().join("train-images-idx3-ubyte");
    std::fs::write(images, bytes).expect("a small file");
    let source = SpecText::new("spec.toml", "source = \"mnist\"\nroot = \"\"");
    let data: DataSpec = source.deserialize().expect("a data source");
    if let Ok(dataset) = data.load(FOLDER.path()) {
        dataset.draw(&mut TorchGenerator::seeded(0));
    }
}
