//! Probes in the order in which a PyTorch script draws them.

use crate::problem::generator::TorchGenerator;
use tch::{Device, Kind, Tensor};

/// Signs from libtorch's CPU generator: chunk by chunk, within a chunk parameter by parameter, as
/// `(torch.rand(count, *shape) < 0.5) * 2 - 1`.
///
/// The probes of a chunk therefore depend on its size: a run of fewer probes whose last chunk is
/// partial is not a prefix of a longer one.
#[derive(Clone, Debug)]
pub struct TorchStream {
    generator: TorchGenerator,
    shapes: Vec<Vec<i64>>,
    kind: Kind,
    device: Device,
}

impl TorchStream {
    /// Probes for parameters of the given shapes, drawn on the CPU and moved to `device`.
    pub fn new(
        generator: TorchGenerator,
        shapes: Vec<Vec<i64>>,
        kind: Kind,
        device: Device,
    ) -> Self {
        Self {
            generator,
            shapes,
            kind,
            device,
        }
    }

    /// The next `count` probes: `[count, *shape]` per parameter.
    pub fn next(&mut self, count: u64) -> Vec<Tensor> {
        let generator = &mut self.generator;
        let draw = |shape: &Vec<i64>| {
            let shape = [&[count as i64], shape.as_slice()].concat();
            let signs = Tensor::empty(&shape, (self.kind, Device::Cpu));
            fill_signs(&signs, generator);
            signs.to_device(self.device)
        };
        self.shapes.iter().map(draw).collect()
    }

    /// Passes over `probes` probes, whatever their chunks.
    pub fn skip(&mut self, probes: u64) {
        let numbers: i64 = self.shapes.iter().map(|s| s.iter().product::<i64>()).sum();
        let words = if self.kind == Kind::Double { 2 } else { 1 };
        self.generator.skip(probes * numbers as u64 * words);
    }

    /// The generator where the next probe begins.
    pub fn into_generator(self) -> TorchGenerator {
        self.generator
    }
}

/// Overwrites a new CPU tensor in place, sparing a copy.
#[allow(unsafe_code)]
fn fill_signs(signs: &Tensor, generator: &mut TorchGenerator) {
    assert!(signs.is_contiguous() && signs.device() == Device::Cpu);
    let (data, numel) = (signs.data_ptr(), signs.numel());
    // SAFETY: the tensor is contiguous, on the CPU, of that kind and length, and not yet shared.
    unsafe {
        match signs.kind() {
            Kind::Float => {
                generator.fill_signs_f32(std::slice::from_raw_parts_mut(data.cast(), numel))
            }
            Kind::Double => {
                generator.fill_signs_f64(std::slice::from_raw_parts_mut(data.cast(), numel))
            }
            kind => unreachable!("probes are float32 or float64, not {kind:?}"),
        }
    }
}
