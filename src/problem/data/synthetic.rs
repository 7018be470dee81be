//! Data made up from a seed, for experiments without files.

use super::selection::selected_data;
use super::{DataSource, Dataset, Selection};
use crate::error::UserError;
use crate::problem::generator::TorchGenerator;
use crate::problem::raw::RawTensor;
use std::path::Path;
use tch::{Kind, Tensor};

selected_data! {
    /// `source = "synthetic_classification"`: standard normal inputs around one centre per class,
    /// `x = separation · m_y + ε` with `m_c` standard normal; classes in turn.
    pub struct Classification {
        /// How many samples there are.
        pub samples: i64,
        /// The shape of a sample.
        pub shape: Vec<i64>,
        /// How many classes there are.
        pub classes: i64,
        /// Standard deviation of the centres, against 1 of the samples around them.
        #[serde(default = "one")]
        pub separation: f64,
        /// Seed of all that is drawn.
        #[serde(default)]
        pub seed: u64,
    }
}

selected_data! {
    /// `source = "synthetic_regression"`: standard normal inputs of d entries, and a linear teacher:
    /// `y = W x / √d + noise · ε` with standard normal `W`.
    pub struct Regression {
        /// How many samples there are.
        pub samples: i64,
        /// The shape of a sample.
        pub shape: Vec<i64>,
        /// How many targets a sample has.
        pub outputs: i64,
        /// Standard deviation of the noise.
        #[serde(default)]
        pub noise: f64,
        /// Seed of all that is drawn.
        #[serde(default)]
        pub seed: u64,
    }
}

fn one() -> f64 {
    1.0
}

impl DataSource for Classification {
    fn load(&self, _base: &Path) -> Result<Dataset, UserError> {
        check_sizes(self.samples, &self.shape)?;
        at_least_one("classes", self.classes)?;
        check_scale("separation", self.separation)?;
        let mut normal = Normal::seeded(self.seed);
        let centres = normal.draw(&[&[self.classes], &self.shape[..]].concat());
        let labels = Tensor::arange(self.samples, (Kind::Int64, tch::Device::Cpu));
        let labels = labels.remainder(self.classes);
        let around = normal.draw(&[&[self.samples], &self.shape[..]].concat());
        let inputs = around + centres.index_select(0, &labels) * self.separation;
        let rows = self.samples as usize;
        Ok(dataset(inputs, labels, self.selection(rows)?))
    }
}

impl DataSource for Regression {
    fn load(&self, _base: &Path) -> Result<Dataset, UserError> {
        check_sizes(self.samples, &self.shape)?;
        at_least_one("outputs", self.outputs)?;
        check_scale("noise", self.noise)?;
        let entries: i64 = self.shape.iter().product();
        let mut normal = Normal::seeded(self.seed);
        let teacher = normal.draw(&[self.outputs, entries]) / (entries as f64).sqrt();
        let inputs = normal.draw(&[&[self.samples], &self.shape[..]].concat());
        let targets = inputs.flatten(1, -1).matmul(&teacher.tr())
            + normal.draw(&[self.samples, self.outputs]) * self.noise;
        let rows = self.samples as usize;
        Ok(dataset(inputs, targets, self.selection(rows)?))
    }
}

fn dataset(inputs: Tensor, targets: Tensor, selection: Selection) -> Dataset {
    Dataset {
        inputs: RawTensor::from_tensor(&inputs),
        targets: RawTensor::from_tensor(&targets),
        mask: None,
        normalisation: None,
        selection,
        files: Vec::new(),
    }
}

/// Most numbers that inputs may have: 8 GiB of them.
const MOST: i64 = 1 << 31;

fn check_sizes(samples: i64, shape: &[i64]) -> Result<(), UserError> {
    at_least_one("samples", samples)?;
    let all = shape.iter().try_fold(samples, |all, &n| all.checked_mul(n));
    match all {
        Some(all) if !shape.is_empty() && shape.iter().all(|&n| n > 0) && all <= MOST => Ok(()),
        _ => Err(UserError::new(
            "shape",
            format!(
                "found {shape:?} for {samples} samples, expected sizes of at least 1 and at most {MOST} numbers in all"
            ),
            "write for example shape = [3, 32, 32]",
        )),
    }
}

fn at_least_one(key: &str, number: i64) -> Result<(), UserError> {
    match number {
        1..=1_000_000_000 => Ok(()),
        _ => Err(UserError::new(
            key,
            format!("found {number}, expected 1 to 1000000000"),
            format!("write for example {key} = 10"),
        )),
    }
}

fn check_scale(key: &str, scale: f64) -> Result<(), UserError> {
    match scale.is_finite() && scale >= 0.0 {
        true => Ok(()),
        false => Err(UserError::new(
            key,
            format!("found {scale}, expected a finite number of at least 0"),
            format!("write for example {key} = 1.0"),
        )),
    }
}

/// Standard normal numbers from PyTorch's generator by Box and Muller's transform.
struct Normal(TorchGenerator);

impl Normal {
    fn seeded(seed: u64) -> Self {
        Self(TorchGenerator::seeded(seed))
    }

    /// In float32, of the given shape.
    fn draw(&mut self, shape: &[i64]) -> Tensor {
        let numel = shape.iter().product::<i64>() as usize;
        let uniform = self.0.uniform(2 * numel.div_ceil(2), 0.0, 1.0);
        let mut values: Vec<f32> = Vec::with_capacity(numel + 1);
        for pair in uniform.chunks_exact(2) {
            // 1 − u is never zero.
            let radius = (-2.0 * (1.0 - f64::from(pair[0])).ln()).sqrt();
            let (sin, cos) = (std::f64::consts::TAU * f64::from(pair[1])).sin_cos();
            values.extend([(radius * cos) as f32, (radius * sin) as f32]);
        }
        values.truncate(numel);
        Tensor::from_slice(&values).reshape(shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::data::{BatchCount, Order};

    fn regression() -> Regression {
        Regression {
            samples: 4000,
            shape: vec![2, 3],
            outputs: 2,
            noise: 0.5,
            seed: 1,
            batch: None,
            batches: BatchCount::default(),
            order: Order::Given,
        }
    }

    #[test]
    fn a_seed_gives_the_same_data_and_another_gives_others() {
        let load = |seed| {
            Regression {
                seed,
                ..regression()
            }
            .load(Path::new(""))
            .unwrap()
        };
        assert_eq!(load(1).inputs, load(1).inputs);
        assert_ne!(load(1).inputs, load(2).inputs);
    }

    /// Within 5 standard errors of 4000 samples (1 in 1,700,000).
    #[test]
    fn moments_are_as_described() {
        let data = regression().load(Path::new("")).unwrap();
        let (x, y) = (data.inputs.tensor(), data.targets.tensor());
        assert_eq!((x.size(), y.size()), (vec![4000, 2, 3], vec![4000, 2]));
        let moment =
            |t: &Tensor, p: f64| t.pow_tensor_scalar(p).mean(Kind::Double).double_value(&[]);
        assert!(moment(&x, 1.0).abs() < 5.0 / 24000f64.sqrt());
        assert!((moment(&x, 2.0) - 1.0).abs() < 5.0 * (2.0 / 24000f64).sqrt());
        // What a linear fit leaves is the noise.
        let x = x.flatten(1, -1);
        let fit = x.pinverse(1e-6).matmul(&y);
        let left = moment(&(&y - x.matmul(&fit)), 2.0);
        assert!(
            (left - 0.25).abs() < 5.0 * 0.25 * (2.0 / 8000f64).sqrt(),
            "{left}"
        );
    }

    #[test]
    fn classes_come_in_turn_and_lie_apart() {
        let data = Classification {
            samples: 300,
            shape: vec![50],
            classes: 3,
            separation: 3.0,
            seed: 0,
            batch: None,
            batches: BatchCount::default(),
            order: Order::Given,
        };
        let data = data.load(Path::new("")).unwrap();
        assert_eq!(data.targets.to_integers()[..4], [0, 1, 2, 0]);
        let x = data.inputs.tensor().reshape([100, 3, 50]);
        let centres = x.mean_dim(&[0i64][..], false, Kind::Float);
        let apart = (centres.get(0) - centres.get(1)).norm().double_value(&[]);
        // √(2 · 50) · 3 = 30 on average.
        assert!((20.0..40.0).contains(&apart), "{apart}");
    }
}
