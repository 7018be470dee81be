//! Hyperbolic tangent.

super::elementwise::activation! {
    /// `z = tanh x`; `σ' = 1−z²`, `σ'' = −2z(1−z²)` (torch.nn.Tanh).
    Tanh,
    |x| x.tanh(),
    |_, z| 1 - z * z,
    |_, z| Some(-2 * z * (1 - z * z)),
}
