//! The product of two outputs, entry by entry.

use super::{Layer, Local, OwnCurvature, Symmetric};
use tch::Tensor;

/// `z = a ∘ b` for `x = (a, b)`, a and b one after the other along the first axis of a sample, as
/// gates have it.
pub(in crate::problem) fn product() -> Box<dyn Layer> {
    Box::new(Product)
}

#[derive(Debug)]
struct Product;

impl Layer for Product {
    fn is_curved(&self) -> bool {
        true
    }

    fn forward(&self, x: &Tensor, _w: &[Tensor]) -> Tensor {
        let [a, b] = halves(x, 1);
        a * b
    }

    fn at(&self, x: &Tensor, _w: &[Tensor], _z: &Tensor) -> Box<dyn Local> {
        let factors = halves(x, 1);
        Box::new(LocalProduct { factors })
    }
}

/// The two halves of an axis.
fn halves(t: &Tensor, axis: i64) -> [Tensor; 2] {
    let half = t.size()[axis as usize] / 2;
    [t.narrow(axis, 0, half), t.narrow(axis, half, half)]
}

/// a and b: `[N, *out]`.
struct LocalProduct {
    factors: [Tensor; 2],
}

impl Local for LocalProduct {
    fn tangent(&self, dx: &Tensor) -> Tensor {
        let ([a, b], [da, db]) = (&self.factors, halves(dx, 2));
        da * b + a * db
    }

    fn adjoint(&self, gz: &Tensor) -> Tensor {
        let [a, b] = &self.factors;
        Tensor::cat(&[gz * b, gz * a], 2)
    }

    fn own_curvature(&self, g: &Tensor) -> OwnCurvature {
        OwnCurvature::General(Box::new(Coupling(g.shallow_clone())))
    }
}

/// The form `2 Σ g da db`, `g: [N, *out]`.
struct Coupling(Tensor);

impl Symmetric for Coupling {
    fn apply(&self, dx: &Tensor) -> Tensor {
        let [da, db] = halves(dx, 2);
        Tensor::cat(&[&self.0 * db, &self.0 * da], 2)
    }

    /// `√|g|` in a, and `2 g/√|g|` in b.
    fn pair(&self, v: &Tensor) -> [Tensor; 2] {
        let root = self.0.abs().sqrt();
        let zero = v.zeros_like();
        let in_b = v * (&root * self.0.sign()) * 2.0;
        [
            Tensor::cat(&[&(v * root), &zero], 2),
            Tensor::cat(&[&zero, &in_b], 2),
        ]
    }

    /// One for every entry.
    fn pair_shape(&self) -> Vec<i64> {
        self.0.size()
    }

    /// Two for every entry: `2 g da db = g/2 ((da + db)² − (da − db)²)`.
    fn signs(&self) -> Tensor {
        let sign = self.0.sign();
        Tensor::cat(&[&sign, &sign.neg()], 1)
    }

    fn root(&self, v: &Tensor) -> Tensor {
        let root = (self.0.abs() / 2.0).sqrt();
        let [sum, difference] = halves(v, 2);
        let (a, b) = (&sum + &difference, sum - difference);
        Tensor::cat(&[&root * a, root * b], 2)
    }
}
