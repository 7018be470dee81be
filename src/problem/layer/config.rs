//! A layer before the shape of its input is known.

use super::Layer;
use crate::error::UserError;

/// The configuration of a layer, as a spec states it, from which the layer is built.
pub trait LayerConfig {
    /// The layer for inputs of shape `input` (without the batch axis) and the shape it puts out.
    ///
    /// # Errors
    /// The shape that was expected, when `input` does not fit.
    fn build(&self, input: &[i64]) -> Result<(Box<dyn Layer>, Vec<i64>), LayerError>;
}

/// An input that a layer cannot take.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerError {
    /// What the layer takes, in words: `a flat input [features]`; or, of a setting, its key in
    /// backquotes first and what was found last: ``` `out` of at least 1, found 0 ```.
    pub expected: String,
    /// What to change.
    pub remedy: String,
}

impl LayerError {
    /// This error as one of the layer `kind` of a spec; `input` is the shape of its input.
    pub(in crate::problem) fn of(self, kind: &str, input: &[i64]) -> UserError {
        let message = format!("{kind} expects {}", self.expected);
        let setting = self.expected.strip_prefix('`');
        match setting.and_then(|text| text.split_once('`')) {
            Some((key, _)) => UserError::new(key, message, self.remedy),
            None => {
                let message = format!("{message}; its input has shape {input:?}");
                UserError::new("", message, self.remedy)
            }
        }
    }
}
