//! Products of convolutions as one batched matrix product over columns, for a GPU: the convolutions
//! that a CPU takes for them have thousands of groups, or kernels as large as the output, for which
//! CUDA has no good algorithm.

use super::correlation::{Correlation, MOST_FLOATS, chunks};
use tch::Tensor;

/// A weight for every sample: `[N, *x], [K, N, *weight] -> [K, N, *z]`.
pub(super) fn with_sample_weights(map: &Correlation, x: &Tensor, w: &Tensor) -> Tensor {
    let (k, g, fan, o) = (w.size()[0], map.groups, map.fan_in(), outputs(map));
    let part = |(start, n): (i64, i64)| {
        let w = w.narrow(1, start, n).reshape([k, n, g, o, fan]);
        let w = w.permute([1, 2, 0, 3, 4]).reshape([n * g, k * o, fan]);
        let columns = map.column_rows(&map.columns(&x.narrow(0, start, n)), 1);
        let z = w.bmm(&columns).reshape([n, g, k, o, -1]);
        let z = z.permute([2, 0, 1, 3, 4]);
        z.reshape([&[k, n, g * o], &map.b[1..]].concat())
    };
    let parts = chunks(MOST_FLOATS, x.size()[0], map.column_floats());
    Tensor::cat(&parts.map(part).collect::<Vec<_>>(), 1)
}

/// The adjoint in w of K inputs and one z: `[K, N, *x], [N, *z] -> [K, *weight]`.
pub(super) fn weight_adjoint(map: &Correlation, x: &Tensor, z: &Tensor) -> Tensor {
    let (n, g, fan, o) = (x.size()[1], map.groups, map.fan_in(), outputs(map));
    let z = z.reshape([n, g, o, -1]).permute([1, 0, 3, 2]);
    let z = z.reshape([g, -1, o]);
    let part = |(start, k): (i64, i64)| {
        let columns = map.columns(&x.narrow(0, start, k).flatten(0, 1));
        let columns = columns.reshape([g, fan, k, -1]).transpose(1, 2);
        let w = columns.reshape([g, k * fan, -1]).bmm(&z);
        let w = w.reshape([g, k, fan, o]).permute([1, 0, 3, 2]);
        w.reshape([&[k], map.weight().as_slice()].concat())
    };
    let parts = chunks(MOST_FLOATS, x.size()[0], n * map.column_floats());
    Tensor::cat(&parts.map(part).collect::<Vec<_>>(), 0)
}

/// Channels of b in a group.
fn outputs(map: &Correlation) -> i64 {
    map.b[0] / map.groups
}

#[cfg(test)]
mod tests {
    use super::super::window::Window;
    use super::*;
    use tch::{Device, Kind};

    fn maps() -> [Correlation; 2] {
        let map = |groups, stride, dilation| Correlation {
            window: Window {
                kernel: vec![3, 2],
                stride: vec![stride, 1],
                padding: vec![1, 1],
                dilation: vec![dilation, 1],
            },
            groups,
            a: vec![4, 7, 5],
            b: vec![6, (9 - 2 * dilation - 1) / stride + 1, 6],
            transposed: false,
        };
        [map(1, 1, 2), map(2, 2, 1)]
    }

    /// As the convolutions that they stand for.
    #[test]
    fn they_are_the_convolutions() {
        for map in maps() {
            let random = |shape: &[i64], of: &[i64]| {
                Tensor::randn([shape, of].concat(), (Kind::Double, Device::Cpu))
            };
            let close = |found: Tensor, wanted: Tensor| {
                assert_eq!(found.size(), wanted.size());
                assert!((found - wanted).abs().max().double_value(&[]) < 1e-12);
            };
            let (x, w) = (random(&[3], &map.a), random(&[2, 3], &map.weight()));
            close(
                with_sample_weights(&map, &x, &w),
                map.with_sample_weights(&x, &w),
            );
            let (x, z) = (random(&[2, 3], &map.a), random(&[3], &map.b));
            close(
                weight_adjoint(&map, &x, &z),
                map.weight_adjoint(&x, &z.unsqueeze(0)),
            );
        }
    }
}
