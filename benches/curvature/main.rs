//! Products, estimators and probe streams: `cargo bench`.
//!
//! What is measured is checked before it is timed. Throughput counts matrix-vector products, or
//! probes, per second.

mod common;
#[path = "../estimates.rs"]
mod estimates;
mod layers;
mod one_pass;
mod probes;
mod products;
mod sizes;

use criterion::{Criterion, criterion_group, criterion_main};
use std::time::Duration;

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = products::bench_exact, products::bench_products, probes::bench_probes,
        one_pass::bench_one_pass, layers::bench_layers, sizes::bench_sizes
}
criterion_main!(benches);
