//! What an estimator gives.

use super::{Artefact, Moments, Quantity, Stop};

/// An estimate of one quantity, and of its part in every parameter where it has parts.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// What it is of.
    pub quantity: Quantity,
    /// Probes, or the budget in products; `None` where none was given.
    pub v: Option<u64>,
    /// The whole.
    pub value: Moments,
    /// Every parameter's part; empty where it cannot be split.
    pub parameters: Vec<Moments>,
    /// Matrix-vector products spent.
    pub products: u64,
    /// Wall time from network and batch in memory to this estimate alone, device synchronised.
    pub seconds: f64,
    /// Why an estimate to a tolerance went no further; `None` for a given V.
    pub stop: Option<Stop>,
    /// The diagonal of the matrix, parameter after parameter, where it was estimated too.
    pub diagonal: Option<Vec<f64>>,
    /// What was found beyond the number.
    pub artefacts: Vec<Artefact>,
}

impl Estimate {
    /// An estimate of `quantity` that took so many products and seconds, with nothing beside its
    /// value.
    pub fn new(quantity: Quantity, value: Moments, products: u64, seconds: f64) -> Self {
        Self {
            quantity,
            v: None,
            value,
            parameters: Vec::new(),
            products,
            seconds,
            stop: None,
            diagonal: None,
            artefacts: Vec::new(),
        }
    }

    /// Takes the standard errors away, where samples are not independent.
    pub fn forget_errors(&mut self) {
        self.value = Moments::exact(self.value.mean);
        for part in &mut self.parameters {
            *part = Moments::exact(part.mean);
        }
    }
}
