//! Bytes of a file with a dtype and a shape, before they become a tensor on a device.

use crate::error::UserError;
use safetensors::Dtype;
use sha2::{Digest, Sha256};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use tch::{Kind, Tensor};

/// A file that was read, for the record.
#[derive(Clone, Debug, PartialEq)]
pub struct FileRecord {
    /// The path of the file.
    pub path: PathBuf,
    /// SHA-256 of its bytes, hexadecimal.
    pub sha256: String,
}

/// Reads a whole file and notes its hash; `key` is the spec key that named it.
///
/// # Errors
/// A file that is missing or cannot be read.
pub fn read_file(path: &Path, key: &str) -> Result<(Vec<u8>, FileRecord), UserError> {
    let bytes = read_regular(path).map_err(|error| {
        let found = match error.kind() {
            ErrorKind::NotFound => "there is no such file".into(),
            ErrorKind::IsADirectory => "found a folder, expected a file".into(),
            ErrorKind::Unsupported => "found no regular file".into(),
            _ => format!("cannot be read: {error}"),
        };
        UserError::new(
            key,
            match path.as_os_str().is_empty() {
                true => "found an empty path, expected a file".into(),
                false => format!("{}: {found}", path.display()),
            },
            "check the path; it is relative to the spec file",
        )
    })?;
    let record = FileRecord {
        path: path.to_path_buf(),
        sha256: hex(&Sha256::digest(&bytes)),
    };
    Ok((bytes, record))
}

/// A whole file, unless it is a device or a pipe, which may have no end.
fn read_regular(path: &Path) -> std::io::Result<Vec<u8>> {
    match std::fs::metadata(path)? {
        other if !other.is_file() && !other.is_dir() => Err(ErrorKind::Unsupported.into()),
        _ => std::fs::read(path),
    }
}

/// Names for people: all of a few, the first ones of many.
pub(in crate::problem) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const MOST: usize = 12;
    let names: Vec<&str> = names.into_iter().collect();
    match names.len() {
        0 => "nothing".into(),
        all @ 0..=MOST => names[..all].join(", "),
        all => format!("{}, ... ({all} in all)", names[..MOST].join(", ")),
    }
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A dense array as it lies in a file: little-endian, row-major, first axis = samples.
#[derive(Clone, Debug, PartialEq)]
pub struct RawTensor {
    kind: Kind,
    shape: Vec<i64>,
    bytes: Vec<u8>,
}

impl RawTensor {
    /// Values of the given kind and shape, as many bytes as they take.
    pub fn new(kind: Kind, shape: Vec<i64>, bytes: Vec<u8>) -> Self {
        Self { kind, shape, bytes }
    }

    /// A copy of a tensor.
    pub fn from_tensor(tensor: &Tensor) -> Self {
        let tensor = tensor.contiguous();
        let mut bytes = vec![0; tensor.numel() * tensor.kind().elt_size_in_bytes()];
        tensor.copy_data_u8(&mut bytes, tensor.numel());
        Self::new(tensor.kind(), tensor.size(), bytes)
    }

    /// 8-bit values of the given shape.
    pub fn from_u8(shape: Vec<i64>, bytes: Vec<u8>) -> Self {
        Self {
            kind: Kind::Uint8,
            shape,
            bytes,
        }
    }

    /// A tensor of a safetensors file; `None` for a dtype that libtorch's CPU kernels lack, or a
    /// shape beyond 63 bits.
    pub fn from_view(view: &safetensors::tensor::TensorView<'_>) -> Option<Self> {
        let kind = match view.dtype() {
            Dtype::F32 => Kind::Float,
            Dtype::F64 => Kind::Double,
            Dtype::F16 => Kind::Half,
            Dtype::BF16 => Kind::BFloat16,
            Dtype::I64 => Kind::Int64,
            Dtype::I32 => Kind::Int,
            Dtype::I16 => Kind::Int16,
            Dtype::I8 => Kind::Int8,
            Dtype::U8 => Kind::Uint8,
            _ => return None,
        };
        Some(Self {
            kind,
            shape: view
                .shape()
                .iter()
                .map(|&n| i64::try_from(n).ok())
                .collect::<Option<_>>()?,
            bytes: view.data().to_vec(),
        })
    }

    /// The shape with the first axis.
    pub fn shape(&self) -> &[i64] {
        &self.shape
    }

    /// The size of the first axis.
    pub fn rows(&self) -> usize {
        self.shape.first().map_or(0, |&n| n as usize)
    }

    /// The shape without the first axis.
    pub fn row_shape(&self) -> Vec<i64> {
        self.shape.iter().skip(1).copied().collect()
    }

    /// Whether the dtype is an integer one.
    pub fn is_integer(&self) -> bool {
        !matches!(
            self.kind,
            Kind::Float | Kind::Double | Kind::Half | Kind::BFloat16
        )
    }

    /// The dtype, as PyTorch calls it.
    pub fn dtype_name(&self) -> &'static str {
        match self.kind {
            Kind::Float => "float32",
            Kind::Double => "float64",
            Kind::Half => "float16",
            Kind::BFloat16 => "bfloat16",
            Kind::Int64 => "int64",
            Kind::Int => "int32",
            Kind::Int16 => "int16",
            Kind::Int8 => "int8",
            _ => "uint8",
        }
    }

    /// What is wrong with the first entry that is NaN or infinite, for people: "found NaN in tensor
    /// "x" at [3, 0], ...", `name` being what the file calls the tensor.
    pub fn non_finite(&self, name: &str) -> Option<String> {
        // All bits of the exponent are set in these, and in no others.
        let first = match self.kind {
            Kind::Float => self.first_with(0x7f80_0000u32.to_le_bytes()),
            Kind::Double => self.first_with(0x7ff0_0000_0000_0000u64.to_le_bytes()),
            Kind::Half => self.first_with(0x7c00u16.to_le_bytes()),
            Kind::BFloat16 => self.first_with(0x7f80u16.to_le_bytes()),
            _ => None,
        }?;
        let mut rest = first as i64;
        let mut index: Vec<i64> = Vec::new();
        for &size in self.shape.iter().rev() {
            index.insert(0, rest % size);
            rest /= size;
        }
        let value = self.tensor().double_value(&index);
        let found = if value.is_nan() { "NaN" } else { "infinity" };
        Some(format!(
            "found {found} in tensor \"{name}\" at {index:?}, expected finite numbers"
        ))
    }

    /// The first entry of N bytes that has all bits of `mask`.
    fn first_with<const N: usize>(&self, mask: [u8; N]) -> Option<usize> {
        let (entries, _) = self.bytes.as_chunks::<N>();
        let has = |entry: &[u8; N]| {
            entry
                .iter()
                .zip(mask)
                .all(|(byte, mask)| byte & mask == mask)
        };
        entries.iter().position(has)
    }

    /// The whole array as a tensor on the CPU.
    pub fn tensor(&self) -> Tensor {
        Tensor::from_data_size(&self.bytes, &self.shape, self.kind)
    }

    /// The given rows, in that order, on the CPU.
    ///
    /// # Panics
    /// If a row is out of range.
    pub fn take(&self, rows: &[i64]) -> Tensor {
        let length = self.bytes.len() / self.rows();
        let mut bytes = Vec::with_capacity(length * rows.len());
        for &row in rows {
            bytes.extend_from_slice(&self.bytes[row as usize * length..][..length]);
        }
        let shape = [&[rows.len() as i64], &self.shape[1..]].concat();
        Tensor::from_data_size(&bytes, &shape, self.kind)
    }

    /// The entries as integers.
    ///
    /// # Panics
    /// If the dtype is not an integer one.
    pub fn to_integers(&self) -> Vec<i64> {
        assert!(self.is_integer());
        let flat = self.tensor().to_kind(Kind::Int64).flatten(0, -1);
        Vec::try_from(flat).expect("a flat int64 tensor is a vector")
    }
}
