//! A vector before all positions.

use super::own_entries::OwnEntries;
use super::positional_embedding::positions;
use super::{Init, Layer, LayerConfig, LayerError, Local, ParameterShape};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// `[T, D] -> [T + 1, D]`: a vector, the same for all samples, before those of a sample
/// (Dosovitskiy et al., ICLR 2021, arXiv:2010.11929). It starts at zero, as in torchvision.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ClassToken {}

impl LayerConfig for ClassToken {
    fn build(&self, input: &[i64]) -> Result<(Box<dyn Layer>, Vec<i64>), LayerError> {
        let (positions, features) = positions(input)?;
        Ok((Box::new(Token { features }), vec![positions + 1, features]))
    }
}

#[derive(Debug)]
struct Token {
    features: i64,
}

impl Layer for Token {
    fn parameters(&self) -> Vec<ParameterShape> {
        vec![ParameterShape {
            name: "weight",
            shape: vec![self.features],
            init: Init::Constant { value: 0.0 },
        }]
    }

    fn forward(&self, x: &Tensor, w: &[Tensor]) -> Tensor {
        let token = w[0].expand([x.size()[0], 1, self.features], false);
        Tensor::cat(&[&token, x], 1)
    }

    fn at(&self, _x: &Tensor, w: &[Tensor], z: &Tensor) -> Box<dyn Local> {
        Box::new(OwnEntries {
            weight: w[0].shallow_clone(),
            output: z.size(),
            rows: 1,
            before: 1,
        })
    }
}
