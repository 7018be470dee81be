//! How cost grows with batch, width, depth and V; `benches/curvature/sizes.py` makes a table of it.

use super::common::network;
use super::estimates::{estimate, task};
use criterion::{BenchmarkId, Criterion};

/// What is timed: its name, and what a spec says of it.
const ESTIMATORS: [(&str, &str); 5] = [
    ("exact", "kind = 'exact'"),
    ("propagation", "kind = 'propagation'"),
    ("activation", "kind = 'activation'"),
    (
        "forward parameter",
        "kind = 'hutchinson'\nblocks = 'parameter'",
    ),
    ("forward full", "kind = 'hutchinson'\nblocks = 'full'"),
];

/// One number grows, the others stay as in the middle of every list: batch 256, width 64, two hidden
/// layers, V = 100.
pub fn bench_sizes(c: &mut Criterion) {
    let hidden = |width: i64, depth: usize| vec![width; depth];
    for batch in [64, 256, 1024] {
        row(c, "batch", batch, &hidden(64, 2), batch, 100);
    }
    for width in [16, 64, 256] {
        row(c, "width", width, &hidden(width as i64, 2), 256, 100);
    }
    for depth in [1, 2, 4] {
        row(c, "depth", depth, &hidden(64, depth), 256, 100);
    }
    for v in [10, 100, 1000] {
        row(c, "V", v, &hidden(64, 2), 256, v as u64);
    }
}

/// All estimators at one size.
fn row(c: &mut Criterion, axis: &str, at: usize, hidden: &[i64], batch: usize, v: u64) {
    let problem = network(hidden, batch);
    for (name, spec) in ESTIMATORS {
        let settings = match name {
            "exact" => spec.to_string(),
            _ => format!("{spec}\nV = [1]\nV_batch = [1]\nseeds = [0]"),
        };
        let task = task(&settings);
        let mut group = c.benchmark_group(format!("sizes {axis}"));
        group.sample_size(10);
        group.bench_function(BenchmarkId::new(name, at), |b| {
            b.iter(|| estimate(task.as_ref(), &problem, v, v.min(100)));
        });
        group.finish();
    }
}
