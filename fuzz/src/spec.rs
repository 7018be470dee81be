//! Any text is a spec or refused; what is read is written so that it reads back; what is planned
//! over a small data set ends in a plan or an error.

use curvature_runner::plan::Plan;
use curvature_runner::spec::{Spec, SpecText};
use safetensors::tensor::{Dtype, TensorView, serialize};
use std::sync::LazyLock;
use tempfile::TempDir;

/// Four samples of two features with values as targets.
static DATA: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder for the data");
    let bytes = [0u8; 4 * 2 * 4];
    let view = || TensorView::new(Dtype::F32, vec![4, 2], &bytes).expect("as many bytes");
    let file = serialize([("x", view()), ("y", view())], None).expect("two tensors");
    std::fs::write(folder.path().join("data.safetensors"), file).expect("a small file");
    folder
});

/// Reads a text, writes what was read and plans it.
pub fn read(text: &str) {
    let source = |text: &str| SpecText::new(DATA.path().join("spec.toml"), text);
    let Ok(mut spec) = Spec::parse(&source(text)) else {
        return;
    };
    let written = toml::to_string(&spec).expect("a spec is TOML");
    let again = Spec::parse(&source(&written)).expect("what was written reads back");
    assert_eq!(toml::to_string(&again).expect("a spec is TOML"), written);

    if let Some(model) = &mut spec.model {
        model.weights = None;
    }
    let data = source("source = \"safetensors\"\npath = \"data.safetensors\"");
    spec.data = Some(data.deserialize().expect("a data source"));
    let _ = Plan::new(spec, &source(text));
}
