//! Blocks of layers: lists of layers side by side, whose outputs are combined.

use super::{LayerError, LayerSpec, Module, ModuleSpec};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the outputs of branches are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Combine {
    /// Their sum; all have one shape.
    Add,
    /// Side by side along the first axis of a sample, the channels (`torch.cat(.., dim=1)`).
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
/// side along the channels.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ParallelBlock {
    /// Lists of layers over x; one without layers is x itself.
    pub branches: Vec<Vec<LayerSpec>>,
    /// How the outputs are combined.
    pub combine: Combine,
}

impl ModuleSpec for ResidualBlock {
    fn module(&self, _input: &[i64]) -> Result<Module<'_>, LayerError> {
        Ok(Module::Branches(Branches {
            lists: vec![
                ("body".into(), self.body.as_slice()),
                ("shortcut".into(), self.shortcut.as_slice()),
            ],
            combine: Combine::Add,
        }))
    }
}

impl ModuleSpec for ParallelBlock {
    fn module(&self, _input: &[i64]) -> Result<Module<'_>, LayerError> {
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
        }))
    }
}
