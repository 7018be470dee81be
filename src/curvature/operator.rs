//! A symmetric matrix as estimators see it: products, counted.

use super::product::add;
use super::{Autodiff, Blocks, Forward, Hmp, Product, Quadratic};
use crate::error::UserError;
use crate::problem::{Curvature, Linearization, Network, NetworkProblem, Problem, Signs};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, Ordering};
use tch::{Device, Kind, Tensor};

/// How products with a network's matrix are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProductKind {
    /// One double-backward product at a time.
    Autodiff,
    /// V_batch products at once by layer rules.
    Hmp,
    /// V_batch quadratic forms at once from one tangent pass, without a product.
    #[default]
    Forward,
}

impl ProductKind {
    /// Whether it goes by the rules of layers, from a linearisation.
    fn by_rules(self) -> bool {
        self != Self::Autodiff
    }
}

/// How an operator is made of a problem.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum OperatorSpec {
    /// A matrix of a network's loss.
    Network {
        /// Which matrix it is.
        curvature: Curvature,
        /// Which of its entries are seen.
        blocks: Blocks,
        /// How products are computed.
        product: ProductKind,
    },
    /// The given matrix itself.
    Matrix,
}

/// A symmetric matrix over parameters, known by its products with vectors only.
///
/// K vectors are a slice with one tensor `[K, *shape]` per parameter. Every product with one vector
/// counts once, also where only the quadratic form is taken: the budget in which estimators are
/// compared.
pub struct Operator<'a> {
    map: Map<'a>,
    shapes: Vec<Vec<i64>>,
    kind: Kind,
    device: Device,
    products: AtomicU64,
}

enum Map<'a> {
    Product(&'a dyn Product),
    Form(&'a dyn Quadratic),
    /// The sum over batches, each linearised anew for every call: the memory of one is enough.
    Batches(&'a NetworkProblem, &'a OperatorSpec),
}

impl<'a> Operator<'a> {
    /// A product over parameters shaped as those of `problem`.
    pub fn new(product: &'a dyn Product, problem: &Problem) -> Self {
        Self::of(Map::Product(product), problem)
    }

    /// A quadratic form without products.
    pub fn form(form: &'a dyn Quadratic, problem: &Problem) -> Self {
        Self::of(Map::Form(form), problem)
    }

    fn of(map: Map<'a>, problem: &Problem) -> Self {
        Self {
            map,
            shapes: problem.shapes(),
            kind: problem.kind(),
            device: problem.device(),
            products: AtomicU64::new(0),
        }
    }

    /// The shape of every parameter.
    pub fn shapes(&self) -> &[Vec<i64>] {
        &self.shapes
    }

    /// Rows and columns: the entries of all parameters.
    pub fn size(&self) -> i64 {
        self.shapes.iter().map(|s| s.iter().product::<i64>()).sum()
    }

    /// The floating-point kind of vectors.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The device of vectors.
    pub fn device(&self) -> Device {
        self.device
    }

    /// How many matrix-vector products have been spent.
    pub fn products(&self) -> u64 {
        self.products.load(Ordering::Relaxed)
    }

    /// `A v_k` for K vectors.
    ///
    /// # Panics
    /// If this is a quadratic form alone, which a plan refuses for estimators that need products.
    pub fn multiply(&self, v: &[Tensor]) -> Vec<Tensor> {
        let count = self.count(v);
        match self.map {
            Map::Product(product) => product.multiply(v),
            Map::Form(_) => unreachable!("the plan refuses forms without a product here"),
            Map::Batches(problem, operator_spec) => {
                let parts = each_batch(problem, operator_spec, count, |batch| batch.multiply(v));
                parts.reduce(add).expect("at least one batch")
            }
        }
    }

    /// `v_kᵀ A v_k` for K vectors in float64: `[parameters, K]` or `[1, K]`, see [`Quadratic`].
    pub fn quadratic(&self, v: &[Tensor]) -> Tensor {
        let count = self.count(v);
        match self.map {
            Map::Product(product) => product.quadratic(v),
            Map::Form(form) => form.quadratic(v),
            Map::Batches(problem, operator_spec) => {
                let parts = each_batch(problem, operator_spec, count, |batch| batch.quadratic(v));
                parts.reduce(|a, b| a + b).expect("at least one batch")
            }
        }
    }

    /// The terms of [`quadratic`](Self::quadratic) for sign vectors.
    pub fn quadratic_of_signs(&self, v: &[Signs]) -> Tensor {
        match self.map {
            Map::Form(form) => {
                self.spend(v.first().map_or(0, Signs::count) as u64);
                form.quadratic_of_signs(v)
            }
            Map::Product(product) => {
                self.spend(v.first().map_or(0, Signs::count) as u64);
                product.quadratic_of_signs(v)
            }
            Map::Batches(..) => self.quadratic(&v.iter().map(Signs::dense).collect::<Vec<_>>()),
        }
    }

    /// Whether signs are faster as signs than as numbers.
    pub fn prefers_signs(&self) -> bool {
        let prefers = match self.map {
            Map::Form(form) => form.prefers_signs(),
            Map::Product(product) => product.takes_signs(),
            Map::Batches(..) => false,
        };
        prefers && self.device == Device::Cpu
    }

    /// Counts K vectors, and gives K.
    fn count(&self, v: &[Tensor]) -> u64 {
        let count = v.first().map_or(0, |v| v.size()[0]) as u64;
        self.spend(count);
        count
    }

    fn spend(&self, products: u64) {
        self.products.fetch_add(products, Ordering::Relaxed);
    }
}

/// What `work` makes of the operator of every batch in turn.
fn each_batch<T>(
    problem: &NetworkProblem,
    operator_spec: &OperatorSpec,
    vectors: u64,
    work: impl Fn(&Operator<'_>) -> T,
) -> impl Iterator<Item = T> {
    let open = move |batch| operator_spec.open(&Problem::Network(batch), vectors, &work);
    problem.each_batch().map(open)
}

/// Bytes of the widest tangent of one vector over a slice at least: with some vectors at once, what
/// fits the second cache.
const SLICE: i64 = 1 << 18;

/// Linearises the problem, in slices of its samples, or batch by batch where there are several. Each
/// slice reads all parameters and all vectors again: in its widest tangent are as many bytes as in a
/// vector, so that this is not what takes time.
fn linearised(problem: &NetworkProblem, curvature: Curvature) -> Vec<Linearization> {
    let numbers: usize = problem.parameters.iter().map(Tensor::numel).sum();
    let vector = (numbers * problem.kind().elt_size_in_bytes()) as i64;
    let parts = match problem.batches.len() {
        1 => problem.slices(SLICE.max(vector)),
        _ => problem.each_batch().collect(),
    };
    parts
        .iter()
        .map(|slice| slice.linearize_for(curvature))
        .collect()
}

impl OperatorSpec {
    /// Whether this can be made of `network`.
    ///
    /// # Errors
    /// Patterns of blocks that do not fit its parameters.
    pub fn check(&self, network: Option<&Network>) -> Result<(), UserError> {
        match (self, network) {
            (Self::Network { blocks, .. }, Some(network)) => blocks.of(network).map(|_| ()),
            _ => Ok(()),
        }
    }

    /// Does `work` with the operator, about `vectors` products in all. For a network that begins with
    /// one linearisation (or, for autodiff, with one differentiable gradient); with several batches
    /// every product takes one for each of them, unless all of them fit a card, which keeps them.
    ///
    /// # Panics
    /// If `problem` is a network and this is not, or the reverse.
    pub fn open<T>(
        &self,
        problem: &Problem,
        vectors: u64,
        work: impl FnOnce(&Operator<'_>) -> T,
    ) -> T {
        let (curvature, blocks, product, network) = match (self, problem) {
            (Self::Matrix, Problem::Matrix(matrix)) => {
                return work(&Operator::new(matrix, problem));
            }
            (Self::Network { product, .. }, Problem::Network(network))
                if network.batches.len() > 1 && !(product.by_rules() && network.fits_a_card()) =>
            {
                return work(&Operator::of(Map::Batches(network, self), problem));
            }
            (
                Self::Network {
                    curvature,
                    blocks,
                    product,
                },
                Problem::Network(network),
            ) => (*curvature, blocks, product, network),
            _ => unreachable!("the plan gives each problem its own operator"),
        };
        let blocks = blocks.of(&network.network);
        let blocks = blocks.expect("the plan refuses patterns that do not fit");
        match product {
            ProductKind::Autodiff => {
                let autodiff = Autodiff::new(network, curvature, &blocks);
                work(&Operator::new(&autodiff, problem))
            }
            ProductKind::Hmp => {
                let parts = linearised(network, curvature);
                let hmp = Hmp::of_parts(&parts, &blocks, vectors);
                work(&Operator::new(&hmp, problem))
            }
            ProductKind::Forward => {
                let parts = linearised(network, curvature);
                let form = Forward::of_parts(&parts, &blocks, vectors);
                work(&Operator::form(&form, problem))
            }
        }
    }
}
