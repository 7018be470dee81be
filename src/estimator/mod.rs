//! Estimators: from products to a trace with its standard error.

mod hutchinson;
mod probe;
mod statistics;
pub mod stream;

pub use hutchinson::Hutchinson;
pub use probe::Probe;
pub use statistics::{Estimate, Moments};
pub use stream::{StreamKind, TorchStream};
