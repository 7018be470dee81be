//! Data sets read from files, and the batch that an experiment looks at.
//!
//! To add a source, write its file and name it in [`DataSpec`].

mod cifar10;
mod mask;
mod mnist;
mod numpy;
mod order;
mod safetensors;
mod selection;
mod synthetic;

pub use self::safetensors::{Safetensors, read_safetensors};
pub use cifar10::Cifar10;
pub use mnist::Mnist;
pub use numpy::{Npy, Npz};
pub use order::Order;
pub use selection::{BatchCount, Selection};
pub use synthetic::{Classification, Regression};

pub use super::batch::Normalisation;

use super::batch::Batch;
use super::generator::TorchGenerator;
use super::loss::TargetKind;
use super::network::Network;
use super::raw::{FileRecord, RawTensor};
use crate::error::UserError;
use crate::tagged::tagged;
use std::path::Path;
use tch::Kind;

tagged! {
    /// `[data]` of a spec; paths are relative to the spec file.
    pub enum DataSpec: DataSource, by "source" {
        /// MNIST's training set in IDX form.
        Mnist(Mnist) = "mnist",
        /// CIFAR-10's training set in its binary version.
        Cifar10(Cifar10) = "cifar10",
        /// A safetensors file with "x" and "y".
        Safetensors(Safetensors) = "safetensors",
        /// An .npz file with "x" and "y".
        Npz(Npz) = "npz",
        /// Two .npy files.
        Npy(Npy) = "npy",
        /// Normal inputs around a centre per class.
        Classification(Classification) = "synthetic_classification",
        /// Normal inputs and a noisy linear teacher.
        Regression(Regression) = "synthetic_regression",
    }
}

/// A source of data.
pub trait DataSource {
    /// Reads the files, relative to `base`, and checks all that needs no network.
    ///
    /// # Errors
    /// A missing, truncated or inconsistent file, or a batch that it cannot fill.
    fn load(&self, base: &Path) -> Result<Dataset, UserError>;
}

/// A data set in memory, with a row per sample, and which of them make up the batches.
#[derive(Debug)]
pub struct Dataset {
    /// The inputs, `[len, *in]`.
    pub inputs: RawTensor,
    /// The targets: `[len]` class indices or `[len, *out]` values.
    pub targets: RawTensor,
    /// Which positions of every sample may be looked at, `[len, T]` in integers 0 and 1; absent: all.
    pub mask: Option<RawTensor>,
    /// What pixels become: `(x / 255 − mean) / deviation`; absent: taken as they are.
    pub normalisation: Option<Normalisation>,
    /// Which of them an experiment looks at.
    pub selection: Selection,
    /// The files that were read.
    pub files: Vec<FileRecord>,
}

impl Dataset {
    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.inputs.rows()
    }

    /// Whether there are none (never, once loaded).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The shape of a sample, without the batch axis.
    pub fn input(&self) -> Vec<i64> {
        self.inputs.row_shape()
    }

    /// Refuses NaN and infinity, which would be the result of everything.
    ///
    /// # Errors
    /// The first of them, with its file, tensor and index.
    pub fn check_finite(&self) -> Result<(), UserError> {
        let (first, last) = (self.files.first(), self.files.last());
        for (name, tensor, file) in [("x", &self.inputs, first), ("y", &self.targets, last)] {
            if let Some(found) = tensor.non_finite(name) {
                let place = file.map(|file| format!("{}: ", file.path.display()));
                let help = "mend the data, or leave such samples out";
                return Err(UserError::new("", place.unwrap_or_default() + &found, help));
            }
        }
        Ok(())
    }

    /// Checks the inputs against what the network takes: whole numbers below `tokens`, or without
    /// that floats.
    ///
    /// # Errors
    /// The others of these, or a token that is too large.
    pub fn check_inputs(&self, tokens: Option<i64>) -> Result<(), UserError> {
        let (x, pixels) = (&self.inputs, self.normalisation.is_some());
        let wrong =
            |found: String, help: &str| UserError::new("", self.inputs_place() + &found, help);
        match tokens {
            None if x.is_integer() && !pixels => Err(wrong(
                format!(
                    "found \"x\" of dtype {}, expected floating point",
                    x.dtype_name()
                ),
                "save \"x\" as float32, scaled as the network expects it",
            )),
            Some(_) if !x.is_integer() || pixels => Err(wrong(
                format!(
                    "found inputs of dtype {}, expected tokens for an embedding",
                    x.dtype_name()
                ),
                "save \"x\" as int64",
            )),
            Some(tokens) => {
                let outside = |x: &&i64| !(0..tokens).contains(*x);
                match x.to_integers().iter().find(outside) {
                    None => Ok(()),
                    Some(found) => Err(wrong(
                        format!("found the token {found}, expected 0 to {}", tokens - 1),
                        "make num_embeddings larger, or mend \"x\"",
                    )),
                }
            }
            None => Ok(()),
        }
    }

    /// Checks the mask, if there is one, against the network's layers that look through it.
    ///
    /// # Errors
    /// Another shape than one number for every position of each of these, another number than 0 and
    /// 1, or no such layer.
    pub fn check_mask(&self, network: &Network) -> Result<(), UserError> {
        match &self.mask {
            Some(mask) => mask::check(mask, self.len(), network.masked_positions())
                .map_err(|(found, help)| UserError::new("", self.inputs_place() + &found, help)),
            None => Ok(()),
        }
    }

    /// Checks the targets against what the loss takes.
    ///
    /// # Errors
    /// Values where classes are wanted or the reverse, a wrong shape, or a class out of range.
    pub fn check_targets(&self, wanted: &TargetKind) -> Result<(), UserError> {
        let integer = self.targets.is_integer();
        match wanted {
            TargetKind::Classes {
                classes,
                positions,
                ignored,
            } => match integer && self.targets.row_shape() == *positions {
                true => self.check_classes(*classes, *ignored),
                false if positions.is_empty() => Err(self.misfit(
                    "one integer class per sample".into(),
                    "save \"y\" as int64 of shape [samples], or take kind = \"mse\" for values",
                )),
                false => Err(self.misfit(
                    format!("an integer class for each of the positions {positions:?} of a sample"),
                    "save \"y\" as int64 of shape [samples, *positions]; or put { kind = \"flatten\" } into the network, for one class a sample",
                )),
            },
            TargetKind::Probabilities { shape } => {
                self.check_targets(&TargetKind::Values {
                    shape: shape.clone(),
                })?;
                self.check_probabilities()
            }
            TargetKind::Values { shape } => match self.targets.row_shape() == *shape {
                true if !integer => Ok(()),
                _ => {
                    let expected = [&[self.len() as i64], shape.as_slice()].concat();
                    Err(self.misfit(
                        format!("floats of shape {expected:?}, as the outputs of the network"),
                        "save \"y\" so, or take kind = \"cross_entropy\" for classes",
                    ))
                }
            },
        }
    }

    fn misfit(&self, expected: String, help: &str) -> UserError {
        let (dtype, shape) = (self.targets.dtype_name(), self.targets.shape());
        let found = format!("found targets of dtype {dtype} and shape {shape:?}");
        let place = self.targets_place();
        UserError::new("", format!("{place}{found}, expected {expected}"), help)
    }

    fn check_probabilities(&self) -> Result<(), UserError> {
        let values: Vec<f64> = (&self.targets.tensor().to_kind(Kind::Double).flatten(0, -1))
            .try_into()
            .expect("float64");
        match values.iter().find(|y| !(0.0..=1.0).contains(*y)) {
            None => Ok(()),
            Some(y) => {
                let place = self.targets_place();
                let found = format!("{place}found the target {y}, expected a number from 0 to 1");
                let help = "save probabilities, or take kind = \"mse\" for values";
                Err(UserError::new("", found, help))
            }
        }
    }

    fn check_classes(&self, classes: i64, ignored: i64) -> Result<(), UserError> {
        let labels = self.targets.to_integers();
        let wrong = |&y: &i64| y != ignored && !(0..classes).contains(&y);
        match labels.iter().position(wrong) {
            None => Ok(()),
            Some(index) => Err(UserError::new(
                "",
                format!(
                    "{}found label {} at sample {}, expected 0 to {}, as the network has {classes} outputs",
                    self.targets_place(),
                    labels[index],
                    index * self.len() / labels.len(),
                    classes - 1
                ),
                "let the last layer put out one score per class, or mend the labels",
            )),
        }
    }

    /// The file that the inputs came from, the first one, with a colon.
    fn inputs_place(&self) -> String {
        let place = |file: &FileRecord| format!("{}: ", file.path.display());
        self.files.first().map(place).unwrap_or_default()
    }

    /// The file that the targets came from, the last one, with a colon.
    fn targets_place(&self) -> String {
        let place = |file: &FileRecord| format!("{}: ", file.path.display());
        self.files.last().map(place).unwrap_or_default()
    }
}

impl Dataset {
    /// The batches, on the CPU and as stored.
    pub fn draw(&self, generator: &mut TorchGenerator) -> Vec<Batch> {
        let batch = |rows: Vec<i64>| Batch {
            normalisation: self.normalisation,
            mask: self.mask.as_ref().map(|mask| mask.take(&rows)),
            ..Batch::new(self.inputs.take(&rows), self.targets.take(&rows))
        };
        let rows = self.selection.rows(self.len(), generator);
        rows.into_iter().map(batch).collect()
    }
}

/// Inputs and targets belong together; else what is wrong, and what to do.
fn check_pair(inputs: &RawTensor, targets: &RawTensor) -> Result<(), (String, &'static str)> {
    let (x, y) = (inputs.shape(), targets.shape());
    if x.len() < 2 || x.contains(&0) {
        return Err((
            format!("found \"x\" of shape {x:?}, expected [samples, features, ...] without a 0"),
            "save \"x\" with one row per sample",
        ));
    }
    if y.is_empty() || x[0] != y[0] {
        return Err((
            format!(
                "found \"x\" of shape {x:?} and \"y\" of shape {y:?}, expected as many targets as samples"
            ),
            "save one row of \"y\" per row of \"x\"",
        ));
    }
    Ok(())
}
