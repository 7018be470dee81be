//! Logistic sigmoid.

super::elementwise::activation! {
    /// `z = 1/(1+e⁻ˣ)`; `σ' = z(1−z)`, `σ'' = z(1−z)(1−2z)` (torch.nn.Sigmoid).
    Sigmoid,
    |x| x.sigmoid(),
    |_, z| z * (1 - z),
    |_, z| Some(z * (1 - z) * (1 - 2 * z)),
}
