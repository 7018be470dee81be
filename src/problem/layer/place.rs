//! Places on an axis.

use tch::Tensor;

/// One place of an axis of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The axis, counted from the last one, -1.
    pub axis: i64,
    /// Which place on it.
    pub index: i64,
    /// How many places the axis has.
    pub places: i64,
}

impl Place {
    /// What stands there on an axis with all its places, zeros at the others; `z` has the one.
    pub(super) fn spread(&self, z: &Tensor, axis: i64) -> Tensor {
        let mut size = z.size();
        let axis = size.len() as i64 + axis;
        size[axis as usize] = self.places;
        let x = Tensor::zeros(size, (z.kind(), z.device()));
        x.narrow(axis, self.index, 1).copy_(z);
        x
    }
}
