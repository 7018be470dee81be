//! The mask of a data set: which positions of a sample may be looked at.

use crate::problem::raw::RawTensor;

/// Refuses a mask that does not suit the layers that look through it, each with its key and its number
/// of positions; else what is wrong, and what to do.
pub(super) fn check<'a>(
    mask: &RawTensor,
    samples: usize,
    layers: impl Iterator<Item = (&'a str, i64)>,
) -> Result<(), (String, &'static str)> {
    let mut looked_through = false;
    for (key, positions) in layers {
        looked_through = true;
        if mask.shape() != [samples as i64, positions] || !mask.is_integer() {
            return Err((
                format!(
                    "found \"mask\" of dtype {} and shape {:?}, expected integers of shape [{samples}, {positions}], one for every position of model.{key}",
                    mask.dtype_name(),
                    mask.shape()
                ),
                "save \"mask\" as uint8: 1 for positions that may be looked at, 0 for padding",
            ));
        }
    }
    if !looked_through {
        return Err((
            "found \"mask\", but no layer of the network looks through it".into(),
            "leave it out, or put an attention layer into the network",
        ));
    }
    match mask.to_integers().iter().find(|m| !(0..=1).contains(*m)) {
        None => Ok(()),
        Some(found) => Err((
            format!("found the number {found} in \"mask\", expected 0 or 1"),
            "save 1 for positions that may be looked at, 0 for padding",
        )),
    }
}
