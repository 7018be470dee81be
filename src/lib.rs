//! Curvature of neural networks' losses: exact and stochastic Hessian traces on libtorch.
//!
//! The numerical core knows nothing of files or specs: a [`problem`] (network, loss, batch), the
//! [`curvature`] of its loss, and [`estimator`]s over that. Around it, an experiment goes one way:
//! [`spec`] (what a user wrote) → [`plan`] (checked jobs) → [`run`] (rows) → [`output`] (files).

#![deny(missing_docs, unsafe_code)]

pub mod curvature;
pub mod environment;
pub mod error;
pub mod estimator;
pub mod libtorch;
pub mod lists;
pub mod memory;
pub mod output;
pub mod plan;
pub mod problem;
pub mod run;
pub mod spec;
mod tagged;
pub mod verify;
