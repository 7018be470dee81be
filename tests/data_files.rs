//! The data that the repository ships are the published ones.

use md5::{Digest, Md5};
use std::io::Read;

#[test]
fn mnist_has_the_published_checksums() {
    for (name, published) in [
        (
            "train-images-idx3-ubyte",
            "6bbc9ace898e44ae57da46a324031adb",
        ),
        (
            "train-labels-idx1-ubyte",
            "a25bea736e30d166cdddb491f175f624",
        ),
    ] {
        let path = format!("{}/data/mnist/{name}.gz", env!("CARGO_MANIFEST_DIR"));
        let mut unpacked = Vec::new();
        let file = std::fs::File::open(path).unwrap();
        flate2::read::GzDecoder::new(file)
            .read_to_end(&mut unpacked)
            .unwrap();
        let found: String = Md5::digest(&unpacked)
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        assert_eq!(found, published, "{name}");
    }
}
