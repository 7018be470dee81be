//! The counter-based stream: moments, independence, and that a probe is the same however drawn.

use curvature_runner::estimator::Probe;
use curvature_runner::estimator::stream::{PhiloxStream, Space};
use tch::{Device, Kind, Tensor};

fn stream(seed: u64) -> PhiloxStream {
    PhiloxStream::new(seed, Kind::Double, Device::Cpu)
}

const PROBES: [Probe; 3] = [Probe::Rademacher, Probe::Gaussian, Probe::Sphere];

#[test]
fn a_probe_is_the_same_in_any_chunk_and_on_any_thread() {
    for kind in [Kind::Float, Kind::Double] {
        let stream = PhiloxStream::new(5, kind, Device::Cpu);
        for probe in PROBES {
            let draw =
                |first, count| stream.draw(probe, Space::Parameter(1), first, count, &[20, 31]);
            let all = draw(0, 50);
            let parts = Tensor::cat(&[draw(0, 7), draw(7, 40), draw(47, 3)], 0);
            assert!(all.equal(&parts));
            let serial = std::thread::spawn(move || {
                tch::set_num_threads(1);
                stream.draw(probe, Space::Parameter(1), 0, 50, &[20, 31])
            });
            assert!(all.equal(&serial.join().unwrap()));
        }
    }
}

/// Samples of 77 entries begin anywhere in the blocks that numbers are drawn in.
#[test]
fn samples_draw_the_rows_of_their_batch() {
    for kind in [Kind::Float, Kind::Double] {
        let stream = PhiloxStream::new(5, kind, Device::Cpu).of_batch(3);
        for probe in [Probe::Rademacher, Probe::Gaussian] {
            for shape in [[1, 1], [1, 3], [7, 11], [2, 64]] {
                let draw = |first: u64, samples: i64| {
                    let shape = [&[samples], &shape[..]].concat();
                    let stream = stream.at_sample(first);
                    stream.draw(probe, Space::Activation(1), 4, 3, &shape)
                };
                let all = draw(0, 20);
                for (first, samples) in [(0, 20), (0, 3), (1, 1), (3, 16), (19, 1)] {
                    let rows = all.narrow(1, first as i64, samples);
                    assert!(draw(first, samples).equal(&rows), "{shape:?}, {first}");
                }
            }
        }
    }
}

#[test]
fn both_precisions_draw_the_same_signs() {
    let draw = |kind| {
        let stream = PhiloxStream::new(8, kind, Device::Cpu);
        stream
            .draw(Probe::Rademacher, Space::Loss, 0, 9, &[77])
            .to_kind(Kind::Double)
    };
    assert!(draw(Kind::Float).equal(&draw(Kind::Double)));
}

/// Bounds are 4.5 standard errors of 10^6 entries; 1 in 150,000 per test, seeds fixed.
#[test]
fn moments_are_those_of_the_distribution() {
    let n = 1_000_000f64;
    for (probe, fourth, spread) in [
        (Probe::Rademacher, 1.0, 1e-9),
        (Probe::Gaussian, 3.0, 96f64.sqrt()),
        (Probe::Sphere, 3.0 * 1000.0 / 1002.0, 96f64.sqrt()),
    ] {
        let x = stream(1).draw(probe, Space::Parameter(0), 0, 1000, &[1000]);
        let moment = |p: i64| x.pow_tensor_scalar(p).mean(Kind::Double).double_value(&[]);
        assert!(
            moment(1).abs() < 4.5 / n.sqrt(),
            "{probe:?}: mean {}",
            moment(1)
        );
        assert!(
            (moment(2) - 1.0).abs() < 4.5 * (2.0 / n).sqrt(),
            "{probe:?}: {}",
            moment(2)
        );
        assert!(
            moment(3).abs() < 4.5 * (15.0 / n).sqrt(),
            "{probe:?}: {}",
            moment(3)
        );
        assert!(
            (moment(4) - fourth).abs() < 4.5 * spread / n.sqrt() + 1e-9,
            "{probe:?}: {}",
            moment(4)
        );
    }
    let x = stream(2).draw(Probe::Sphere, Space::Parameter(0), 0, 10, &[33]);
    let norms = (&x * &x).sum_dim_intlist(1, false, Kind::Double);
    assert!((norms - 33.0).abs().max().double_value(&[]) < 1e-10);
}

/// Correlations between entries, probes, spaces and seeds, each over 10^6 products.
#[test]
fn streams_are_not_correlated() {
    for probe in PROBES {
        let draw = |seed, space, first| stream(seed).draw(probe, space, first, 1000, &[1000]);
        let x = draw(1, Space::Parameter(0), 0);
        let others = [
            ("next probe", draw(1, Space::Parameter(0), 1)),
            (
                "next batch",
                (stream(1).of_batch(1)).draw(probe, Space::Parameter(0), 0, 1000, &[1000]),
            ),
            ("next parameter", draw(1, Space::Parameter(1), 0)),
            ("activation", draw(1, Space::Activation(0), 0)),
            (
                "diagonal curvature",
                draw(1, Space::DiagonalCurvature(0), 0),
            ),
            (
                "non-diagonal curvature",
                draw(1, Space::NonDiagonalCurvature(0), 0),
            ),
            ("loss", draw(1, Space::Loss, 0)),
            ("sample parameter", draw(1, Space::SampleParameter(0), 0)),
            ("next seed", draw(2, Space::Parameter(0), 0)),
            ("seed 2^32 on", draw(1 + (1 << 32), Space::Parameter(0), 0)),
            ("next entry", x.roll([1], [1])),
            ("entry 32 on", x.roll([32], [1])),
            ("entry 128 on", x.roll([128], [1])),
        ];
        for (name, y) in &others {
            let correlation = (&x * y).mean(Kind::Double).double_value(&[]);
            assert!(
                correlation.abs() < 4.5e-3,
                "{probe:?}, {name}: {correlation}"
            );
        }
    }
}

#[test]
fn signs_are_the_same_as_bits_and_as_numbers() {
    let stream = PhiloxStream::new(7, Kind::Double, Device::Cpu);
    for shape in [vec![3, 5], vec![20, 784], vec![128]] {
        let space = Space::Parameter(1);
        let bits = stream.signs(space, 4, 6, &shape).dense();
        let numbers = stream.draw(Probe::Rademacher, space, 4, 6, &shape);
        assert!(bits.equal(&numbers), "{shape:?}");
    }
}
