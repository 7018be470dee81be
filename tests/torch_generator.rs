//! PyTorch's generator, draw for draw: our stream against libtorch's own, bit for bit.

use curvature_runner::estimator::TorchStream;
use curvature_runner::problem::data::{BatchCount, Order, Selection};
use curvature_runner::problem::generator::TorchGenerator;
use std::sync::Mutex;
use tch::{Device, Kind, Tensor};

/// libtorch has one generator per process; tests that use it take turns.
static LIBTORCH: Mutex<()> = Mutex::new(());

const SEEDS: [u64; 4] = [0, 1, 12345, 0x1_0000_0007];

fn with_libtorch<T>(seed: u64, draw: impl FnOnce() -> T) -> T {
    let _turn = LIBTORCH
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    tch::manual_seed(seed as i64);
    draw()
}

#[test]
fn uniform_equals_libtorch() {
    for seed in SEEDS {
        let bound = 1.0 / 784f64.sqrt();
        let wanted = with_libtorch(seed, || {
            let mut t = Tensor::empty([10_000], (Kind::Float, Device::Cpu));
            let _ = t.uniform_(-bound, bound);
            Vec::<f32>::try_from(t).unwrap()
        });
        let found = TorchGenerator::seeded(seed).uniform(10_000, -bound, bound);
        for (i, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
            assert_eq!(
                found.to_bits(),
                wanted.to_bits(),
                "seed {seed}, draw {i}: {found} {wanted}"
            );
        }
    }
}

/// Up to the last bits: libtorch's vector code has a logarithm and a sine of its own.
#[test]
fn normal_equals_libtorch() {
    for (seed, n) in SEEDS.into_iter().zip([5, 16, 40, 10_000]) {
        let wanted = with_libtorch(seed, || {
            let mut t = Tensor::empty([n], (Kind::Float, Device::Cpu));
            let _ = t.normal_(0.0, 1.0);
            Vec::<f32>::try_from(t).unwrap()
        });
        let found = TorchGenerator::seeded(seed).normal(n as usize);
        for (i, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
            assert!(
                (found - wanted).abs() < 2e-6,
                "seed {seed}, draw {i} of {n}: {found} {wanted}"
            );
        }
    }
}

#[test]
fn signs_equal_libtorch_in_both_precisions() {
    for (kind, seed) in [(Kind::Float, 3), (Kind::Double, 4)] {
        let shapes = vec![vec![20, 31], vec![7]];
        let wanted = with_libtorch(seed, || {
            let mut chunks = Vec::new();
            for count in [10, 10, 3] {
                for shape in &shapes {
                    let shape = [&[count], shape.as_slice()].concat();
                    let below = Tensor::rand(&shape, (kind, Device::Cpu)).lt(0.5);
                    chunks.push(below.to_kind(kind) * 2 - 1);
                }
            }
            chunks
        });
        let mut stream = TorchStream::new(TorchGenerator::seeded(seed), shapes, kind, Device::Cpu);
        let found: Vec<Tensor> = [10, 10, 3]
            .into_iter()
            .flat_map(|count| stream.next(count))
            .collect();
        assert_eq!(found.len(), wanted.len());
        for (found, wanted) in found.iter().zip(&wanted) {
            assert!(found.equal(wanted));
        }
    }
}

#[test]
fn skipping_probes_equals_drawing_them() {
    for kind in [Kind::Float, Kind::Double] {
        let shapes = vec![vec![5, 3], vec![4]];
        let start =
            || TorchStream::new(TorchGenerator::seeded(9), shapes.clone(), kind, Device::Cpu);
        let (mut drawn, mut skipped) = (start(), start());
        drawn.next(10);
        drawn.next(3);
        skipped.skip(13);
        assert!(drawn.next(2)[0].equal(&skipped.next(2)[0]));
    }
}

#[test]
fn integers_and_permutations_equal_libtorch() {
    for seed in SEEDS {
        let wanted = with_libtorch(seed, || {
            let draw = || {
                let mut t = Tensor::empty([1], (Kind::Int64, Device::Cpu));
                let _ = t.random_();
                t.int64_value(&[0])
            };
            (draw(), draw())
        });
        let mut generator = TorchGenerator::seeded(seed);
        assert_eq!((generator.int63(), generator.int63()), wanted);
        for n in [1, 2, 1000, 60_000] {
            let wanted = with_libtorch(seed, || {
                Vec::<i64>::try_from(Tensor::randperm(n, (Kind::Int64, Device::Cpu))).unwrap()
            });
            assert_eq!(
                TorchGenerator::seeded(seed).permutation(n as usize),
                wanted,
                "n = {n}"
            );
        }
    }
}

/// ```python
/// torch.manual_seed(0)
/// torch.nn.Linear(3, 3)
/// [b.tolist() for b in DataLoader(torch.arange(11), batch_size=4, shuffle=True)]
/// # [[4, 10, 6, 2], [3, 7, 9, 8], [0, 5, 1]] from PyTorch 2.11; [[1, 5, 2, 4], [3, 0]] of 6
/// ```
#[test]
fn an_epoch_equals_a_shuffling_data_loader() {
    let epoch = |len: usize, batches| {
        let mut generator = TorchGenerator::seeded(0);
        generator.uniform(12, -1.0, 1.0);
        let selection = Selection::new(Some(4), batches, Order::Torch, len).unwrap();
        selection.rows(len, &mut generator)
    };
    let eleven = [vec![4, 10, 6, 2], vec![3, 7, 9, 8], vec![0, 5, 1]];
    assert_eq!(epoch(11, BatchCount::All), eleven);
    assert_eq!(epoch(11, BatchCount::Number(2)), eleven[..2]);
    assert_eq!(epoch(6, BatchCount::All), [vec![1, 5, 2, 4], vec![3, 0]]);
}
