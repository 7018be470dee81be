//! Rectifier.

super::elementwise::activation! {
    /// `z = max(x, 0)`; `σ' = 1[x > 0]`, `σ'' = 0` almost everywhere (torch.nn.ReLU).
    Relu,
    |x| x.relu(),
    |x, _| x.gt(0).to_kind(x.kind()),
    |_, _| None,
}
