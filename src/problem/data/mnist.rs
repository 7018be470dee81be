//! MNIST and its relatives in IDX form, plain or gzipped.
//!
//! Format: <https://yann.lecun.org/exdb/mnist/> (LeCun, Cortes, Burges): big-endian magic
//! `0x0000_08dd` for unsigned bytes in `dd` dimensions, one u32 per dimension, then the values.

use super::selection::selected_data;
use super::{DataSource, Dataset, Normalisation};
use crate::error::UserError;
use crate::problem::raw::{FileRecord, RawTensor, read_file};
use flate2::read::MultiGzDecoder;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

const IMAGES: &str = "train-images-idx3-ubyte";
const LABELS: &str = "train-labels-idx1-ubyte";

selected_data! {
    /// `source = "mnist"`: the training set under `root`, normalised as PyTorch's MNIST example does.
    pub struct Mnist {
        /// Folder of the two IDX files.
        pub root: PathBuf,
    }
}

impl DataSource for Mnist {
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
                    "{}: found {count} images in {IMAGES} but {} labels in {LABELS}",
                    root.display(),
                    labels.dimensions[0]
                ),
                "take both files from the same data set",
            ));
        }
        Ok(Dataset {
            selection: self.selection(count as usize)?,
            inputs: RawTensor::from_u8(vec![count, 1, height, width], images.values),
            targets: RawTensor::from_u8(vec![count], labels.values),
            mask: None,
            normalisation: Some(Normalisation {
                mean: &[0.1307],
                deviation: &[0.3081],
            }),
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
        let found = match (root.is_dir(), root.exists()) {
            (true, _) => format!("found no {name} or {name}.gz in {}", root.display()),
            (false, true) => format!("{}: found a file, expected a folder", root.display()),
            (false, false) => format!("{}: there is no such folder", root.display()),
        };
        return Err(UserError::new(
            "root",
            found,
            "point `root` at the folder with the two IDX files; it is relative to the spec file",
        ));
    }
    let (bytes, record) = read_file(&path, "root")?;
    let idx = match bytes.starts_with(&GZIP) {
        true => parse_idx(
            MultiGzDecoder::new(bytes.as_slice()),
            rank,
            bytes.len() * 1032,
        ),
        false => parse_idx(bytes.as_slice(), rank, bytes.len()),
    };
    let idx = idx.map_err(|found| {
        UserError::new(
            "root",
            format!("{}: {found}", path.display()),
            "the file is damaged or not an IDX file of unsigned bytes; fetch it again",
        )
    })?;
    Ok((idx, record))
}

/// How a gzip file begins. Its unpacked length is at most 1032 times the packed one.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Reads an IDX file of unsigned bytes; `most` bounds what can follow, so that a header that lies
/// allocates nothing.
fn parse_idx(mut file: impl Read, rank: usize, most: usize) -> Result<Idx, String> {
    let mut word = || {
        let mut bytes = [0; 4];
        match file.read_exact(&mut bytes) {
            Ok(()) => Ok(u32::from_be_bytes(bytes)),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                Err("ends within its header".to_string())
            }
            Err(error) => Err(format!("broken gzip stream: {error}")),
        }
    };
    let (found, expected) = (word()?, 0x0800 | rank as u32);
    if found != expected {
        return Err(format!(
            "found magic number {found:#010x}, expected {expected:#010x}"
        ));
    }
    let dimensions: Vec<i64> = (0..rank)
        .map(|_| word().map(i64::from))
        .collect::<Result<_, _>>()?;
    if dimensions.contains(&0) {
        return Err(format!("holds no samples: its header says {dimensions:?}"));
    }
    let wanted = dimensions
        .iter()
        .try_fold(1u64, |product, &n| product.checked_mul(n as u64))
        .unwrap_or(u64::MAX);
    let mut values = Vec::new();
    if wanted <= most as u64 {
        let room = values.try_reserve_exact(wanted as usize + 1);
        room.map_err(|_| format!("its {dimensions:?} values do not fit into memory"))?;
    }
    // One byte more, which must not come: it makes the decoder read and check the end of the file.
    file.take(wanted.saturating_add(1))
        .read_to_end(&mut values)
        .map_err(|error| format!("broken gzip stream: {error}"))?;
    match values.len() as u64 {
        found if found == wanted => Ok(Idx { dimensions, values }),
        found if found < wanted => Err(format!(
            "its header promises {dimensions:?} values, only {found} bytes follow"
        )),
        _ => Err(format!(
            "its header promises {dimensions:?} values, more bytes follow"
        )),
    }
}
