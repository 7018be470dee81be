//! Small data sets and weights, sound and damaged, and specs over them.
#![allow(dead_code)] // each test file uses a part

use flate2::Compression;
use flate2::write::GzEncoder;
use safetensors::tensor::{Dtype, TensorView};
use std::fs::{create_dir_all, write};
use std::io::Write;
use std::path::Path;

pub const IMAGES: &str = "train-images-idx3-ubyte";
pub const LABELS: &str = "train-labels-idx1-ubyte";

/// An experiment that needs nothing but `data/classes.safetensors`.
const GOOD: &str = r#"name = "good"
kind = "convergence"

[data]
source = "safetensors"
path = "data/classes.safetensors"

[model]
layers = [{ kind = "linear", out = 3 }]

[loss]
kind = "cross_entropy"

[[estimator]]
kind = "exact"
"#;

/// An experiment with weights from a file, relative to a folder beside `data/`.
pub const TRAINED: &str = r#"name = "trained"
kind = "timing"
dtype = "float64"

[data]
source = "safetensors"
path = "../data/values.safetensors"
batch = 5

[model]
weights = "../data/weights.safetensors"
layers = [
  { kind = "linear", out = 3 },
  { kind = "tanh" },
]

[loss]
kind = "mse"
reduction = "sum"

[sampling]
V = { from = 1, to = 100, steps = 5, scale = "log" }
V_batch = [1, 7]
seeds = { from = 0, count = 3 }

[timing]
warmup = 0
repeats = 2

[[estimator]]
kind = "exact"

[[estimator]]
kind = "hutchinson"
blocks = "parameter"
product = "hmp"
V = [3]
"#;

/// The same with convolutions.
pub const CONVOLVED: &str = r#"name = "convolved"
kind = "convergence"

[data]
source = "mnist"
root = "../data/mnist"

[model]
layers = [
  { kind = "conv2d", out = 4, kernel_size = [3, 3], padding = 1, bias = false },
  { kind = "relu" },
  { kind = "conv2d", out = 4, kernel_size = 2, stride = 2, dilation = 1, groups = 2 },
  { kind = "max_pool2d", kernel_size = 2, stride = 1 },
  { kind = "flatten" },
  { kind = "linear", out = 10 },
]

[loss]
kind = "cross_entropy"

[sampling]
V = [10]
V_batch = "auto"
memory = "1GiB"
seeds = [0]

[[estimator]]
kind = "hutchinson"
blocks = "full"
"#;

/// Specs that a test runs beside the one that it is about.
pub fn write_specs(folder: &Path) {
    write(folder.join("good.toml"), GOOD).unwrap();
    write(folder.join("other.toml"), GOOD.replace("good", "other")).unwrap();
    let mut latin1 = b"# two lines,\n# the second in Latin-1: ".to_vec();
    latin1.extend([0xe9, b'\n']);
    write(folder.join("latin1.toml"), latin1).unwrap();
}

/// Everything that `tests/bad/` names as `data/...`.
pub fn write_data(folder: &Path) {
    create_dir_all(folder.join("empty_folder")).unwrap();
    write_idx_sets(folder);
    write_safetensors_sets(folder);
    write_weights(folder);
    // As torch.save begins: a zip file.
    write(
        folder.join("model.pt"),
        b"PK\x03\x04\x00\x00\x08\x08\x00\x00",
    )
    .unwrap();
}

/// An IDX file of unsigned bytes that count up.
pub fn idx(dimensions: &[u32], modulus: usize) -> Vec<u8> {
    let mut bytes = idx_header(dimensions);
    let count = dimensions.iter().map(|&n| n as usize).product();
    bytes.extend((0..count).map(|i: usize| (i % modulus) as u8));
    bytes
}

fn idx_header(dimensions: &[u32]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, dimensions.len() as u8];
    bytes.extend(dimensions.iter().flat_map(|n| n.to_be_bytes()));
    bytes
}

pub fn images() -> Vec<u8> {
    idx(&[12, 4, 4], 256)
}

pub fn labels() -> Vec<u8> {
    idx(&[12], 10)
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn write_idx_sets(folder: &Path) {
    let set = |name: &str, images: &[u8], labels: &[u8]| {
        let folder = folder.join(name);
        create_dir_all(&folder).unwrap();
        write(folder.join(IMAGES), images).unwrap();
        write(folder.join(LABELS), labels).unwrap();
    };
    let packed = |name: &str, images: &[u8]| {
        let folder = folder.join(name);
        create_dir_all(&folder).unwrap();
        write(folder.join(format!("{IMAGES}.gz")), images).unwrap();
        write(folder.join(format!("{LABELS}.gz")), gzip(&labels())).unwrap();
    };
    let (images, labels) = (images(), labels());
    set("mnist", &images, &labels);
    set("truncated", &images[..100], &labels);
    set("header", &images[..10], &labels);
    set("zero_bytes", &[], &labels);
    set("magic", &labels, &labels);
    set("text", b"<!DOCTYPE html><title>404</title>", &labels);
    set("trailing", &[images.as_slice(), &[0]].concat(), &labels);
    set("empty", &idx(&[0, 4, 4], 1), &idx(&[0], 1));
    set("mismatch", &images, &idx(&[11], 10));
    set("huge", &idx_header(&[u32::MAX; 3]), &labels);

    let mut damaged = gzip(&images);
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0xff;
    packed("corrupt_gzip", &damaged);
    let whole = gzip(&images);
    packed("truncated_gzip", &whole[..whole.len() - 20]);

    let folder = folder.join("no_labels");
    create_dir_all(&folder).unwrap();
    write(folder.join(IMAGES), &images).unwrap();
    create_dir_all(folder.with_file_name("is_folder").join(IMAGES)).unwrap();
}

/// A tensor of a file: its name, dtype, shape and bytes.
type Entry = (&'static str, Dtype, Vec<usize>, Vec<u8>);

fn floats(name: &'static str, shape: &[usize]) -> Entry {
    let count: usize = shape.iter().product();
    let bytes = (0..count).flat_map(|i| (i as f32 / 8.0 - 1.0).to_le_bytes());
    (name, Dtype::F32, shape.to_vec(), bytes.collect())
}

/// Numbers of which the sixth is `value`.
fn holding(name: &'static str, shape: &[usize], value: f32) -> Entry {
    let mut entry = floats(name, shape);
    entry.3[20..24].copy_from_slice(&value.to_le_bytes());
    entry
}

fn integers(name: &'static str, values: &[i64]) -> Entry {
    let bytes = values.iter().flat_map(|value| value.to_le_bytes());
    (name, Dtype::I64, vec![values.len()], bytes.collect())
}

pub fn safetensors(entries: &[Entry]) -> Vec<u8> {
    let view = |(name, dtype, shape, bytes): &'_ Entry| {
        let view = TensorView::new(*dtype, shape.clone(), bytes.leak_copy()).unwrap();
        (*name, view)
    };
    safetensors::serialize(entries.iter().map(view), None).unwrap()
}

/// Bytes that live as long as the test.
trait LeakCopy {
    fn leak_copy(&self) -> &'static [u8];
}

impl LeakCopy for Vec<u8> {
    fn leak_copy(&self) -> &'static [u8] {
        self.clone().leak()
    }
}

/// "x" of three features and "y" of three classes.
pub fn classes() -> Vec<u8> {
    safetensors(&[floats("x", &[6, 3]), integers("y", &[0, 1, 2, 2, 1, 0])])
}

fn write_safetensors_sets(folder: &Path) {
    let file = |name: &str, bytes: &[u8]| write(folder.join(name), bytes).unwrap();
    let set = |name: &str, entries: &[Entry]| file(name, &safetensors(entries));
    let y = || integers("y", &[0, 1, 2, 2, 1, 0]);
    file("classes.safetensors", &classes());
    let whole = classes();
    file("cut.safetensors", &whole[..whole.len() - 5]);
    set(
        "values.safetensors",
        &[floats("x", &[6, 3]), floats("y", &[6, 3])],
    );
    set("wide.safetensors", &[floats("x", &[6, 1]), y()]);
    set("no_x.safetensors", &[floats("inputs", &[6, 3]), y()]);
    set(
        "no_y.safetensors",
        &[floats("x", &[6, 3]), floats("targets", &[6])],
    );
    set(
        "x_integer.safetensors",
        &[("x", Dtype::U8, vec![6, 3], vec![1; 18]), y()],
    );
    set("x_flat.safetensors", &[floats("x", &[6]), y()]);
    set(
        "x_empty.safetensors",
        &[floats("x", &[0, 3]), integers("y", &[])],
    );
    set("lengths.safetensors", &[floats("x", &[5, 3]), y()]);
    set(
        "y_scalar.safetensors",
        &[floats("x", &[6, 3]), floats("y", &[])],
    );
    set(
        "bool.safetensors",
        &[
            floats("x", &[6, 3]),
            ("y", Dtype::BOOL, vec![6], vec![1; 6]),
        ],
    );
    set("x_nan.safetensors", &[holding("x", &[6, 3], f32::NAN), y()]);
    set(
        "y_infinite.safetensors",
        &[
            floats("x", &[6, 3]),
            holding("y", &[6, 3], f32::NEG_INFINITY),
        ],
    );
    let negative = integers("y", &[0, 1, -1, 2, 1, 0]);
    set(
        "negative_label.safetensors",
        &[floats("x", &[6, 3]), negative],
    );
}

/// Of a network with one linear layer from three features to three classes.
pub fn weights() -> Vec<u8> {
    safetensors(&[floats("0.weight", &[3, 3]), floats("0.bias", &[3])])
}

fn write_weights(folder: &Path) {
    let set = |name: &str, entries: &[Entry]| {
        let file = format!("weights_{name}.safetensors");
        write(folder.join(file), safetensors(entries)).unwrap();
    };
    let (weight, bias) = (|| floats("0.weight", &[3, 3]), || floats("0.bias", &[3]));
    write(folder.join("weights.safetensors"), weights()).unwrap();
    set("missing", &[weight()]);
    set("extra", &[weight(), bias(), floats("2.weight", &[3, 3])]);
    set("shape", &[floats("0.weight", &[3, 4]), bias()]);
    set(
        "integer",
        &[weight(), ("0.bias", Dtype::I32, vec![3], vec![0; 12])],
    );
    set(
        "names",
        &[floats("fc.weight", &[3, 3]), floats("fc.bias", &[3])],
    );
    let infinite = holding("0.weight", &[3, 3], f32::INFINITY);
    set("infinite", &[infinite, bias()]);
    set("none", &[]);
}
