//! Sigmoid linear unit.

super::elementwise::activation! {
    /// `z = x s` with `s = 1/(1+e⁻ˣ)`; `σ' = s + z(1−s)`, `σ'' = s(1−s)(2 + x(1−2s))`
    /// (torch.nn.SiLU).
    Silu,
    |x| x.silu(),
    |x, z| {
        let s = x.sigmoid();
        &s + z * (1 - &s)
    },
    |x, _| {
        let s = x.sigmoid();
        Some(&s * (1 - &s) * (x * (1 - 2 * &s) + 2.0))
    },
}
