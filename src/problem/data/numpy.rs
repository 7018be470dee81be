//! NumPy's files: two .npy, or an .npz with "x" and "y".

use super::selection::selected_data;
use super::{DataSource, Dataset, Selection, check_pair};
use crate::error::UserError;
use crate::problem::raw::{FileRecord, RawTensor, listed, read_file};
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use tch::Kind;

selected_data! {
    /// `source = "npz"`: arrays "x" `[samples, *in]` in floats, "y" `[samples]` or `[samples, *out]`,
    /// for attention also "mask" `[samples, positions]` in integers, 0 where a position only pads, as
    /// `numpy.savez("data.npz", x=x, y=y)` writes them.
    pub struct Npz {
        /// The file.
        pub path: PathBuf,
    }
}

selected_data! {
    /// `source = "npy"`: the same from two files of one array each.
    pub struct Npy {
        /// The file of the inputs.
        pub x: PathBuf,
        /// The file of the targets.
        pub y: PathBuf,
    }
}

impl DataSource for Npz {
    fn load(&self, base: &Path) -> Result<Dataset, UserError> {
        let path = base.join(&self.path);
        let (bytes, file) = read_file(&path, "path")?;
        let wrong = |found: String, help: &str| {
            UserError::new("path", format!("{}: {found}", path.display()), help)
        };
        let mut archive = zip::ZipArchive::new(Cursor::new(&bytes)).map_err(|error| {
            let help = "write it with numpy.savez(\"data.npz\", x=x, y=y)";
            wrong(format!("not a readable .npz file: {error}"), help)
        })?;
        let names: Vec<_> = archive.file_names().flatten().collect();
        let masked = names.iter().any(|name| name.as_ref() == "mask.npy");
        let names = listed(names.iter().map(AsRef::as_ref));
        let mut array = |name: &str| {
            let mut member = archive.by_name(&format!("{name}.npy")).map_err(|_| {
                let found = format!("found no array \"{name}\"; the file has: {names}");
                wrong(found, "save the inputs as \"x\" and the targets as \"y\"")
            })?;
            let mut bytes = Vec::new();
            let read = member
                .read_to_end(&mut bytes)
                .map_err(|error| error.to_string());
            read.and_then(|_| parse(&bytes))
                .map_err(|found| wrong(format!("array \"{name}\": {found}"), HELP))
        };
        let (inputs, targets) = (array("x")?, array("y")?);
        let mask = masked.then(|| array("mask")).transpose()?;
        check_pair(&inputs, &targets).map_err(|(found, help)| wrong(found, help))?;
        let selection = self.selection(inputs.rows())?;
        Ok(dataset(inputs, targets, mask, selection, vec![file]))
    }
}

impl DataSource for Npy {
    fn load(&self, base: &Path) -> Result<Dataset, UserError> {
        let read = |path: &Path, key: &str| {
            let path = base.join(path);
            let (bytes, file) = read_file(&path, key)?;
            let wrong = |found| UserError::new(key, format!("{}: {found}", path.display()), HELP);
            Ok((parse(&bytes).map_err(wrong)?, file))
        };
        let (inputs, x) = read(&self.x, "x")?;
        let (targets, y) = read(&self.y, "y")?;
        check_pair(&inputs, &targets).map_err(|(found, help)| UserError::new("x", found, help))?;
        let selection = self.selection(inputs.rows())?;
        Ok(dataset(inputs, targets, None, selection, vec![x, y]))
    }
}

fn dataset(
    inputs: RawTensor,
    targets: RawTensor,
    mask: Option<RawTensor>,
    selection: Selection,
    files: Vec<FileRecord>,
) -> Dataset {
    Dataset {
        inputs,
        targets,
        mask,
        normalisation: None,
        selection,
        files,
    }
}

const HELP: &str =
    "save a C-ordered array of floats or integers with numpy.save (numpy.ascontiguousarray first)";

/// A .npy file: magic, version, length of the header, a Python dict, the values (NEP 1).
fn parse(bytes: &[u8]) -> Result<RawTensor, String> {
    let cut = || "ends within its header".to_string();
    let rest = bytes
        .strip_prefix(b"\x93NUMPY")
        .ok_or("not a .npy file: the magic number is missing")?;
    let (version, rest) = rest.split_first_chunk::<2>().ok_or_else(cut)?;
    let (length, rest) = match version[0] {
        1 => {
            let (length, rest) = rest.split_first_chunk().ok_or_else(cut)?;
            (u16::from_le_bytes(*length) as usize, rest)
        }
        _ => {
            let (length, rest) = rest.split_first_chunk().ok_or_else(cut)?;
            (u32::from_le_bytes(*length) as usize, rest)
        }
    };
    let (header, values) = rest.split_at_checked(length).ok_or_else(cut)?;
    let header = String::from_utf8_lossy(header);
    let after = |key: &str| {
        let start = header.find(&format!("'{key}'"))?;
        let (_, value) = header[start..].split_once(':')?;
        Some(value.trim_start())
    };
    let odd = || format!("found the header {header}");
    let descr = after("descr").and_then(|text| text.split('\'').nth(1));
    let (kind, size) = kind_of(descr.ok_or_else(odd)?)?;
    if !after("fortran_order").ok_or_else(odd)?.starts_with("False") {
        return Err("found an array in Fortran order".into());
    }
    let shape = after("shape").and_then(|text| text.strip_prefix('('));
    let (shape, _) = shape
        .and_then(|text| text.split_once(')'))
        .ok_or_else(odd)?;
    let numbers = shape.split(',').map(str::trim).filter(|n| !n.is_empty());
    let shape: Vec<i64> = numbers
        .map(|n| n.parse().ok())
        .collect::<Option<_>>()
        .ok_or_else(odd)?;
    let needed = shape
        .iter()
        .try_fold(size, |bytes, &n| bytes.checked_mul(n.max(0) as usize));
    match needed {
        Some(needed) if needed == values.len() && shape.iter().all(|&n| n >= 0) => {
            Ok(RawTensor::new(kind, shape, values.to_vec()))
        }
        _ => {
            let length = values.len();
            Err(format!(
                "found {length} bytes of values for the shape {shape:?}"
            ))
        }
    }
}

/// The kind and bytes of an entry.
fn kind_of(descr: &str) -> Result<(Kind, usize), String> {
    Ok(match descr {
        "<f4" => (Kind::Float, 4),
        "<f8" => (Kind::Double, 8),
        "<f2" => (Kind::Half, 2),
        "<i8" => (Kind::Int64, 8),
        "<i4" => (Kind::Int, 4),
        "<i2" => (Kind::Int16, 2),
        "|i1" => (Kind::Int8, 1),
        "|u1" => (Kind::Uint8, 1),
        other => return Err(format!("found dtype '{other}', which is not supported")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn npy(header: &str, values: &[u8]) -> Vec<u8> {
        let length = (header.len() as u16).to_le_bytes();
        [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), values].concat()
    }

    #[test]
    fn arrays_are_read_and_odd_ones_refused() {
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }   \n";
        let values = [1.5f32.to_le_bytes(), 2.5f32.to_le_bytes()].concat();
        let array = parse(&npy(header, &values)).unwrap();
        assert_eq!(
            (array.shape(), array.dtype_name()),
            (&[2, 1][..], "float32")
        );
        assert_eq!(
            Vec::<f32>::try_from(array.tensor().flatten(0, -1)).unwrap(),
            [1.5, 2.5]
        );
        let one = "{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }\n";
        assert_eq!(
            parse(&npy(one, &[1, 2, 3])).unwrap().to_integers(),
            [1, 2, 3]
        );
        for (header, values, expected) in [
            (
                header,
                &values[..7],
                "found 7 bytes of values for the shape [2, 1]",
            ),
            (
                &*header.replace("False", "True"),
                &values,
                "found an array in Fortran order",
            ),
            (
                &*header.replace("<f4", ">f4"),
                &values,
                "found dtype '>f4', which is not supported",
            ),
        ] {
            assert_eq!(parse(&npy(header, values)).unwrap_err(), expected);
        }
        assert!(parse(b"PK").unwrap_err().contains("magic"));
        let all = npy(header, &values);
        assert!((0..all.len()).all(|end| parse(&all[..end]).is_err()));
    }
}
