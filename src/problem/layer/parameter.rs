//! The parameters of a layer: their names, shapes and first values.

/// The name of a layer's parameter or buffer, its shape, and how torch.nn draws its first value.
#[derive(Clone, Debug)]
pub struct ParameterShape {
    /// Its name within the layer: "weight".
    pub name: &'static str,
    /// Its shape.
    pub shape: Vec<i64>,
    /// Its first value.
    pub init: Init,
}

/// How torch.nn initialises a parameter.
#[derive(Clone, Copy, Debug)]
pub enum Init {
    /// Uniform on `[-bound, bound]`.
    Uniform {
        /// Half the width of the interval.
        bound: f64,
    },
    /// Normal of mean 0 and variance 1.
    Normal {
        /// A row that is zero all the same.
        zero: Option<i64>,
    },
    /// Every entry has the same value, without a draw.
    Constant {
        /// The value of every entry.
        value: f64,
    },
}

impl Init {
    /// `torch.nn.init.kaiming_uniform_(w, a=√5)`, in the same floating-point steps.
    pub(super) fn kaiming_uniform(fan_in: i64) -> Self {
        let gain = (2.0 / (1.0 + 5f64.sqrt().powi(2))).sqrt();
        let deviation = gain / (fan_in as f64).sqrt();
        Self::Uniform {
            bound: 3f64.sqrt() * deviation,
        }
    }
}
