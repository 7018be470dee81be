//! Layers laid out in a row, as a spec nests them.

use super::layer::{
    Branches, Combine, Layer, LayerError, LayerSpec, Module, ParameterShape, identity, product,
};
use super::layer_input::{Join, LayerInput};
use super::node::{Node, ParameterInfo, Tie};
use crate::error::{UserError, join};
use crate::problem::raw::listed;
use std::ops::Range;

/// An output, by its layer's number (`None` is the data), and its shape.
type Output = (Option<usize>, Vec<i64>);

/// The layers laid out so far.
#[derive(Default)]
pub(super) struct Assembly {
    pub nodes: Vec<Node>,
    pub parameters: Vec<ParameterInfo>,
    pub buffers: Vec<ParameterInfo>,
    pub ties: Vec<Tie>,
    pub tokens: Option<i64>,
}

impl Assembly {
    /// All layers for samples of shape `input`, and the shape that the last one puts out.
    ///
    /// # Errors
    /// The first layer that does not fit, at `layers[index]`.
    pub fn of(layers: &[LayerSpec], input: &[i64]) -> Result<(Self, Vec<i64>), UserError> {
        let mut assembly = Self::default();
        let data = (None, input.to_vec());
        let (_, output) = assembly.list(layers, "layers", "", data)?;
        Ok((assembly, output))
    }

    /// Adds modules one on another; `key` is where their list stands, `name` begins the names of
    /// their parameters.
    fn list(
        &mut self,
        layers: &[LayerSpec],
        key: &str,
        name: &str,
        input: Output,
    ) -> Result<Output, UserError> {
        layers
            .iter()
            .enumerate()
            .try_fold(input, |input, (index, spec)| {
                let (key, name) = (format!("{key}[{index}]"), format!("{name}{index}."));
                self.module(spec, &key, &name, input)
            })
    }

    /// Adds a module: a layer, or branches and an identity that takes in their combined outputs.
    fn module(
        &mut self,
        spec: &LayerSpec,
        key: &str,
        name: &str,
        input: Output,
    ) -> Result<Output, UserError> {
        let (kind, shape) = (spec.kind(), input.1.clone());
        let wrong = |error: LayerError| error.of(kind, &shape).within(key);
        match spec.module(&shape).map_err(wrong)? {
            Module::Layer(layer, output) => {
                if let Some(tokens) = layer.tokens() {
                    self.take_tokens(tokens, input.0).map_err(wrong)?;
                }
                self.layer(layer, LayerInput::one(input.0), output, (key, name, kind))
            }
            Module::Branches(branches) => {
                let parts = branches
                    .lists
                    .iter()
                    .map(|(place, layers)| {
                        let name = format!("{name}{}.", place.replace('[', ".").replace(']', ""));
                        self.list(layers, &join(key, place), &name, input.clone())
                    })
                    .collect::<Result<Vec<Output>, _>>()?;
                let join = match branches.combine {
                    Combine::Add | Combine::Multiply => Join::Add,
                    Combine::Cat => Join::Cat(branches.axis(&parts[0].1).map_err(wrong)?),
                };
                let (input, output) = LayerInput::joined(&parts, join)
                    .ok_or_else(|| wrong(misfit(&branches, &parts)))?;
                match branches.combine {
                    Combine::Multiply => self.product(parts, (key, name)),
                    _ => self.layer(identity(), input, output, (key, name, kind)),
                }
            }
        }
    }

    /// Adds the product of outputs of one shape, two after two: an identity over both side by side,
    /// and over that their product.
    fn product(
        &mut self,
        factors: Vec<Output>,
        (key, name): (&str, &str),
    ) -> Result<Output, UserError> {
        let mut factors = factors.into_iter();
        let first = factors.next().expect("a block has branches");
        factors.try_fold(first, |so_far, factor| {
            let shape = factor.1.clone();
            let joined = LayerInput::joined(&[so_far, factor], Join::Cat(0));
            let (input, both) = joined.expect("sizes that can be counted");
            let (both, _) = self.layer(identity(), input, both, (key, name, "parallel"))?;
            self.layer(
                product(),
                LayerInput::one(both),
                shape,
                (key, name, "multiply"),
            )
        })
    }

    /// What takes tokens takes the data; the data must suit all that do.
    fn take_tokens(&mut self, tokens: i64, source: Option<usize>) -> Result<(), LayerError> {
        if source.is_some() {
            return Err(LayerError {
                expected: "the data themselves".into(),
                remedy: "put it first in the network, or first in branches that come first".into(),
            });
        }
        self.tokens = Some(self.tokens.map_or(tokens, |others| others.min(tokens)));
        Ok(())
    }

    fn layer(
        &mut self,
        layer: Box<dyn Layer>,
        input: LayerInput,
        output: Vec<i64>,
        (key, name, kind): (&str, &str, &'static str),
    ) -> Result<Output, UserError> {
        let at = |error: UserError| error.within(key);
        countable("output", &output).map_err(at)?;
        let parameters = self.parameters(layer.as_ref(), name).map_err(at)?;
        let buffers = list(&mut self.buffers, layer.buffers(), name).map_err(at)?;
        self.nodes.push(Node {
            layer,
            input,
            parameters,
            buffers,
            key: key.into(),
            kind,
            features: output.iter().product(),
        });
        Ok((Some(self.nodes.len() - 1), output))
    }

    /// The numbers of a layer's parameters: its own are put at the end of the network's.
    fn parameters(&mut self, layer: &dyn Layer, name: &str) -> Result<Vec<usize>, UserError> {
        let mut own = layer.parameters();
        let tied = match layer.tied() {
            Some(of) => Some(self.tie(of, own.remove(0), name)?),
            None => None,
        };
        let own = list(&mut self.parameters, own, name)?;
        Ok(tied.into_iter().chain(own).collect())
    }

    /// The number of the parameter `of`, which is to stand for `p` of the layer `name` as well.
    fn tie(&mut self, of: &str, p: ParameterShape, name: &str) -> Result<usize, UserError> {
        let wrong = |found, help: &str| Err(UserError::new("tied", found, help));
        let Some(parameter) = self.parameters.iter().position(|known| known.name == of) else {
            let known = self.parameters.iter().map(|known| known.name.as_str());
            let found = format!(
                "found \"{of}\", expected a parameter of a layer before this one; there are: {}",
                listed(known)
            );
            return wrong(found, "name it by its position, as \"0.weight\"");
        };
        let shape = &self.parameters[parameter].shape;
        if *shape != p.shape {
            let found = format!(
                "found \"{of}\" of shape {shape:?}, expected [out, in] = {:?}, the shape of this layer's weight",
                p.shape
            );
            return wrong(
                found,
                "make `out` and the features below those of that parameter, or remove `tied`",
            );
        }
        let info = ParameterInfo {
            name: format!("{name}{}", p.name),
            shape: p.shape,
            init: p.init,
        };
        self.ties.push(Tie { info, parameter });
        Ok(parameter)
    }
}

/// Puts a layer's tensors at the end of the network's, names beginning with `name`.
fn list(
    all: &mut Vec<ParameterInfo>,
    own: Vec<ParameterShape>,
    name: &str,
) -> Result<Range<usize>, UserError> {
    let first = all.len();
    for p in own {
        countable(p.name, &p.shape)?;
        all.push(ParameterInfo {
            name: format!("{name}{}", p.name),
            shape: p.shape,
            init: p.init,
        });
    }
    Ok(first..all.len())
}

/// What is wrong with branches whose outputs cannot be combined.
fn misfit(branches: &Branches<'_>, parts: &[Output]) -> LayerError {
    let found =
        |((place, _), (_, shape)): (&(String, &[LayerSpec]), &Output)| format!("{place} {shape:?}");
    let found: Vec<String> = branches.lists.iter().zip(parts).map(found).collect();
    let (same, remedy) = match branches.combine {
        Combine::Add | Combine::Multiply => {
            ("the same shape", "give them the same channels and strides")
        }
        Combine::Cat => (
            "the same shape but for the axis on which they stand side by side",
            "give them the same strides, and padding to match",
        ),
    };
    LayerError {
        expected: format!("branches that put out {same}, found {}", found.join(", ")),
        remedy: remedy.into(),
    }
}

/// Refuses a shape whose bytes cannot be counted in 63 bits.
fn countable(name: &str, shape: &[i64]) -> Result<(), UserError> {
    let bytes = shape
        .iter()
        .try_fold(8i64, |bytes, &n| bytes.checked_mul(n));
    match bytes {
        Some(_) => Ok(()),
        None => Err(UserError::new(
            "",
            format!("the {name} has shape {shape:?}, more than any memory holds"),
            "make the layer smaller",
        )),
    }
}
