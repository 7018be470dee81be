//! What a user can mend: the one error type of everything that is read or checked.

/// A mistake in what a user wrote or in a file that it names.
///
/// `key` is the place in the spec (`data.root`, `model.layers[1].out`), relative to whoever reports
/// it; callers put their own section in front with [`UserError::within`].
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct UserError {
    /// The key in the spec that it is about.
    pub key: String,
    /// What was found and what was expected.
    pub message: String,
    /// What to do.
    pub help: String,
}

impl UserError {
    /// A mistake at `key`.
    pub fn new(
        key: impl Into<String>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self {
            key: key.into(),
            message: message.into(),
            help: help.into(),
        }
    }

    /// The same, seen from a level above: `key` becomes `section.key`.
    pub fn within(mut self, section: &str) -> Self {
        self.key = join(section, &self.key);
        self
    }
}

/// `section.key`, `section[1]` or `section`.
pub(crate) fn join(section: &str, key: &str) -> String {
    match key {
        "" => section.to_string(),
        key if key.starts_with('[') => format!("{section}{key}"),
        key => format!("{section}.{key}"),
    }
}
