//! What parameters are called, in place of their position in the list of layers.

use super::node::ParameterInfo;
use super::raw::listed;
use crate::error::UserError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};

/// `[model] names`: positions, each with the name in its place: `{ 0 = "conv1", "3.body.1" = "block.c1" }`.
///
/// What begins with a position, or is one, begins with its name instead; of several the longest
/// counts, so that a single parameter may have a name of its own: `{ "4.weight" = "position" }`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema, Serialize)]
#[serde(transparent)]
pub struct Names(BTreeMap<String, String>);

impl Names {
    /// Whether everything keeps its position as its name.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Gives `parameters` and the `others` their names.
    ///
    /// # Errors
    /// A position that there is not, or a name that two would have.
    pub(super) fn give<'a>(
        &self,
        parameters: &'a mut [ParameterInfo],
        others: impl Iterator<Item = &'a mut ParameterInfo>,
    ) -> Result<(), UserError> {
        let mut used = HashSet::new();
        let mut given = HashSet::new();
        let known: Vec<String> = parameters.iter().map(|p| p.name.clone()).collect();
        for tensor in parameters.iter_mut().chain(others) {
            if let Some((position, name)) = self.of(&tensor.name) {
                let rest = &tensor.name[position.len()..];
                tensor.name = format!("{name}{rest}");
                used.insert(position);
            }
            if !given.insert(tensor.name.clone()) {
                return Err(UserError::new(
                    "names",
                    format!("found the name \"{}\" for two tensors", tensor.name),
                    "give every layer a name of its own",
                ));
            }
        }
        match self.0.keys().find(|position| !used.contains(position)) {
            None => Ok(()),
            Some(unknown) => Err(UserError::new(
                "names",
                format!(
                    "found the position \"{unknown}\", at which there is no parameter; there are: {}",
                    listed(known.iter().map(String::as_str))
                ),
                "name positions as \"0\" or \"3.body.1\", and parameters as \"0.weight\"",
            )),
        }
    }

    /// The longest position that `tensor` begins with, and its name.
    fn of(&self, tensor: &str) -> Option<(&String, &String)> {
        let begins = |position: &str| {
            let rest = tensor.strip_prefix(position);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let named = self.0.iter().filter(|(position, _)| begins(position));
        named.max_by_key(|(position, _)| position.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::layer::Init;

    fn tensors(names: &[&str]) -> Vec<ParameterInfo> {
        let tensor = |name: &&str| ParameterInfo {
            name: name.to_string(),
            shape: vec![1],
            init: Init::Constant { value: 0.0 },
        };
        names.iter().map(tensor).collect()
    }

    fn given(names: &[(&str, &str)]) -> Result<Vec<String>, UserError> {
        let names = names.iter().map(|(a, b)| (a.to_string(), b.to_string()));
        let names = Names(names.collect());
        let mut parameters = tensors(&["1.weight", "1.bias", "10.weight", "3.body.1.weight"]);
        let mut buffers = tensors(&["10.running_mean"]);
        names.give(&mut parameters, buffers.iter_mut())?;
        Ok(parameters
            .into_iter()
            .chain(buffers)
            .map(|p| p.name)
            .collect())
    }

    #[test]
    fn the_longest_position_counts_and_no_part_of_a_number() {
        let named = given(&[
            ("1", "fc"),
            ("1.bias", "b"),
            ("10", "bn"),
            ("3.body.1", "r.c"),
        ]);
        let expected = [
            "fc.weight",
            "b",
            "bn.weight",
            "r.c.weight",
            "bn.running_mean",
        ];
        assert_eq!(named.unwrap(), expected);
    }

    #[test]
    fn unknown_positions_and_names_of_two_are_refused() {
        let message = |names| given(names).unwrap_err().message;
        assert!(message(&[("2", "x")]).contains("position \"2\""));
        assert!(message(&[("1.bias", "1.weight")]).contains("\"1.weight\" for two"));
    }
}
