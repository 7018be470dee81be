//! The layers of a network at a point, in the order in which they are linearised.

use super::layer::{Layer, Local, OwnCurvature};
use super::layer_input::LayerInput;
use super::linearized_layer::LinearizedLayer;
use super::network::Network;
use super::node::{Node, Tensors};
use tch::Tensor;

/// The layers that depend on parameters, linearised at `(x, w)`, and the network's output.
pub(super) fn local_layers(
    network: &Network,
    x: &Tensor,
    w: Tensors<'_>,
) -> (Vec<LinearizedLayer>, Tensor) {
    let mut layers = LocalLayers {
        network,
        data: x,
        w,
        whole: Outputs::default(),
        at_place: Outputs::default(),
        layers: Vec::new(),
    };
    for (index, node) in network.nodes.iter().enumerate() {
        layers.add(index, node);
    }
    let output = layers.whole.values.pop();
    (layers.layers, output.unwrap_or_else(|| x.shallow_clone()))
}

/// The layers linearised so far.
struct LocalLayers<'a> {
    network: &'a Network,
    data: &'a Tensor,
    w: Tensors<'a>,
    /// The outputs of the nodes so far.
    whole: Outputs,
    /// The same at the one place where some of them are used, for those layers that only use them there.
    at_place: Outputs,
    layers: Vec<LinearizedLayer>,
}

#[derive(Default)]
struct Outputs {
    values: Vec<Tensor>,
    /// The number of the layer whose tangents give those of every output; `None` where it depends on no
    /// parameter.
    numbers: Vec<Option<usize>>,
}

impl Outputs {
    fn push(&mut self, value: Tensor, number: Option<usize>) {
        self.values.push(value);
        self.numbers.push(number);
    }

    /// The layers whose outputs make up an input.
    fn sources(&self, input: &LayerInput) -> LayerInput {
        input.renumbered(|source| self.numbers[source])
    }
}

impl LocalLayers<'_> {
    /// Evaluates a node, and linearises it if it depends on parameters and is not postponed.
    fn add(&mut self, index: usize, node: &Node) {
        let one = self.network.one_place.as_ref();
        let own = one.and_then(|one| one.layer(index));
        let layer = own.map_or(&node.layer, |own| &own.layer);
        let from = match own {
            Some(own) if !own.takes_all => &self.at_place,
            _ => &self.whole,
        };
        let (x, w) = (
            node.input.value(self.data, &from.values),
            node.tensors(self.w),
        );
        let input = from.sources(&node.input);
        let below = input.sources().next();
        let depends = !node.parameters.is_empty() || below.is_some();
        let postponed = self.network.postponed_activation(index + 1) == Some(index);
        let (z, number) = if !depends || postponed {
            (layer.forward(&x, &w), below)
        } else {
            let (z, local) = layer.linearize(&x, &w);
            let number = match self.network.postponed_activation(index) {
                Some(activation) => self.append_swapped(activation, local, input, &z),
                None => self.append(local, input, node.parameters.clone(), &z),
            };
            (z, Some(number))
        };
        let (taken, place) = match one.and_then(|one| one.taken(index)) {
            Some(taken) => self.take(taken, &z, number),
            None => (z.shallow_clone(), number),
        };
        self.at_place.push(taken, place);
        self.whole.push(z, number);
    }

    /// What stands at the place in an output, and the number of the layer that takes it out.
    fn take(
        &mut self,
        taken: &dyn Layer,
        z: &Tensor,
        number: Option<usize>,
    ) -> (Tensor, Option<usize>) {
        let (place, local) = taken.linearize(z, &[]);
        let number = number.map(|number| {
            let input = LayerInput::one(Some(number));
            self.append(local, input, Vec::new(), &place)
        });
        (place, number)
    }

    /// Appends a layer and gives its number.
    fn append(
        &mut self,
        local: Box<dyn Local>,
        input: LayerInput,
        parameters: Vec<usize>,
        z: &Tensor,
    ) -> usize {
        self.layers.push(LinearizedLayer {
            local,
            output: z.size(),
            gradient: None,
            own_curvature: OwnCurvature::Zero,
            indices: parameters,
            input,
        });
        self.layers.len() - 1
    }

    /// Appends `z = select(σ(y))` as `z = σ(select(y))`, so that what is not selected is not
    /// differentiated: the entries stay those that are selected from `σ(y)`, whether or not σ rises.
    fn append_swapped(
        &mut self,
        activation: usize,
        select: Box<dyn Local>,
        input: LayerInput,
        z: &Tensor,
    ) -> usize {
        let activation = &self.network.nodes[activation];
        let y = activation.input.value(self.data, &self.whole.values);
        let selected = select.tangent(&y.unsqueeze(0)).squeeze_dim(0);
        let local = activation.layer.at(&selected, &[], z);
        let below = self.append(select, input, Vec::new(), z);
        self.append(local, LayerInput::one(Some(below)), Vec::new(), z)
    }
}
