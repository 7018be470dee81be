//! A network from a TorchScript file: what libtorch can evaluate and differentiate, without rules.

use super::raw::{FileRecord, RawTensor, read_file};
use crate::error::UserError;
use std::path::Path;
use tch::{CModule, Device, Kind, Tensor};

/// The content of a TorchScript file, as `torch.jit.trace(module, x).save(path)` writes it.
#[derive(Debug)]
pub struct ScriptFile {
    /// Where it is, and what it holds.
    pub record: FileRecord,
    /// Whether it is given whole numbers, such as tokens, in place of floats.
    integers: bool,
    bytes: Vec<u8>,
}

/// A module in evaluation mode. Its parameters are the module's own: it is differentiable at the
/// values that the file holds.
#[derive(Debug)]
pub struct Script {
    module: CModule,
    integers: bool,
}

impl ScriptFile {
    /// Reads the file of a module that takes whole numbers (`integers`) or floats.
    ///
    /// # Errors
    /// A file that is missing.
    pub fn read(path: &Path, integers: bool) -> Result<Self, UserError> {
        let (bytes, record) = read_file(path, KEY)?;
        Ok(Self {
            record,
            integers,
            bytes,
        })
    }

    /// The module on `device`, its parameters of `kind`.
    ///
    /// # Errors
    /// A file that is none of TorchScript's, or one without parameters.
    pub fn open(&self, device: Device, kind: Kind) -> Result<Script, UserError> {
        let module = CModule::load_data_on_device(&mut self.bytes.as_slice(), device);
        let mut module = module.map_err(|error| {
            let error = error.to_string();
            let reason = error.lines().next().and_then(|line| line.split(". ").next());
            self.refusal(
                format!(
                    "not a readable TorchScript file: {}",
                    reason.unwrap_or_default()
                ),
                "write it with torch.jit.trace(module, x).save(path); the state_dict of a .pt file is none",
            )
        })?;
        module.set_eval();
        let integers = self.integers;
        let mut script = Script { module, integers };
        let parameters = script.parameters();
        let as_they_are = parameters.iter().all(|(_, p)| p.kind() == kind);
        if parameters.is_empty() {
            return Err(self.refusal(
                "found no parameters".into(),
                "save the module without torch.jit.freeze, which makes constants of them",
            ));
        }
        for (name, parameter) in &parameters {
            if let Some(found) = RawTensor::from_tensor(parameter).non_finite(name) {
                let help = "save a module from before the training diverged";
                return Err(self.refusal(found, help));
            }
        }
        if !as_they_are {
            script.module.to(device, kind, false);
        }
        Ok(script)
    }

    /// The module and the shape that it puts out for samples of shape `input`, tried with one.
    ///
    /// # Errors
    /// As [`open`](Self::open); an input that the module does not take.
    pub fn shape(&self, input: &[i64]) -> Result<(Script, Vec<i64>), UserError> {
        let script = self.open(Device::Cpu, Kind::Float)?;
        let x = Tensor::zeros([&[1], input].concat(), (Kind::Float, Device::Cpu));
        let output = tch::no_grad(|| script.output(&x));
        match output {
            Ok(z) => {
                script.check_second_derivative(&x).map_err(|reason| {
                    self.refusal(
                        format!("the module has no second derivative: {reason}"),
                        "write it with python -m curvature_runner.export --torchscript, which takes fused attention apart",
                    )
                })?;
                Ok((script, z.size()[1..].to_vec()))
            }
            Err(error) => {
                let error = error.to_string();
                let reason = error.lines().rev().find(|line| !line.trim().is_empty());
                Err(self.refusal(
                    format!(
                        "the module does not take one sample of shape {input:?}: {}",
                        reason.unwrap_or_default()
                    ),
                    "give it data of the shape that it expects, and let it return one tensor",
                ))
            }
        }
    }

    fn refusal(&self, found: String, help: &str) -> UserError {
        UserError::new(
            KEY,
            format!("{}: {found}", self.record.path.display()),
            help,
        )
    }
}

/// The key of the file in `[model]`.
const KEY: &str = "torchscript";

impl Script {
    /// Names and values, in the order of `torch.nn.Module.parameters()`.
    pub fn parameters(&self) -> Vec<(String, Tensor)> {
        let parameters = self.module.named_parameters();
        parameters.expect("a module lists its parameters")
    }

    /// `[N, *in] -> [N, *out]`, differentiable by libtorch's autograd.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        self.output(x).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Whether libtorch can differentiate twice at x, which some of its fused functions cannot; else why.
    fn check_second_derivative(&self, x: &Tensor) -> Result<(), String> {
        let parameters: Vec<Tensor> = self.parameters().into_iter().map(|(_, p)| p).collect();
        let leaf = |p: &Tensor| p.set_requires_grad(true);
        let leaves: Vec<Tensor> = parameters.iter().map(leaf).collect();
        let value = self.forward(x).square().sum(Kind::Float);
        let twice = || {
            let gradient = Tensor::f_run_backward(&[value], &leaves, true, true)?;
            let of = |g: &Tensor| (g.defined() && g.requires_grad()).then(|| g.sum(Kind::Float));
            match gradient.iter().filter_map(of).reduce(|a, b| a + b) {
                Some(sum) => Tensor::f_run_backward(&[sum], &leaves, false, false).map(|_| ()),
                None => Ok(()),
            }
        };
        twice().map_err(|error: tch::TchError| {
            let error = error.to_string();
            error.lines().next().unwrap_or_default().to_owned()
        })
    }

    fn output(&self, x: &Tensor) -> Result<Tensor, tch::TchError> {
        match self.integers {
            true => self.module.forward_ts(&[x.to_kind(Kind::Int64)]),
            false => self.module.forward_ts(&[x]),
        }
    }
}
