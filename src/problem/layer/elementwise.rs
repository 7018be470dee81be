//! The template of activations `z = σ(x)`: a new one states `σ`, `σ'`, `σ''`, and its keys if any.

use super::{Layer, LayerConfig, LayerError, Local, OwnCurvature};
use std::fmt::Debug;
use tch::Tensor;

/// An activation, applied entry by entry.
pub trait Activation: Debug + Send + Sync + Clone + 'static {
    /// `σ(x)`, through libtorch's own function of that name.
    fn value(&self, x: &Tensor) -> Tensor;

    /// `σ'(x)`, given `x` and `z = σ(x)`.
    fn first(&self, x: &Tensor, z: &Tensor) -> Tensor;

    /// `σ''(x)`; `None` where it is zero almost everywhere.
    fn second(&self, x: &Tensor, z: &Tensor) -> Option<Tensor>;

    /// Whether its keys make sense.
    ///
    /// # Errors
    /// What was expected of them, otherwise.
    fn check(&self) -> Result<(), LayerError> {
        Ok(())
    }
}

/// An activation takes any shape.
impl<A: Activation> LayerConfig for A {
    fn build(&self, input: &[i64]) -> Result<(Box<dyn Layer>, Vec<i64>), LayerError> {
        self.check()?;
        Ok((Box::new(Elementwise(self.clone())), input.to_vec()))
    }
}

/// A key that has to be a number, neither infinite nor NaN.
pub(super) fn finite(key: &str, value: f64) -> Result<(), LayerError> {
    match value.is_finite() {
        true => Ok(()),
        false => Err(LayerError {
            expected: format!("`{key}` to be finite, found {value}"),
            remedy: "leave it out for torch.nn's default".into(),
        }),
    }
}

/// An activation as a layer.
#[derive(Clone, Debug)]
pub struct Elementwise<A>(pub A);

impl<A: Activation> Layer for Elementwise<A> {
    fn is_entrywise(&self) -> bool {
        true
    }

    fn at_one_place(&self, _axis: i64) -> Option<Box<dyn Layer>> {
        Some(Box::new(self.clone()))
    }

    fn is_curved(&self) -> bool {
        let x = Tensor::from(0.5);
        self.0.second(&x, &self.0.value(&x)).is_some()
    }

    fn forward(&self, x: &Tensor, _w: &[Tensor]) -> Tensor {
        self.0.value(x)
    }

    fn at(&self, x: &Tensor, _w: &[Tensor], z: &Tensor) -> Box<dyn Local> {
        Box::new(LocalElementwise {
            first: self.0.first(x, z),
            second: self.0.second(x, z),
        })
    }
}

struct LocalElementwise {
    first: Tensor,
    second: Option<Tensor>,
}

impl Local for LocalElementwise {
    fn tangent(&self, dx: &Tensor) -> Tensor {
        dx * &self.first
    }

    fn adjoint(&self, gz: &Tensor) -> Tensor {
        gz * &self.first
    }

    fn own_curvature(&self, g: &Tensor) -> OwnCurvature {
        match &self.second {
            Some(second) => OwnCurvature::Diagonal(second * g),
            None => OwnCurvature::Zero,
        }
    }

    fn diagonal_adjoint(&self, d: &Tensor) -> Option<Tensor> {
        Some(d * &self.first * &self.first)
    }
}

/// Declares an activation without keys of its own: its doc, its name and its three functions.
macro_rules! activation {
    ($(#[$doc:meta])* $name:ident, $value:expr, $first:expr, $second:expr $(,)?) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, serde::Deserialize, schemars::JsonSchema, serde::Serialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {}

        impl $crate::problem::layer::elementwise::Activation for $name {
            fn value(&self, x: &tch::Tensor) -> tch::Tensor {
                let value: fn(&tch::Tensor) -> tch::Tensor = $value;
                value(x)
            }
            fn first(&self, x: &tch::Tensor, z: &tch::Tensor) -> tch::Tensor {
                let first: fn(&tch::Tensor, &tch::Tensor) -> tch::Tensor = $first;
                first(x, z)
            }
            fn second(&self, x: &tch::Tensor, z: &tch::Tensor) -> Option<tch::Tensor> {
                let second: fn(&tch::Tensor, &tch::Tensor) -> Option<tch::Tensor> = $second;
                second(x, z)
            }
        }
    };
}
pub(crate) use activation;
