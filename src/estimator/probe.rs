//! Distributions of probes: random vectors v with `E[v vᵀ] = I`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the entries of a probe are.
///
/// Variance of one quadratic form of a symmetric A: Hutchinson, Comm. Stat. Sim. 18:3, 1989,
/// doi:10.1080/03610918908812806; Epperly, Tropp, Webber, SIMAX 45:1, 2024, arXiv:2301.07825.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// Independent signs: `2(‖A‖²_F − Σ a_ii²)`.
    #[default]
    Rademacher,
    /// Independent standard normals: `2‖A‖²_F`.
    Gaussian,
    /// Uniform on the sphere of radius √n, n the entries of one parameter tensor: for a block of
    /// that size `2n/(n+2) (‖A‖²_F − tr²A/n)`.
    Sphere,
}
