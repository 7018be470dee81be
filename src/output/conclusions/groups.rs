//! Rows that belong together.

use crate::output::store::{Keyed, ParameterRecord, Record};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;

/// Rows by key, both in the order in which they first appear.
pub(in crate::output) fn grouped<R, K: Eq + Hash + Clone>(
    rows: impl IntoIterator<Item = R>,
    key: impl Fn(&R) -> K,
) -> Vec<(K, Vec<R>)> {
    let mut groups: Vec<(K, Vec<R>)> = Vec::new();
    let mut places = HashMap::new();
    for row in rows {
        let key = key(&row);
        match places.entry(key.clone()) {
            Entry::Occupied(place) => {
                let place: usize = *place.get();
                groups[place].1.push(row);
            }
            Entry::Vacant(place) => {
                place.insert(groups.len());
                groups.push((key, vec![row]));
            }
        }
    }
    groups
}

/// A row that holds an estimate.
pub(in crate::output) trait Estimated: Keyed {
    fn estimate(&self) -> f64;
}

impl Estimated for Record {
    fn estimate(&self) -> f64 {
        self.estimate
    }
}

impl Estimated for ParameterRecord {
    fn estimate(&self) -> f64 {
        self.estimate
    }
}

/// What the random numbers of an estimate were: those of equal draws are one estimate, whether or
/// not the device repeats them to the bit.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Draws {
    /// Those of a seed.
    Seed(u64),
    /// Those that came next in one stream; only a repetition has the same bits.
    Next(u64),
    /// None at all.
    None,
}

/// One row for each independent run among `rows` of one setting, one V and one parameter: the first.
pub(in crate::output) fn distinct_runs<'a, R: Estimated>(
    rows: impl IntoIterator<Item = &'a R>,
) -> Vec<&'a R> {
    let draws = |row: &&R| {
        let identity = row.identity();
        match (identity.seed, identity.probe) {
            (Some(seed), _) => Draws::Seed(seed),
            (None, Some(_)) => Draws::Next(row.estimate().to_bits()),
            (None, None) => Draws::None,
        }
    };
    let groups = grouped(rows, draws);
    groups.into_iter().map(|(_, rows)| rows[0]).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::store::sample::row;
    use super::*;

    /// A GPU adds in no fixed order: repetitions of a seed differ in their last bits.
    #[test]
    fn repetitions_that_differ_in_their_last_bits_count_once() {
        let again = |repeat: u64, estimate| Record {
            repeat,
            ..row(10, 0, estimate)
        };
        let rows = [again(0, 1.0), again(1, 1.0 + 1e-12), row(10, 1, 1.0)];
        assert_eq!(distinct_runs(&rows).len(), 2);
    }

    #[test]
    fn runs_that_go_on_in_one_stream_are_independent() {
        let next = |repeat, estimate| Record {
            seed: None,
            repeat,
            ..row(10, 0, estimate)
        };
        assert_eq!(distinct_runs(&[next(0, 1.0), next(1, 2.0)]).len(), 2);
        let exact = |repeat, estimate| Record {
            probe: None,
            ..next(repeat, estimate)
        };
        assert_eq!(
            distinct_runs(&[exact(0, 1.0), exact(1, 1.0 + 1e-12)]).len(),
            1
        );
    }
}
