//! Layers of which a network uses what they put out at one place alone, as those above the last attention
//! of a network whose head looks at the class token.

use super::layer::{Layer, Place, alone, kept};
use super::node::Node;

/// The layers between a `select` and what needs all places below it, for samples with the selected place alone.
///
/// They do the same at every place, so that the rest of what they put out is never used; linearised at
/// the one place, they need no work for it. Attention under them has queries there alone.
#[derive(Debug)]
pub(super) struct OnePlace {
    /// In place of the network's own layer, for every node that is among them.
    layers: Vec<Option<AtPlace>>,
    /// Which other nodes have an output that some of them take in.
    below: Vec<bool>,
    /// Takes the place out of such an output.
    taken: Box<dyn Layer>,
}

/// A layer that puts out what stands at the place.
#[derive(Debug)]
pub(super) struct AtPlace {
    pub layer: Box<dyn Layer>,
    /// Whether it takes in all places.
    pub takes_all: bool,
}

impl OnePlace {
    /// Under the topmost select of a network; `None` if there are no such layers.
    pub fn of(nodes: &[Node]) -> Option<Self> {
        let place = |(index, node): (usize, &Node)| Some((index, node.layer.place()?));
        let (select, place) = nodes.iter().enumerate().rev().find_map(place)?;
        let mut layers: Vec<Option<AtPlace>> = nodes.iter().map(|_| None).collect();
        layers[select] = Some(AtPlace {
            layer: alone(place),
            takes_all: false,
        });
        for (index, node) in nodes[..select].iter().enumerate().rev() {
            let mut others = nodes.iter().zip(&layers).filter(|(_, own)| takes_all(own));
            if !others.any(|(node, _)| node.input.sources().any(|source| source == index)) {
                layers[index] = at_place(node, place);
            }
        }
        let among = nodes.iter().zip(&layers).filter(|(_, own)| !takes_all(own));
        let taken: Vec<usize> = among.flat_map(|(node, _)| node.input.sources()).collect();
        let below = |index: usize| layers[index].is_none() && taken.contains(&index);
        let below = (0..nodes.len()).map(below).collect();
        let any = layers[..select].iter().any(Option::is_some);
        any.then(|| Self {
            layers,
            below,
            taken: kept(place),
        })
    }

    /// The layer in place of a node's, if the node is among them.
    pub fn layer(&self, index: usize) -> Option<&AtPlace> {
        self.layers[index].as_ref()
    }

    /// What takes the place out of a node's output, if one of the layers needs it.
    pub fn taken(&self, index: usize) -> Option<&dyn Layer> {
        self.below[index].then_some(self.taken.as_ref())
    }
}

/// Whether a node needs all places of what it takes in.
fn takes_all(own: &Option<AtPlace>) -> bool {
    own.as_ref().is_none_or(|own| own.takes_all)
}

/// A node's layer with its output at the place alone.
fn at_place(node: &Node, place: Place) -> Option<AtPlace> {
    let sum = node.input.is_sum() && !node.input.takes_data();
    let single = sum.then(|| node.layer.at_one_place(place.axis)).flatten();
    let takes_all = single.is_none();
    let layer = single.or_else(|| node.layer.with_output_at(place))?;
    Some(AtPlace { layer, takes_all })
}
