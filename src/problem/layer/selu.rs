//! Scaled exponential linear unit.

/// The constants of Klambauer, Unterthiner, Mayr, Hochreiter, NIPS 2017, arXiv:1706.02515.
const SCALE: f64 = 1.050_700_987_355_480_5;
/// `SCALE · α`.
const NEGATIVE: f64 = SCALE * 1.673_263_242_354_377_2;

super::elementwise::activation! {
    /// `z = λx` for x > 0, else `λα(eˣ−1)`, λ ≈ 1.0507, α ≈ 1.6733; `σ' = λ`, else `z + λα`;
    /// `σ'' = 0`, else `z + λα` (torch.nn.SELU).
    Selu,
    |x| x.selu(),
    |x, z| (z + NEGATIVE).where_scalarother(&x.le(0.0), SCALE),
    |x, z| Some((z + NEGATIVE).where_scalarother(&x.le(0.0), 0.0)),
}
