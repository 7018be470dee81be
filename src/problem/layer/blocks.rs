//! Blocks of layers: lists of layers side by side, whose outputs are combined.

use super::axis::sample_axis;
use super::{LayerError, LayerSpec, Module, ModuleSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the outputs of branches are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Combine {
    /// Their sum; all have one shape.
    Add,
    /// Side by side along an axis (torch.cat); all have one shape but for that axis.
    Cat,
    /// Their product, entry by entry; all have one shape.
    Multiply,
}

/// Lists of layers over one input, whose outputs are combined.
pub struct Branches<'a> {
    /// The lists, each with its key in the spec: `body`, `branches[0]`.
    pub lists: Vec<(String, &'a [LayerSpec])>,
    /// How the outputs are combined.
    pub combine: Combine,
    /// Along which axis they stand side by side, the samples being axis 0.
    pub dim: i64,
}

impl Branches<'_> {
    /// The axis of a sample, counted from 0, along which outputs of this shape stand side by side.
    ///
    /// # Errors
    /// A `dim` that such outputs do not have.
    pub fn axis(&self, output: &[i64]) -> Result<usize, LayerError> {
        Ok(sample_axis("dim", self.dim, output)? - 1)
    }
}

/// `z = body(x) + shortcut(x)`; a shortcut without layers is x itself (He, Zhang, Ren, Sun,
/// CVPR 2016, arXiv:1512.03385).
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ResidualBlock {
    /// The layers from x to the first addend.
    pub body: Vec<LayerSpec>,
    /// The layers from x to the second addend; none: x itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shortcut: Vec<LayerSpec>,
}

/// `z = Σ_b branch_b(x)`, the product of the branches' outputs, entry by entry, or the outputs side by
/// side.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ParallelBlock {
    /// Lists of layers over x; one without layers is x itself.
    pub branches: Vec<Vec<LayerSpec>>,
    /// How the outputs are combined.
    pub combine: Combine,
    /// For `combine = "cat"`: along which axis, the samples being axis 0; a negative one counts from the last.
    #[serde(default = "channels", skip_serializing_if = "is_channels")]
    pub dim: i64,
}

fn channels() -> i64 {
    1
}

fn is_channels(dim: &i64) -> bool {
    *dim == channels()
}

impl ParallelBlock {
    /// With the channels as the axis of `combine = "cat"`.
    pub fn new(branches: Vec<Vec<LayerSpec>>, combine: Combine) -> Self {
        Self {
            branches,
            combine,
            dim: channels(),
        }
    }
}

impl ModuleSpec for ResidualBlock {
    fn module(&self, _input: &[i64]) -> Result<Module<'_>, LayerError> {
        Ok(Module::Branches(Branches {
            lists: vec![
                ("body".into(), self.body.as_slice()),
                ("shortcut".into(), self.shortcut.as_slice()),
            ],
            combine: Combine::Add,
            dim: channels(),
        }))
    }
}

impl ModuleSpec for ParallelBlock {
    fn module(&self, _input: &[i64]) -> Result<Module<'_>, LayerError> {
        if self.combine != Combine::Cat && !is_channels(&self.dim) {
            return Err(LayerError {
                expected: format!("no `dim` beside this `combine`, found dim = {}", self.dim),
                remedy: "remove it, or write combine = \"cat\"".into(),
            });
        }
        if self.branches.is_empty() {
            return Err(LayerError {
                expected: "`branches` with at least one list of layers, found []".into(),
                remedy: "write for example branches = [[], [{ kind = \"tanh\" }]]".into(),
            });
        }
        let lists = self.branches.iter().enumerate();
        let lists = lists.map(|(b, layers)| (format!("branches[{b}]"), layers.as_slice()));
        Ok(Module::Branches(Branches {
            lists: lists.collect(),
            combine: self.combine,
            dim: self.dim,
        }))
    }
}
