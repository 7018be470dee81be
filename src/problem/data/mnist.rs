//! MNIST and its relatives in IDX form, plain or gzipped.
//!
//! Format: <https://yann.lecun.org/exdb/mnist/> (LeCun, Cortes, Burges): big-endian magic
//! `0x0000_08dd` for unsigned bytes in `dd` dimensions, one u32 per dimension, then the values.

use super::{
    Dataset, FileRecord, Normalisation, Order, RawTensor, Source, checked_batch, read_file,
};
use crate::error::UserError;
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::path::{Path, PathBuf};

const IMAGES: &str = "train-images-idx3-ubyte";
const LABELS: &str = "train-labels-idx1-ubyte";

/// `source = "mnist"`: the training set under `root`, normalised as PyTorch's MNIST example does.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Mnist {
    /// Folder of the two IDX files.
    pub root: PathBuf,
    /// Samples in the batch; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<i64>,
    /// Which samples come first.
    #[serde(default)]
    pub order: Order,
}

impl Source for Mnist {
    fn load(&self, base: &Path) -> Result<Dataset, UserError> {
        let root = base.join(&self.root);
        let (images, images_file) = read_idx(&root, IMAGES, 3)?;
        let (labels, labels_file) = read_idx(&root, LABELS, 1)?;
        let [count, height, width] = images.dimensions[..] else {
            unreachable!("read_idx checked the number of dimensions")
        };
        if labels.dimensions[0] != count {
            return Err(UserError::new(
                "root",
                format!(
                    "{IMAGES} holds {count} images, {LABELS} {} labels",
                    labels.dimensions[0]
                ),
                "take both files from the same data set",
            ));
        }
        Ok(Dataset {
            batch: checked_batch(self.batch, count as usize)?,
            inputs: RawTensor::from_u8(vec![count, 1, height, width], images.values),
            targets: RawTensor::from_u8(vec![count], labels.values),
            normalisation: Some(Normalisation {
                mean: 0.1307,
                deviation: 0.3081,
            }),
            order: self.order,
            files: vec![images_file, labels_file],
        })
    }
}

struct Idx {
    dimensions: Vec<i64>,
    values: Vec<u8>,
}

/// Reads `root/name` or `root/name.gz`.
fn read_idx(root: &Path, name: &str, rank: usize) -> Result<(Idx, FileRecord), UserError> {
    let plain = root.join(name);
    let path = match plain.exists() {
        true => plain,
        false => root.join(format!("{name}.gz")),
    };
    if !path.exists() {
        return Err(UserError::new(
            "root",
            format!("no {name} or {name}.gz in {}", root.display()),
            "point `root` at the folder that holds the IDX files; it is relative to the spec file",
        ));
    }
    let (bytes, record) = read_file(&path, "root")?;
    let broken = |found: String| {
        UserError::new(
            "root",
            format!("{}: {found}", path.display()),
            "the file is damaged or not an IDX file of unsigned bytes; fetch it again",
        )
    };
    let bytes = unpack(bytes).map_err(|error| broken(format!("broken gzip stream: {error}")))?;
    let idx = parse_idx(&bytes, rank).map_err(broken)?;
    Ok((idx, record))
}

fn unpack(bytes: Vec<u8>) -> std::io::Result<Vec<u8>> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(bytes);
    }
    // The last four bytes of a gzip file are the unpacked length: a hint, bounded in case it lies.
    let hint = bytes
        .last_chunk()
        .map_or(0, |&tail| u32::from_le_bytes(tail));
    let mut unpacked = Vec::with_capacity((hint as usize).min(1 << 28));
    flate2::read::MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut unpacked)?;
    Ok(unpacked)
}

fn parse_idx(bytes: &[u8], rank: usize) -> Result<Idx, String> {
    let word = |i: usize| {
        let bytes = bytes.get(4 * i..4 * i + 4)?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    };
    let expected = 0x0800 | rank as u32;
    match word(0) {
        Some(magic) if magic == expected => {}
        Some(magic) => {
            return Err(format!(
                "magic number {magic:#010x}, expected {expected:#010x}"
            ));
        }
        None => return Err(format!("{} bytes, too short for a header", bytes.len())),
    }
    let dimensions: Vec<i64> = (1..=rank)
        .map(|i| word(i).map(i64::from))
        .collect::<Option<_>>()
        .ok_or_else(|| format!("{} bytes, too short for a header", bytes.len()))?;
    let wanted = dimensions
        .iter()
        .try_fold(1usize, |product, &n| product.checked_mul(n as usize));
    let values = &bytes[4 * (rank + 1)..];
    if wanted != Some(values.len()) {
        return Err(format!(
            "the header promises {dimensions:?} values, {} bytes follow",
            values.len()
        ));
    }
    if values.is_empty() {
        return Err("it holds no samples".into());
    }
    Ok(Idx {
        dimensions,
        values: values.to_vec(),
    })
}
