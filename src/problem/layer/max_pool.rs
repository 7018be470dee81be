//! Max pooling in one to three dimensions.

use super::conv::{one, zero};
use super::window::{Window, channels};
use super::{Layer, LayerConfig, LayerError, Local, PerDimension};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

/// `z[c, t] = max_δ x[c, t·stride + δ·dilation − padding]` on inputs `[channels, *spatial]`
/// (torch.nn.MaxPool1d, MaxPool2d, MaxPool3d).
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MaxPool<const D: usize> {
    /// The size of the window.
    pub kernel_size: PerDimension<D>,
    /// How far it moves; absent: by its size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stride: Option<PerDimension<D>>,
    /// Entries of −∞ added at both ends.
    #[serde(default = "zero::<D>")]
    pub padding: PerDimension<D>,
    /// How far its entries are apart.
    #[serde(default = "one::<D>")]
    pub dilation: PerDimension<D>,
    /// Whether a last window may stand over the end.
    #[serde(default)]
    pub ceil_mode: bool,
}

impl<const D: usize> MaxPool<D> {
    /// The layer with torch.nn's defaults for all other keys.
    pub fn new(kernel_size: impl Into<PerDimension<D>>) -> Self {
        Self {
            kernel_size: kernel_size.into(),
            stride: None,
            padding: zero(),
            dilation: one(),
            ceil_mode: false,
        }
    }
}

impl<const D: usize> LayerConfig for MaxPool<D> {
    fn build(&self, input: &[i64]) -> Result<(Box<dyn Layer>, Vec<i64>), LayerError> {
        let (features, spatial) = channels(input, D)?;
        let stride = self.stride.unwrap_or(self.kernel_size);
        let window = Window::new(self.kernel_size, stride, self.padding, self.dilation)?;
        window.padded_by_half()?;
        let positions = window.positions(spatial, self.ceil_mode)?;
        let layer = MaxPooling {
            window,
            ceil: self.ceil_mode,
            input: input.to_vec(),
        };
        let output = [&[features], positions.as_slice()].concat();
        Ok((Box::new(layer), output))
    }
}

#[derive(Clone, Debug)]
struct MaxPooling {
    window: Window,
    ceil: bool,
    input: Vec<i64>,
}

impl MaxPooling {
    /// The maxima and where they are: `[N, C, *out]`, indices into a channel's positions.
    fn with_indices(&self, x: &Tensor) -> (Tensor, Tensor) {
        let Window {
            kernel: k,
            stride: s,
            padding: p,
            dilation: d,
        } = &self.window;
        match k.len() {
            1 => x.max_pool1d_with_indices(k, s, p, d, self.ceil),
            2 => channels_last(x).max_pool2d_with_indices(k, s, p, d, self.ceil),
            _ => x.max_pool3d_with_indices(k, s, p, d, self.ceil),
        }
    }
}

/// Images `[N, C, H, W]` with the channels, where there are many, innermost in memory: libtorch takes
/// maxima of them with wide registers, and of positions one by one, which is ten times slower.
fn channels_last(x: &Tensor) -> Tensor {
    const ENOUGH: i64 = 8;
    match x.device() {
        Device::Cpu if x.size()[1] >= ENOUGH => {
            x.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2])
        }
        _ => x.shallow_clone(),
    }
}

impl Layer for MaxPooling {
    fn selects_inputs(&self) -> bool {
        true
    }

    fn forward(&self, x: &Tensor, _w: &[Tensor]) -> Tensor {
        self.with_indices(x).0
    }

    fn at(&self, x: &Tensor, w: &[Tensor], _z: &Tensor) -> Box<dyn Local> {
        self.linearize(x, w).1
    }

    fn linearize(&self, x: &Tensor, _w: &[Tensor]) -> (Tensor, Box<dyn Local>) {
        let (z, indices) = self.with_indices(x);
        let (z, indices) = (z.contiguous(), indices.contiguous());
        let local = LocalMaxPool {
            input: self.input.clone(),
            output: indices.size()[2..].to_vec(),
            indices: indices.flatten(2, -1),
        };
        (z, Box::new(local))
    }
}

/// `z` selects one entry of x for each of its own: `J` has one 1 in every row, so that it takes a
/// diagonal Hessian to a diagonal one. `indices: [N, C, T]`.
struct LocalMaxPool {
    input: Vec<i64>,
    output: Vec<i64>,
    indices: Tensor,
}

impl LocalMaxPool {
    /// The indices for K probes, without a copy.
    fn repeated(&self, k: i64) -> Tensor {
        self.indices.unsqueeze(0).expand([k, -1, -1, -1], false)
    }
}

impl Local for LocalMaxPool {
    fn tangent(&self, dx: &Tensor) -> Tensor {
        let z = dx
            .flatten(3, -1)
            .gather(3, &self.repeated(dx.size()[0]), false);
        z.reshape([&dx.size()[..3], &self.output].concat())
    }

    fn adjoint(&self, gz: &Tensor) -> Tensor {
        let positions = self.input[1..].iter().product();
        let shape = [&gz.size()[..3], &[positions]].concat();
        let gx = Tensor::zeros(shape, (gz.kind(), gz.device())).scatter_add_(
            3,
            &self.repeated(gz.size()[0]),
            &gz.flatten(3, -1),
        );
        gx.reshape([&gz.size()[..2], &self.input].concat())
    }

    fn diagonal_adjoint(&self, d: &Tensor) -> Option<Tensor> {
        Some(self.adjoint(&d.unsqueeze(0)).squeeze_dim(0))
    }
}
