//! The bilinear map under every convolution, with the rules of its three arguments.

use super::linear_map::folded;
use super::window::Window;
use tch::{Kind, Tensor};

/// `b[o, t] = Σ_{c, δ} w[o, c, δ] a[c, t·stride + δ·dilation − padding]` for every sample.
///
/// A convolution maps `x = a` to `z = b`; a transposed one maps `x = b` to `z = a`, by the adjoint.
/// With `groups` G, the channels of a and b fall into G parts, and each part of b sees that of a alone.
#[derive(Clone, Debug)]
pub(super) struct Correlation {
    pub window: Window,
    pub groups: i64,
    /// The shape of a for one sample, `[channels, *S]`.
    pub a: Vec<i64>,
    /// The shape of b for one sample, `[channels, *T]`.
    pub b: Vec<i64>,
    /// Whether x is b and z is a.
    pub transposed: bool,
}

/// The most floats of one temporary tensor: 256 MiB in float32.
pub(super) const MOST_FLOATS: i64 = 1 << 26;

/// Parts `(start, length)` of `0..total` so that `floats` for each item are `at_once` or fewer.
pub(super) fn chunks(at_once: i64, total: i64, floats: i64) -> impl Iterator<Item = (i64, i64)> {
    let part = (at_once / floats.max(1)).clamp(1, total.max(1));
    (0..total)
        .step_by(part as usize)
        .map(move |start| (start, part.min(total - start)))
}

/// `f` in parts of the first axis where libtorch itself lays out all columns, `floats` per item:
/// in float64, for which its fast convolutions have no code.
fn in_parts(t: &Tensor, floats: i64, f: impl Fn(&Tensor) -> Tensor) -> Tensor {
    if t.kind() != Kind::Double || t.size()[0] * floats <= MOST_FLOATS {
        return f(t);
    }
    let part = |(start, length)| f(&t.narrow(0, start, length));
    let parts = chunks(MOST_FLOATS, t.size()[0], floats).map(part);
    Tensor::cat(&parts.collect::<Vec<_>>(), 0)
}

impl Correlation {
    /// The shape of the weight: `[channels of b, channels of a per group, *kernel]`.
    pub fn weight(&self) -> Vec<i64> {
        [
            &[self.b[0], self.a[0] / self.groups],
            self.window.kernel.as_slice(),
        ]
        .concat()
    }

    /// The shape of x for one sample.
    pub fn input(&self) -> &[i64] {
        match self.transposed {
            true => &self.b,
            false => &self.a,
        }
    }

    /// The shape of z for one sample.
    pub fn output(&self) -> &[i64] {
        match self.transposed {
            true => &self.a,
            false => &self.b,
        }
    }

    /// How many entries of the weight act on one entry of b.
    pub fn fan_in(&self) -> i64 {
        self.a[0] / self.groups * self.window.entries()
    }

    /// How many floats the columns of one sample are.
    pub fn column_floats(&self) -> i64 {
        self.groups * self.fan_in() * self.positions()
    }

    /// How many positions b has.
    pub fn positions(&self) -> i64 {
        self.b[1..].iter().product()
    }

    /// `[N, *x] -> [N, *z]`.
    pub fn forward(&self, x: &Tensor, w: &Tensor, bias: Option<&Tensor>) -> Tensor {
        self.convolve(x, w, bias, self.transposed, self.groups)
    }

    /// The map of tangents of x: `[K, N, *x] -> [K, N, *z]`.
    pub fn tangent(&self, dx: &Tensor, w: &Tensor) -> Tensor {
        self.folded(dx, w, self.transposed)
    }

    /// The adjoint in x: `[K, N, *z] -> [K, N, *x]`.
    pub fn adjoint(&self, gz: &Tensor, w: &Tensor) -> Tensor {
        self.folded(gz, w, !self.transposed)
    }

    /// K weights on the same x: `[N, *x], [K, *weight] -> [K, N, *z]`.
    pub fn with_weights(&self, x: &Tensor, w: &Tensor) -> Tensor {
        self.weights(x, w, self.transposed)
    }

    /// The adjoints in x of K weights on the same z: `[N, *z], [K, *weight] -> [K, N, *x]`.
    pub fn adjoint_with_weights(&self, z: &Tensor, w: &Tensor) -> Tensor {
        self.weights(z, w, !self.transposed)
    }

    /// A weight for every sample, as groups: `[N, *x], [K, N, *weight] -> [K, N, *z]`.
    pub fn with_sample_weights(&self, x: &Tensor, w: &Tensor) -> Tensor {
        let (k, n, spatial) = (w.size()[0], w.size()[1], &self.input()[1..]);
        let x = x
            .unsqueeze(0)
            .expand([&[k], x.size().as_slice()].concat(), false);
        let z = self.convolve(
            &join(&x, &[1, k * n * self.input()[0]], spatial),
            &w.flatten(0, 2),
            None,
            self.transposed,
            k * n * self.groups,
        );
        join(&z, &[k, n], self.output())
    }

    /// This map with a single channel in every group.
    pub fn of_channel_sums(&self) -> Self {
        let alone = |shape: &[i64]| [&[self.groups], &shape[1..]].concat();
        Self {
            a: alone(&self.a),
            b: alone(&self.b),
            ..self.clone()
        }
    }

    /// Sums over the channels of each group: `[N, channels, *] -> [N, G, *]`.
    pub fn channel_sums(&self, t: &Tensor) -> Tensor {
        let size = t.size();
        let grouped = [&[size[0], self.groups, -1], &size[2..]].concat();
        t.reshape(grouped).sum_dim_intlist(2, false, None::<Kind>)
    }

    /// The adjoint in w: `[A, N, *x], [B, N, *z] -> [A B, *weight]`, A or B being 1.
    ///
    /// As one convolution in which the samples are the channels, a is the input and b the kernel,
    /// so that stride and dilation change places: no columns are laid out.
    pub fn weight_adjoint(&self, x: &Tensor, z: &Tensor) -> Tensor {
        let (a, b) = match self.transposed {
            true => (z, x),
            false => (x, z),
        };
        let (g, n, window) = (self.groups, a.size()[1], &self.window);
        let (of_a, of_b, [c, o]) = (a.size()[0], b.size()[0], self.per_group());
        let a = split(a, &[of_a, n, g, c], &self.a[1..], &[0, 3, 2, 1]);
        let b = split(b, &[of_b, n, g, o], &self.b[1..], &[2, 0, 3, 1]);
        let a = join(&a, &[of_a * c, g * n], &self.a[1..]);
        let b = join(&b, &[g * of_b * o, n], &self.b[1..]);
        let w = in_parts(&a, g * n * self.positions() * window.entries(), |a| {
            let (stride, dilation) = (&window.dilation, &window.stride);
            let zero = vec![0; window.kernel.len()];
            let w = a.convolution(
                &b,
                None::<&Tensor>,
                stride,
                &window.padding,
                dilation,
                false,
                zero,
                g,
            );
            crop(w, &window.kernel)
        });
        let w = split(&w, &[of_a, c, g, of_b, o], &window.kernel, &[0, 3, 2, 4, 1]);
        join(&w, &[of_a * of_b, g * o, c], &window.kernel)
    }

    /// Whether a weight is large enough to be multiplied by itself rather than with others, whose
    /// entries would have to change places first.
    pub fn is_large(&self) -> bool {
        const LARGE: i64 = 1 << 15;
        self.b[0] * self.fan_in() >= LARGE
    }

    pub fn per_group(&self) -> [i64; 2] {
        [self.a[0] / self.groups, self.b[0] / self.groups]
    }

    /// One convolution whose K times as many channels come out of K weights, or K convolutions.
    fn weights(&self, t: &Tensor, w: &Tensor, to_a: bool) -> Tensor {
        if self.is_large() && !t.device().is_cuda() {
            let each = |k| self.convolve(t, &w.get(k), None, to_a, self.groups);
            return Tensor::stack(&(0..w.size()[0]).map(each).collect::<Vec<_>>(), 0);
        }
        let (k, n, g, [c, o]) = (w.size()[0], t.size()[0], self.groups, self.per_group());
        let kernel = &self.window.kernel;
        let (w, each, spatial) = match to_a {
            true => {
                let w = split(w, &[k, g, o, c], kernel, &[1, 2, 0, 3]);
                (join(&w, &[g * o, k * c], kernel), c, &self.a[1..])
            }
            false => {
                let w = split(w, &[k, g, o, c], kernel, &[1, 0, 2, 3]);
                (join(&w, &[g * k * o, c], kernel), o, &self.b[1..])
            }
        };
        let z = self.convolve(t, &w, None, to_a, g);
        split(&z, &[n, g, k, each], spatial, &[2, 0, 1, 3]).flatten(2, 3)
    }

    fn folded(&self, t: &Tensor, w: &Tensor, to_a: bool) -> Tensor {
        folded(t, |t| {
            in_parts(t, self.column_floats(), |t| {
                self.convolve(t, w, None, to_a, self.groups)
            })
        })
    }

    fn convolve(
        &self,
        t: &Tensor,
        w: &Tensor,
        bias: Option<&Tensor>,
        to_a: bool,
        groups: i64,
    ) -> Tensor {
        let window = &self.window;
        let missing = |i: usize| {
            let reached = (self.b[1 + i] - 1) * window.stride[i] + window.span(i);
            self.a[1 + i] + 2 * window.padding[i] - reached
        };
        let output_padding: Vec<i64> = (0..window.kernel.len())
            .map(|i| if to_a { missing(i) } else { 0 })
            .collect();
        let z = t.convolution(
            w,
            bias,
            &window.stride,
            &window.padding,
            &window.dilation,
            to_a,
            output_padding,
            groups,
        );
        match to_a {
            true => z,
            false => crop(z, &self.b[1..]),
        }
    }
}

/// `[.., *spatial]` with its leading axes as `leading`, those in the order of `axes`.
fn split(t: &Tensor, leading: &[i64], spatial: &[i64], axes: &[i64]) -> Tensor {
    let kept = leading.len() as i64..(leading.len() + spatial.len()) as i64;
    let axes: Vec<i64> = axes.iter().copied().chain(kept).collect();
    join(t, leading, spatial).permute(axes)
}

/// `[.., *spatial]` with its leading axes as `leading`.
pub(super) fn join(t: &Tensor, leading: &[i64], spatial: &[i64]) -> Tensor {
    t.reshape([leading, spatial].concat())
}

/// The first entries along the last axes: a window may fit once more than it was asked to.
fn crop(t: Tensor, sizes: &[i64]) -> Tensor {
    let first = t.dim() - sizes.len();
    sizes
        .iter()
        .enumerate()
        .fold(t, |t, (i, &size)| t.narrow((first + i) as i64, 0, size))
}
