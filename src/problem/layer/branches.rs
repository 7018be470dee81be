//! Layers made of others: branches that begin at one input and meet again.

use super::{Element, LayerError, LayerSpec, Part};
use crate::problem::join::Combine;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Lists of layers over one input, whose outputs meet.
pub struct Branches<'a> {
    /// Each with the key that it stands under: `body`, `branches[0]`.
    pub lists: Vec<(String, &'a [LayerSpec])>,
    /// How the outputs meet.
    pub combine: Combine,
}

/// `z = body(x) + shortcut(x)`; a shortcut without layers is x itself (He, Zhang, Ren, Sun,
/// CVPR 2016, arXiv:1512.03385).
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ResidualBlock {
    /// From x up.
    pub body: Vec<LayerSpec>,
    /// Also from x up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shortcut: Vec<LayerSpec>,
}

/// `z = Σ_b branch_b(x)`, or the outputs side by side along the channels.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ParallelBlock {
    /// Each from x up; one without layers is x itself.
    pub branches: Vec<Vec<LayerSpec>>,
    /// How they meet.
    pub combine: Combine,
}

impl Element for ResidualBlock {
    fn part(&self, _input: &[i64]) -> Result<Part<'_>, LayerError> {
        Ok(Part::Branches(Branches {
            lists: vec![
                ("body".into(), self.body.as_slice()),
                ("shortcut".into(), self.shortcut.as_slice()),
            ],
            combine: Combine::Add,
        }))
    }
}

impl Element for ParallelBlock {
    fn part(&self, _input: &[i64]) -> Result<Part<'_>, LayerError> {
        if self.branches.is_empty() {
            return Err(LayerError {
                expected: "`branches` with at least one list of layers, found []".into(),
                remedy: "write for example branches = [[], [{ kind = \"tanh\" }]]".into(),
            });
        }
        let lists = self.branches.iter().enumerate();
        let lists = lists.map(|(b, layers)| (format!("branches[{b}]"), layers.as_slice()));
        Ok(Part::Branches(Branches {
            lists: lists.collect(),
            combine: self.combine,
        }))
    }
}
