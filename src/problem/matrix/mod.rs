//! Matrices with a known spectrum, as problems on which estimators are compared.

mod spectrum;

pub use spectrum::{Exp, Flat, Poly, Spectrum, SpectrumSpec, Step};

use super::generator::TorchGenerator;
use crate::error::UserError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

/// `[problem] kind = "matrix"`: one symmetric matrix for every spectrum, all in the same basis.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MatrixSpec {
    /// Rows and columns.
    #[serde(default = "thousand")]
    pub n: i64,
    /// The eigenvectors.
    #[serde(default)]
    pub basis: Basis,
    /// Seed of a random basis.
    #[serde(default)]
    pub seed: u64,
    /// The eigenvalues of every matrix.
    pub spectra: Vec<SpectrumSpec>,
}

fn thousand() -> i64 {
    1000
}

/// The eigenvectors of a matrix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Uniform over all orthogonal bases.
    #[default]
    Haar,
    /// The unit vectors: products cost O(n), signs have no error.
    Diagonal,
}

impl MatrixSpec {
    /// The largest n: a dense matrix of 3 GB in float64.
    const LARGEST: i64 = 20_000;

    /// Refuses sizes and spectra that make no sense.
    ///
    /// # Errors
    /// The key that is wrong.
    pub fn check(&self) -> Result<(), UserError> {
        if !(1..=Self::LARGEST).contains(&self.n) {
            return Err(UserError::new(
                "n",
                format!("found {}, expected 1 to {}", self.n, Self::LARGEST),
                "write for example n = 1000",
            ));
        }
        if self.spectra.is_empty() {
            return Err(UserError::new(
                "spectra",
                "found an empty list, expected at least one spectrum",
                "write for example spectra = [{ kind = \"exp\", base = 0.9 }]",
            ));
        }
        for (index, spectrum) in self.spectra.iter().enumerate() {
            let key = format!("spectra[{index}]");
            spectrum.check(self.n).map_err(|e| e.within(&key))?;
            if self.spectra[..index].contains(spectrum) {
                return Err(UserError::new(
                    key,
                    format!("found the spectrum {} twice", spectrum.name()),
                    "write each spectrum once",
                ));
            }
        }
        Ok(())
    }

    /// The first spectrum with a negative eigenvalue.
    pub fn indefinite(&self) -> Option<String> {
        let n = self.n as usize;
        let negative = |s: &&SpectrumSpec| (0..n).any(|i| s.eigenvalue(i, n) < 0.0);
        self.spectra.iter().find(negative).map(|s| s.name())
    }

    /// The matrices, and PyTorch's generator as drawing the basis has left it.
    pub fn build(&self, device: Device, kind: Kind) -> (Vec<Matrix>, TorchGenerator) {
        let mut generator = TorchGenerator::seeded(self.seed);
        let basis = match self.basis {
            Basis::Haar => Some(haar(self.n, &mut generator)),
            Basis::Diagonal => None,
        };
        let matrix = |spectrum: &SpectrumSpec| {
            let n = self.n as usize;
            let eigenvalues = (0..n).map(|i| spectrum.eigenvalue(i, n)).collect();
            Matrix::new(spectrum.name(), eigenvalues, basis.as_ref(), device, kind)
        };
        (self.spectra.iter().map(matrix).collect(), generator)
    }
}

/// A symmetric matrix with known eigenvalues.
#[derive(Debug)]
pub struct Matrix {
    /// What it is called in rows and legends.
    pub name: String,
    /// Its eigenvalues, in float64.
    pub eigenvalues: Vec<f64>,
    /// All entries `[n, n]`, or the diagonal `[n]` of a diagonal matrix.
    pub entries: Tensor,
}

/// A clone is another handle on the same entries, for another thread.
impl Clone for Matrix {
    fn clone(&self) -> Self {
        Self {
            name: self.name.clone(),
            eigenvalues: self.eigenvalues.clone(),
            entries: self.entries.shallow_clone(),
        }
    }
}

impl Matrix {
    /// `Q diag(λ) Qᵀ` for eigenvectors in the columns of `basis: [n, n]` in float64, or `diag(λ)`;
    /// formed in float64 on the CPU, then placed.
    pub fn new(
        name: String,
        eigenvalues: Vec<f64>,
        basis: Option<&Tensor>,
        device: Device,
        kind: Kind,
    ) -> Self {
        let diagonal = Tensor::from_slice(&eigenvalues);
        let entries = match basis {
            Some(q) => (q * diagonal).matmul(&q.tr()),
            None => diagonal,
        };
        Self {
            name,
            eigenvalues,
            entries: entries.to_kind(kind).to_device(device),
        }
    }

    /// The trace: the sum of the eigenvalues.
    pub fn trace(&self) -> f64 {
        self.eigenvalues.iter().sum()
    }

    /// The diagonal of the matrix, `[n]`.
    pub fn diagonal(&self) -> Tensor {
        match self.entries.dim() {
            1 => self.entries.shallow_clone(),
            _ => self.entries.diagonal(0, 0, 1),
        }
    }
}

/// A uniformly random orthogonal `[n, n]` in float64: the Q of a normal matrix whose R has a
/// positive diagonal (Stewart, SIAM J. Numer. Anal. 17:3, 1980, doi:10.1137/0717034).
fn haar(n: i64, generator: &mut TorchGenerator) -> Tensor {
    let count = (n * n) as usize;
    let mut uniform = || -> Tensor {
        let values = Tensor::from_slice(&generator.uniform(count, 0.0, 1.0));
        values.to_kind(Kind::Double)
    };
    // Box and Muller; a uniform number here is below 1 but may be 0.
    let radius = ((uniform().neg() + 1.0).log() * -2.0).sqrt();
    let angle = uniform() * std::f64::consts::TAU;
    let normal = (radius * angle.cos()).reshape([n, n]);
    let (q, r) = Tensor::linalg_qr(&normal, "reduced");
    q * r.diagonal(0, 0, 1).sign()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(spectra: Vec<SpectrumSpec>, basis: Basis) -> MatrixSpec {
        MatrixSpec {
            n: 60,
            basis,
            seed: 3,
            spectra,
        }
    }

    /// The dense matrix has the eigenvalues that it was made of, in both bases.
    #[test]
    fn eigenvalues_are_those_of_the_spectrum() {
        let all = vec![
            SpectrumSpec::Flat(Flat {}),
            SpectrumSpec::Poly(Poly {}),
            SpectrumSpec::Exp(Exp { base: -0.9 }),
            SpectrumSpec::Step(Step { small: 1e-3 }),
        ];
        for basis in [Basis::Haar, Basis::Diagonal] {
            let (matrices, _) = spec(all.clone(), basis).build(Device::Cpu, Kind::Double);
            for matrix in matrices {
                let dense = match matrix.entries.dim() {
                    1 => matrix.entries.diag(0),
                    _ => matrix.entries.shallow_clone(),
                };
                let found = dense.linalg_eigvalsh("L");
                let (expected, _) = Tensor::from_slice(&matrix.eigenvalues).sort(0, false);
                let error = (found - expected).abs().max().double_value(&[]);
                assert!(error < 1e-13, "{}, {basis:?}: {error}", matrix.name);
                let trace = matrix.diagonal().sum(Kind::Double).double_value(&[]);
                assert!((trace - matrix.trace()).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn published_values() {
        let value = |spectrum: &dyn Spectrum, i| spectrum.eigenvalue(i, 1000);
        assert_eq!(value(&Flat {}, 0), 3.0);
        assert_eq!(value(&Flat {}, 999), 1.0);
        assert_eq!(value(&Poly {}, 1), 0.25);
        assert_eq!(value(&Exp { base: -0.9 }, 1), -0.9);
        assert_eq!(value(&Step { small: 1e-8 }, 49), 1.0);
        assert_eq!(value(&Step { small: 1e-8 }, 50), 1e-8);
    }
}
