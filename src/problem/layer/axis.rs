//! Axes of a batch, as a spec counts them.

use super::LayerError;

/// The axis `dim` of a batch of samples of shape `input`; a negative one counts from the last.
///
/// # Errors
/// The axis of the samples, or one that there is not; `key` is what the spec calls it.
pub(super) fn sample_axis(key: &str, dim: i64, input: &[i64]) -> Result<usize, LayerError> {
    let last = input.len() as i64;
    let axis = match dim {
        ..0 => dim + last + 1,
        _ => dim,
    };
    match (1..=last).contains(&axis) {
        true => Ok(axis as usize),
        false => Err(LayerError {
            expected: format!(
                "`{key}` from 1 to {last} or from -{last} to -1, as an input of shape {input:?} has such axes after that of the samples, found {dim}"
            ),
            remedy: "count axes as torch does, the samples being axis 0".into(),
        }),
    }
}

/// Refuses a `dim` without which a sample would have no axis.
///
/// # Errors
/// An input of a single axis.
pub(super) fn more_than_one(input: &[i64]) -> Result<(), LayerError> {
    match input.len() {
        2.. => Ok(()),
        _ => Err(LayerError {
            expected: "an input of at least two axes, one of which it takes away".into(),
            remedy: "remove it".into(),
        }),
    }
}
