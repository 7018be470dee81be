//! Rows for tests.

use super::{Record, Results};

/// A folder's results that hold these rows and nothing else.
pub(in crate::output) fn results(records: Vec<Record>) -> Results {
    Results {
        folder: "results/test".into(),
        records,
        parameters: Vec::new(),
        eigenvalues: Vec::new(),
        density: Vec::new(),
        variance: Vec::new(),
        spec: None,
        provenance: toml::Table::new(),
    }
}

/// An estimate from `v` probes of `seed`.
pub(in crate::output) fn row(v: u64, seed: u64, estimate: f64) -> Record {
    Record {
        experiment: "convergence".into(),
        estimator: "hutchinson".into(),
        matrix: "hessian".into(),
        blocks: Some("parameter".into()),
        product: Some("hmp".into()),
        probe: Some("rademacher".into()),
        stream: Some("torch".into()),
        v: Some(v),
        v_batch: Some(10),
        seed: Some(seed),
        repeat: 0,
        estimate,
        exact: Some(12.455009460449219),
        products: v,
        seconds: 0.01 * v as f64,
        device: "cpu".into(),
        dtype: "float32".into(),
        threads: 2,
        quantity: "trace".into(),
        ..Record::default()
    }
}

/// Three seeds at V 10, 30, 100, 300 and 1000, their error falling as it should.
pub(in crate::output) fn curves() -> Vec<Record> {
    let at = |seed: u64| {
        [10, 30, 100, 300, 1000].map(|v| {
            let error = [1.0, -0.4, -0.7][seed as usize];
            row(v, seed, 12.455 + 3.0 * error / (v as f64).sqrt())
        })
    };
    (0..3).flat_map(at).collect()
}

/// Three repeats each of an exact trace, autodiff products and batched ones.
pub(in crate::output) fn timed() -> Vec<Record> {
    let mut settings = vec![(None, None, None, 0.0074)];
    for (blocks, seconds) in [("full", 2.2), ("parameter", 4.0)] {
        settings.push((Some("autodiff"), Some(blocks), None, seconds));
    }
    for (v_batch, seconds) in [
        (5, 0.35),
        (10, 0.26),
        (20, 0.21),
        (50, 0.18),
        (100, 0.16),
        (200, 0.15),
    ] {
        settings.push((Some("hmp"), Some("parameter"), Some(v_batch), seconds));
    }
    let mut rows = Vec::new();
    for (product, blocks, v_batch, seconds) in settings {
        for (repeat, factor) in (0..).zip([1.0, 0.96, 1.07]) {
            let exact = product.is_none();
            let base = row(1000, 0, 12.4);
            rows.push(Record {
                experiment: "timing".into(),
                estimator: if exact {
                    "exact".into()
                } else {
                    base.estimator.clone()
                },
                product: product.map(str::to_string),
                blocks: blocks.map(str::to_string),
                probe: base.probe.clone().filter(|_| !exact),
                stream: base.stream.clone().filter(|_| !exact),
                v: base.v.filter(|_| !exact),
                v_batch,
                repeat,
                seconds: seconds * factor,
                ..base
            });
        }
    }
    rows
}
