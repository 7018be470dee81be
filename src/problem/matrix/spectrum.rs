//! Published synthetic spectra, one line each in [`SpectrumSpec`].

use crate::error::UserError;
use crate::tagged::tagged;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt::Debug;

tagged! {
    /// The eigenvalues of a synthetic matrix: those of Epperly, Tropp, Webber, SIMAX 45:1, 2024,
    /// arXiv:2301.07825, section 3.
    pub enum SpectrumSpec: Spectrum, by "kind" {
        /// Equally spaced from 3 down to 1.
        Flat(Flat) = "flat",
        /// `i^−2`.
        Poly(Poly) = "poly",
        /// `base^i`.
        Exp(Exp) = "exp",
        /// Some ones, then a small value.
        Step(Step) = "step",
    }
}

/// Eigenvalues by their index.
pub trait Spectrum: Debug {
    /// Short name for rows and legends.
    fn name(&self) -> String;

    /// Eigenvalue `i` of `n`, from `i = 0`.
    fn eigenvalue(&self, i: usize, n: usize) -> f64;

    /// Refuses settings that make no sense for n eigenvalues.
    ///
    /// # Errors
    /// The key that is wrong.
    fn check(&self, n: i64) -> Result<(), UserError> {
        let _ = n;
        Ok(())
    }
}

/// `kind = "flat"`: `3 − 2i/(n−1)`, where no estimator gains by deflation.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Flat {}

impl Spectrum for Flat {
    fn name(&self) -> String {
        "flat".into()
    }

    fn eigenvalue(&self, i: usize, n: usize) -> f64 {
        3.0 - 2.0 * i as f64 / (n as f64 - 1.0).max(1.0)
    }
}

/// `kind = "poly"`: `(i+1)^−2`, slow decay.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Poly {}

impl Spectrum for Poly {
    fn name(&self) -> String {
        "poly".into()
    }

    fn eigenvalue(&self, i: usize, _n: usize) -> f64 {
        (i as f64 + 1.0).powi(-2)
    }
}

/// `kind = "exp"`: `base^i`, fast decay; indefinite where the base is negative.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Exp {
    /// Between −1 and 1, not 0.
    pub base: f64,
}

impl Spectrum for Exp {
    fn name(&self) -> String {
        format!("exp {}", self.base)
    }

    fn eigenvalue(&self, i: usize, _n: usize) -> f64 {
        self.base.powi(i32::try_from(i).unwrap_or(i32::MAX))
    }

    fn check(&self, _n: i64) -> Result<(), UserError> {
        match self.base {
            base if base.abs() < 1.0 && base != 0.0 => Ok(()),
            base => Err(UserError::new(
                "base",
                format!("found {base:?}, expected a number between -1 and 1, not 0"),
                "write for example base = 0.9, or -0.9 for an indefinite matrix",
            )),
        }
    }
}

/// `kind = "step"`: 50 ones, then a small value: as good as low rank.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// All eigenvalues after the first 50.
    #[serde(default = "thousandth")]
    pub small: f64,
}

fn thousandth() -> f64 {
    1e-3
}

impl Step {
    const ONES: usize = 50;
}

impl Spectrum for Step {
    fn name(&self) -> String {
        format!("step {:e}", self.small)
    }

    fn eigenvalue(&self, i: usize, _n: usize) -> f64 {
        match i < Self::ONES {
            true => 1.0,
            false => self.small,
        }
    }

    fn check(&self, _n: i64) -> Result<(), UserError> {
        match self.small.is_finite() {
            true => Ok(()),
            false => Err(UserError::new(
                "small",
                format!("found {}, expected a finite number", self.small),
                "write for example small = 1e-3",
            )),
        }
    }
}
