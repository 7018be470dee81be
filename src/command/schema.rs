//! `runner schema`: the JSON schema of specs.

use super::{End, Failure};

pub fn execute() -> Result<End, Failure> {
    println!("{:#}", curvature_runner::spec::schema().as_value());
    Ok(End::Success)
}
