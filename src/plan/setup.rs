//! What an experiment is about, read and checked, in memory but not yet on a device.

use crate::error::UserError;
use crate::problem::checkpoints::{self, Weights};
use crate::problem::data::{DataSpec, Dataset};
use crate::problem::generator::TorchGenerator;
use crate::problem::loss::LossSpec;
use crate::problem::matrix::MatrixSpec;
use crate::problem::raw::{FileRecord, RawTensor};
use crate::problem::script::ScriptFile;
use crate::problem::{Network, NetworkProblem, Problem, ProblemSpec, initialise, weights};
use crate::spec::{ModelSpec, Spec, SpecText, missing};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tch::{Device, Kind, Tensor};

/// Everything that jobs can be about.
#[derive(Debug)]
pub enum Setup {
    /// A network with its loss and data.
    Network(Box<NetworkSetup>),
    /// Matrices with known spectra.
    Matrix(MatrixSpec),
}

/// Network, loss and data in memory, not yet on a device.
#[derive(Debug)]
pub struct NetworkSetup {
    /// The layers with their shapes.
    pub network: Arc<Network>,
    /// The loss.
    pub loss: LossSpec,
    /// The data set and how a batch is taken from it.
    pub dataset: Dataset,
    /// At least one.
    pub checkpoints: Vec<Checkpoint>,
    script: Option<ScriptFile>,
    seed: u64,
}

/// The parameters that a network is looked at with.
#[derive(Debug, Default)]
pub struct Checkpoint {
    /// What tells it from the others; absent where the parameters are as initialised.
    pub name: Option<String>,
    /// Where they come from.
    pub file: Option<FileRecord>,
    tensors: Option<Vec<RawTensor>>,
}

impl Setup {
    /// Reads and checks what `spec` names.
    ///
    /// # Errors
    /// The first mistake.
    pub(super) fn new(spec: &Spec, source: &SpecText) -> Result<Self, UserError> {
        match &spec.problem {
            ProblemSpec::Network(_) => {
                let setup = NetworkSetup::new(&Sections::of(spec)?, source.folder())?;
                Ok(Self::Network(setup.into()))
            }
            ProblemSpec::Matrix(matrix) => Ok(Self::Matrix(matrix.clone())),
        }
    }

    /// The problems of the jobs on `device`, and PyTorch's global generator as drawing them has
    /// left it.
    pub fn build(&self, device: Device, kind: Kind) -> (Vec<Problem>, TorchGenerator) {
        match self {
            Self::Network(setup) => {
                let (problems, generator) = setup.build_all(device, kind);
                (problems.into_iter().map(Problem::from).collect(), generator)
            }
            Self::Matrix(matrix) => {
                let (matrices, generator) = matrix.build(device, kind);
                (matrices.into_iter().map(Problem::from).collect(), generator)
            }
        }
    }

    /// How many problems [`build`](Self::build) will give.
    pub(super) fn problems(&self) -> usize {
        match self {
            Self::Network(setup) => setup.checkpoints.len(),
            Self::Matrix(matrix) => matrix.spectra.len(),
        }
    }

    /// The checkpoint that a problem is at.
    pub fn checkpoint(&self, problem: usize) -> Option<&Checkpoint> {
        match self {
            Self::Network(setup) => Some(&setup.checkpoints[problem]),
            Self::Matrix(_) => None,
        }
    }

    /// What the matrix of a problem is called, where it is a given one.
    pub(super) fn matrix_name(&self, problem: usize) -> Option<String> {
        match self {
            Self::Network(_) => None,
            Self::Matrix(matrix) => Some(matrix.spectra[problem].name()),
        }
    }

    /// Name and number of entries of every parameter; a matrix is one, called "matrix".
    pub fn parameters(&self) -> Vec<(String, i64)> {
        match self {
            Self::Network(setup) => {
                let parameters = setup.network.parameters().iter();
                parameters.map(|p| (p.name.clone(), p.numel())).collect()
            }
            Self::Matrix(matrix) => vec![("matrix".into(), matrix.n)],
        }
    }

    /// The files that all jobs are about: data, and a TorchScript module.
    pub fn shared_files(&self) -> impl Iterator<Item = &FileRecord> {
        let network = match self {
            Self::Network(setup) => Some(setup),
            Self::Matrix(_) => None,
        };
        network.into_iter().flat_map(|setup| {
            let script = setup.script.iter().map(|file| &file.record);
            setup.dataset.files.iter().chain(script)
        })
    }

    /// All files that were read.
    pub fn files(&self) -> impl Iterator<Item = &FileRecord> {
        let checkpoints = (0..self.problems()).filter_map(|problem| self.checkpoint(problem));
        let weights = checkpoints.filter_map(|checkpoint| checkpoint.file.as_ref());
        self.shared_files().chain(weights)
    }

    /// The network.
    ///
    /// # Panics
    /// If this is about matrices.
    pub fn network(&self) -> &NetworkSetup {
        match self {
            Self::Network(setup) => setup,
            Self::Matrix(_) => panic!("this experiment is about matrices"),
        }
    }
}

/// The sections that a network needs.
struct Sections<'a> {
    data: &'a DataSpec,
    model: &'a ModelSpec,
    loss: &'a LossSpec,
}

impl<'a> Sections<'a> {
    fn of(spec: &'a Spec) -> Result<Self, UserError> {
        if let (Some(data), Some(model), Some(loss)) = (&spec.data, &spec.model, &spec.loss) {
            return Ok(Self { data, model, loss });
        }
        let sections = [
            ("data", spec.data.is_some()),
            ("model", spec.model.is_some()),
            ("loss", spec.loss.is_some()),
        ];
        let absent = sections.iter().filter(|(_, is_there)| !is_there);
        let absent: Vec<&str> = absent.map(|(section, _)| *section).collect();
        let (message, help) = missing::in_words(&absent);
        Err(UserError::new("", message, help))
    }
}

/// Refuses sections that are missing, or that have no place beside a given matrix, and a matrix
/// that makes no sense.
///
/// # Errors
/// The first of them.
pub(super) fn check_sections(spec: &Spec) -> Result<(), UserError> {
    match &spec.problem {
        ProblemSpec::Network(_) => return Sections::of(spec).map(drop),
        ProblemSpec::Matrix(matrix) => matrix.check().map_err(|e| e.within("problem"))?,
    }
    let present = [
        ("data", spec.data.is_some()),
        ("model", spec.model.is_some()),
        ("loss", spec.loss.is_some()),
    ];
    match present.into_iter().find(|(_, present)| *present) {
        None => Ok(()),
        Some((section, _)) => Err(UserError::new(
            section,
            format!("found [{section}], which a given matrix has no use for"),
            "remove it, or write [problem] kind = \"network\"",
        )),
    }
}

impl NetworkSetup {
    fn new(sections: &Sections<'_>, base: &Path) -> Result<Self, UserError> {
        let Sections { data, model, loss } = sections;
        let dataset = data.load(base).map_err(|e| e.within("data"))?;
        dataset.check_finite().map_err(|e| e.within("data"))?;
        let (network, script) = network(model, base, &dataset).map_err(|e| e.within("model"))?;
        // What a module of TorchScript takes is its own affair: it was tried with a sample.
        if script.is_none() {
            let inputs = dataset.check_inputs(network.tokens());
            inputs.map_err(|e| e.within("data"))?;
        }
        let mask = dataset.check_mask(&network);
        mask.map_err(|e| e.within("data"))?;
        if network.parameters().is_empty() {
            return Err(UserError::new(
                "model.layers",
                "the network has no parameters, so there is no Hessian",
                "add a layer with parameters, for example { kind = \"linear\", out = 10 }",
            ));
        }
        let wanted = loss.targets(network.output());
        let wanted = wanted.map_err(|e| e.within("loss"))?;
        dataset
            .check_targets(&wanted)
            .map_err(|e| e.within("loss"))?;
        let checkpoints = match &model.weights {
            None => vec![Checkpoint::default()],
            Some(weights) => {
                read_checkpoints(weights, base, &network).map_err(|e| e.within("model"))?
            }
        };
        Ok(Self {
            network: network.into(),
            loss: (*loss).clone(),
            dataset,
            checkpoints,
            script,
            seed: model.seed,
        })
    }

    /// The problem of the first checkpoint on `device`, and PyTorch's global generator as drawing it
    /// has left it.
    pub fn build(&self, device: Device, kind: Kind) -> (NetworkProblem, TorchGenerator) {
        let (mut problems, generator) = self.build_all(device, kind);
        (problems.swap_remove(0), generator)
    }

    /// The problems of all checkpoints, on the same data.
    fn build_all(&self, device: Device, kind: Kind) -> (Vec<NetworkProblem>, TorchGenerator) {
        let mut generator = TorchGenerator::seeded(self.seed);
        let (network, initial) = match &self.script {
            None => (
                self.network.clone(),
                initialise(&self.network, &mut generator),
            ),
            Some(file) => {
                let script = file.open(device, kind).expect("the plan has opened it");
                let parameters = script.parameters().into_iter().map(|(_, p)| p).collect();
                (self.network.with_script(script).into(), parameters)
            }
        };
        let mut batches = self.dataset.draw(&mut generator);
        if let [batch] = &mut batches[..] {
            *batch = batch.placed(device, kind);
        }
        let place = |t: &Tensor| t.to_device(device).to_kind(kind);
        let problem = |checkpoint: &Checkpoint| {
            let tensors = match &checkpoint.tensors {
                Some(tensors) => tensors.iter().map(|raw| place(&raw.tensor())).collect(),
                None => initial.iter().map(place).collect(),
            };
            NetworkProblem::new(network.clone(), self.loss.clone(), tensors, batches.clone())
        };
        (self.checkpoints.iter().map(problem).collect(), generator)
    }
}

/// The network of the layers, or of the TorchScript file.
fn network(
    model: &ModelSpec,
    base: &Path,
    dataset: &Dataset,
) -> Result<(Network, Option<ScriptFile>), UserError> {
    let input = &dataset.input();
    let twice = |key: &str| {
        UserError::new(
            "torchscript",
            format!(
                "found `{key}` beside a TorchScript file, which has both layers and parameters"
            ),
            format!("remove either `torchscript` or `{key}`"),
        )
    };
    match &model.torchscript {
        None if model.layers.is_empty() => {
            let (message, help) = missing::in_words(&["layers"]);
            Err(UserError::new("", message, help))
        }
        None => {
            let network = Network::new(&model.layers, input)?;
            Ok((network.with_names(&model.names)?, None))
        }
        Some(_) if !model.layers.is_empty() => Err(twice("layers")),
        Some(_) if model.weights.is_some() => Err(twice("weights")),
        Some(_) if !model.names.is_empty() => Err(twice("names")),
        Some(path) => {
            let integers = dataset.inputs.is_integer() && dataset.normalisation.is_none();
            let file = ScriptFile::read(&base.join(path), integers)?;
            Ok((Network::of_script(&file, input)?, Some(file)))
        }
    }
}

fn read_checkpoints(
    weights: &Weights,
    base: &Path,
    network: &Network,
) -> Result<Vec<Checkpoint>, UserError> {
    let files = weights.files(base)?;
    let read = |(file, name): (&PathBuf, String)| {
        let (tensors, record) = weights::load(file, network)?;
        Ok(Checkpoint {
            name: Some(name),
            file: Some(record),
            tensors: Some(tensors),
        })
    };
    files
        .iter()
        .zip(checkpoints::names(&files))
        .map(read)
        .collect()
}
