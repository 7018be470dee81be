//! CIFAR-10 in its binary version.
//!
//! Format: <https://www.cs.toronto.edu/~kriz/cifar.html> (Krizhevsky 2009): records of a label byte
//! and 3 x 32 x 32 pixels, channel by channel, 10,000 to a file.

use super::selection::selected_data;
use super::{DataSource, Dataset, Normalisation};
use crate::error::UserError;
use crate::problem::raw::{FileRecord, RawTensor, read_file};
use std::path::{Path, PathBuf};

/// A label and the pixels of an image.
const RECORD: usize = 1 + 3 * 32 * 32;

selected_data! {
    /// `source = "cifar10"`: the training set under `root` (`data_batch_1.bin` to `_5.bin`), every
    /// channel normalised by its mean and standard deviation over the set.
    pub struct Cifar10 {
        /// Folder of the five files.
        pub root: PathBuf,
    }
}

impl DataSource for Cifar10 {
    fn load(&self, base: &Path) -> Result<Dataset, UserError> {
        let root = base.join(&self.root);
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        let mut files: Vec<FileRecord> = Vec::new();
        for number in 1..=5 {
            let path = root.join(format!("data_batch_{number}.bin"));
            let (bytes, file) = read_file(&path, "root")?;
            check(&bytes).map_err(|found| {
                let help = "fetch the binary version of CIFAR-10 again (cifar-10-binary.tar.gz)";
                UserError::new("root", format!("{}: {found}", path.display()), help)
            })?;
            for record in bytes.chunks_exact(RECORD) {
                labels.push(record[0]);
                pixels.extend_from_slice(&record[1..]);
            }
            files.push(file);
        }
        let count = labels.len();
        Ok(Dataset {
            selection: self.selection(count)?,
            inputs: RawTensor::from_u8(vec![count as i64, 3, 32, 32], pixels),
            targets: RawTensor::from_u8(vec![count as i64], labels),
            mask: None,
            normalisation: Some(Normalisation {
                mean: &[0.4914, 0.4822, 0.4465],
                deviation: &[0.2470, 0.2435, 0.2616],
            }),
            files,
        })
    }
}

/// What is wrong with a file.
fn check(bytes: &[u8]) -> Result<(), String> {
    if bytes.is_empty() || !bytes.len().is_multiple_of(RECORD) {
        let length = bytes.len();
        return Err(format!(
            "found {length} bytes, expected a multiple of {RECORD}"
        ));
    }
    let labels = bytes.iter().step_by(RECORD);
    match labels.zip(0..).find(|(label, _)| **label > 9) {
        None => Ok(()),
        Some((label, sample)) => Err(format!(
            "found label {label} at sample {sample}, expected 0 to 9"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::data::{BatchCount, Order};
    use crate::problem::generator::TorchGenerator;

    #[test]
    fn files_are_read_in_order_and_channels_normalised() {
        let folder = tempfile::tempdir().unwrap();
        for number in 1..=5u8 {
            let mut record = vec![number];
            record.extend((0..3 * 1024).map(|i| (i / 1024) as u8 * 50));
            let name = format!("data_batch_{number}.bin");
            std::fs::write(folder.path().join(name), record.repeat(2)).unwrap();
        }
        let source = Cifar10 {
            root: "".into(),
            batch: Some(4),
            batches: BatchCount::All,
            order: Order::Given,
        };
        let data = source.load(folder.path()).unwrap();
        assert_eq!(data.targets.to_integers(), [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]);
        let batches = data.draw(&mut TorchGenerator::seeded(0));
        assert_eq!(
            batches.iter().map(|b| b.len()).collect::<Vec<_>>(),
            [4, 4, 2]
        );
        let batch = batches[2].placed(tch::Device::Cpu, tch::Kind::Double);
        assert_eq!(batch.inputs.size(), [2, 3, 32, 32]);
        let pixel = batch.inputs.double_value(&[1, 2, 31, 31]);
        assert!(
            (pixel - (100.0 / 255.0 - 0.4465) / 0.2616).abs() < 1e-6,
            "{pixel}"
        );

        std::fs::write(folder.path().join("data_batch_3.bin"), [10; RECORD]).unwrap();
        let message = source.load(folder.path()).unwrap_err().message;
        assert!(message.ends_with("data_batch_3.bin: found label 10 at sample 0, expected 0 to 9"));
    }
}
