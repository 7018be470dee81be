//! Sign vectors as bits.

use tch::{Device, Kind, Tensor};

/// A floating-point type that signs are written out in.
pub(crate) trait SignTable: Copy + 'static {
    /// The eight signs of every byte, lowest bit first: +1 where a bit is 0.
    const OF_BYTE: &'static [[Self; 8]; 256];
}

macro_rules! sign_table {
    ($float:ty) => {
        impl SignTable for $float {
            const OF_BYTE: &'static [[Self; 8]; 256] = {
                static TABLE: [[$float; 8]; 256] = {
                    let mut signs = [[1.0; 8]; 256];
                    let mut i = 0;
                    while i < 256 * 8 {
                        if (i / 8) >> (i % 8) & 1 == 1 {
                            signs[i / 8][i % 8] = -1.0;
                        }
                        i += 1;
                    }
                    signs
                };
                &TABLE
            };
        }
    };
}

sign_table!(f32);
sign_table!(f64);

/// Writes the bits of `bytes` out as signs, eight a byte but for the last.
pub(crate) fn write_signs<F: SignTable>(bytes: &[u8], signs: &mut [F]) {
    let (whole, rest) = signs.as_chunks_mut();
    let (bytes, last) = bytes.split_at(whole.len());
    for (i, &byte) in bytes.iter().enumerate() {
        whole[i] = F::OF_BYTE[usize::from(byte)];
    }
    if !rest.is_empty() {
        rest.copy_from_slice(&F::OF_BYTE[usize::from(last[0])][..rest.len()]);
    }
}

/// K sign vectors in the shape of one tensor: a bit an entry, +1 where it is 0.
pub struct Signs {
    /// Vector after vector, each from a whole byte on, entries in rising bits; padded for words.
    bytes: Vec<u8>,
    bytes_each: usize,
    count: usize,
    shape: Vec<i64>,
    kind: Kind,
    device: Device,
}

impl Signs {
    /// From `count` vectors of bits, `bytes_each` bytes a vector.
    pub fn new(
        mut bytes: Vec<u8>,
        bytes_each: usize,
        shape: &[i64],
        (kind, device): (Kind, Device),
    ) -> Self {
        let count = bytes.len() / bytes_each;
        bytes.extend([0; size_of::<u64>()]);
        Self {
            bytes,
            bytes_each,
            count,
            shape: shape.to_vec(),
            kind,
            device,
        }
    }

    /// How many vectors there are, K.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The vectors as numbers: `[K, *shape]`.
    #[allow(unsafe_code)]
    pub fn dense(&self) -> Tensor {
        let numel: usize = self.shape.iter().product::<i64>() as usize;
        let shape = [&[self.count as i64], self.shape.as_slice()].concat();
        let signs = Tensor::empty(shape, (Kind::Float, Device::Cpu));
        // SAFETY: a contiguous tensor of float32 on the CPU, which nothing else knows yet.
        let entries = unsafe {
            std::slice::from_raw_parts_mut(signs.data_ptr().cast::<f32>(), signs.numel())
        };
        let vectors = self.bytes.chunks(self.bytes_each);
        for (entries, bytes) in entries.chunks_mut(numel).zip(vectors) {
            write_signs(bytes, entries);
        }
        signs.to_kind(self.kind).to_device(self.device)
    }

    /// The shape of one vector.
    pub(super) fn shape(&self) -> &[i64] {
        &self.shape
    }

    /// The kind of numbers that they stand for.
    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether they stand for numbers of this kind on the CPU, as table lookup multiplies them.
    pub(super) fn on_cpu(&self) -> bool {
        self.device == Device::Cpu && matches!(self.kind, Kind::Float | Kind::Double)
    }

    /// The bits of all vectors, padded so that a word can be read at any of them.
    pub(super) fn bits(&self) -> &[u8] {
        &self.bytes
    }

    /// The place of entry `entry` of vector k among the bits.
    pub(super) fn place(&self, k: usize, entry: usize) -> usize {
        k * self.bytes_each * 8 + entry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_bits() {
        let signs = Signs::new(
            vec![0b0000_0101, 0b10],
            2,
            &[3, 3],
            (Kind::Float, Device::Cpu),
        );
        let dense: Vec<f32> = Vec::try_from(signs.dense().flatten(0, -1)).expect("floats");
        assert_eq!(dense, [-1., 1., -1., 1., 1., 1., 1., 1., 1.]);
    }
}
