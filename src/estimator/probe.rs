//! Distributions of probes: random vectors v with `E[v vᵀ] = I`.

use serde::{Deserialize, Serialize};

/// What the entries of a probe are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// Independent signs; variance of one probe `2(‖A‖²_F − Σ a_ii²)` (Hutchinson, Comm. Stat. Sim.
    /// 18:3, 1989, doi:10.1080/03610918908812806).
    #[default]
    Rademacher,
}
