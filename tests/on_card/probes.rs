//! Probes on the card are those of the CPU.

use super::card::{card, pretend_card_alone};
use curvature_runner::estimator::Probe;
use curvature_runner::estimator::stream::{PhiloxStream, Space};
use tch::{Device, Kind, Tensor};

/// Few are made by the CPU, many by the card.
const SHAPES: [(u64, [i64; 2]); 3] = [(10, [20, 31]), (3, [1, 1]), (600, [70, 61])];

#[test]
fn probes_are_those_of_the_cpu() {
    let Some((device, _shared)) = card("probes_are_those_of_the_cpu") else {
        return;
    };
    for kind in [Kind::Float, Kind::Double] {
        for probe in [Probe::Rademacher, Probe::Gaussian, Probe::Sphere] {
            for (count, shape) in SHAPES {
                let draw = |device| {
                    let stream = PhiloxStream::new(4, kind, device).of_batch(2);
                    let wanted = [
                        (Space::Activation(0), &shape[..]),
                        (Space::SecondParameter(5), &[77][..]),
                        (Space::Activation(1), &shape[..]),
                    ];
                    let vectors = stream.at_sample(1).draw_each(probe, &wanted, 3, count);
                    let flat = |t: &Tensor| t.reshape([count as i64, -1]);
                    let alone = stream.draw(probe, Space::Loss, 3, count, &shape);
                    let all = vectors.iter().chain([&alone]).map(flat);
                    Tensor::cat(&all.collect::<Vec<_>>(), 1).to_device(Device::Cpu)
                };
                let (found, wanted) = (draw(device), draw(Device::Cpu));
                let error = (&found - &wanted).abs().max().double_value(&[]);
                let allowed = match (probe, kind) {
                    (Probe::Rademacher, _) => 0.0,
                    (_, Kind::Double) => 1e-13,
                    _ => 1e-6,
                };
                assert!(error <= allowed, "{probe:?}, {kind:?}, {count}: {error:e}");
            }
        }
    }
}

/// A probe does not depend on how many are drawn at once, nor on who makes it.
#[test]
fn probes_do_not_depend_on_v_batch() {
    let Some((device, _shared)) = card("probes_do_not_depend_on_v_batch") else {
        return;
    };
    let stream = PhiloxStream::new(5, Kind::Float, device);
    for probe in [Probe::Rademacher, Probe::Gaussian] {
        let draw =
            |first, count| stream.draw(probe, Space::Parameter(1), first, count, &[150, 151]);
        let all = draw(0, 300);
        let parts = Tensor::cat(&[draw(0, 7), draw(7, 290), draw(297, 3)], 0);
        let error = (all - parts).abs().max().double_value(&[]);
        let allowed = if probe == Probe::Rademacher {
            0.0
        } else {
            1e-6
        };
        assert!(error <= allowed, "{probe:?}: {error:e}");
    }
}

/// Signs go over as bits, in one copy that nobody waits for; many are made on the card.
#[test]
fn signs_go_over_as_bits() {
    let Some((device, _alone)) = pretend_card_alone("signs_go_over_as_bits") else {
        return;
    };
    let stream = PhiloxStream::new(5, Kind::Float, device);
    let draw = |count| {
        pretend_card::reset();
        let (a, b) = (Space::Parameter(0), Space::Parameter(1));
        let wanted = [(a, &[20, 784][..]), (b, &[10, 20][..])];
        let signs = stream.draw_each(Probe::Rademacher, &wanted, 0, count);
        assert_eq!(signs[0].size(), [count as i64, 20, 784]);
        pretend_card::counts()
    };
    let few = draw(10);
    // 123 and 2 blocks of 16 bytes for each of 10 probes.
    assert_eq!(
        (few.uploads, few.waits),
        (1, 0),
        "{}",
        pretend_card::names()
    );
    assert_eq!(few.uploaded_bytes, 10 * 125 * 16);
    let many = draw(1000);
    assert_eq!(
        (many.uploads, many.waits),
        (0, 0),
        "{}",
        pretend_card::names()
    );
    assert!(many.launches < 160, "{}", pretend_card::names());
}
