//! Logarithm of the logistic sigmoid.

super::elementwise::activation! {
    /// `z = log s` with `s = 1/(1+e⁻ˣ)`; `σ' = 1−s`, `σ'' = −s(1−s)` (torch.nn.LogSigmoid).
    LogSigmoid,
    |x| x.log_sigmoid(),
    |x, _| (-x).sigmoid(),
    |x, _| Some(-x.sigmoid() * (-x).sigmoid()),
}
