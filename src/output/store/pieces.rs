//! Finished pieces of jobs that are sums over batches of data.

use crate::estimator::Term;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A finished piece of a job, whose other pieces may be computed elsewhere.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Piece {
    /// Which of the job's pieces.
    pub piece: usize,
    /// What it contributes.
    #[serde(with = "as_text")]
    pub term: Term,
    /// Probes at once; `None` where that means nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub v_batch: Option<u64>,
    /// libtorch threads.
    pub threads: usize,
    /// What a reader should know of how it came about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// The pieces of a job by their numbers.
pub type Pieces = BTreeMap<usize, Piece>;

/// A term whose rows, all of one length, stand one after another as base64 of little-endian float64:
/// every value reads back as it was, NaN too, in 11 characters.
mod as_text {
    use super::Term;
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Deserialize, Serialize)]
    struct Text {
        rows: usize,
        numbers: String,
        seconds: Vec<f64>,
    }

    pub fn serialize<S: Serializer>(term: &Term, to: S) -> Result<S::Ok, S::Error> {
        let numbers = term.rows.iter().flatten();
        let bytes: Vec<u8> = numbers.flat_map(|number| number.to_le_bytes()).collect();
        let text = Text {
            rows: term.rows.len(),
            numbers: BASE64_STANDARD.encode(bytes),
            seconds: term.seconds.clone(),
        };
        text.serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Term, D::Error> {
        let text = Text::deserialize(from)?;
        let bytes = BASE64_STANDARD
            .decode(text.numbers)
            .map_err(D::Error::custom)?;
        let (numbers, rest) = bytes.as_chunks::<8>();
        let columns = numbers.len() / text.rows.max(1);
        if !rest.is_empty() || columns == 0 || columns * text.rows != numbers.len() {
            return Err(D::Error::custom("rows of unequal length"));
        }
        let row = |row: &[[u8; 8]]| row.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect();
        Ok(Term {
            rows: numbers.chunks(columns).map(row).collect(),
            seconds: text.seconds,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_back_as_they_were() {
        let odd = [0.1 + 0.2, -0.0, 5e-324, f64::NEG_INFINITY, f64::NAN, 1e308];
        let piece = Piece {
            piece: 7,
            term: Term {
                rows: vec![odd[..3].to_vec(), odd[3..].to_vec()],
                seconds: vec![0.5, 1.5],
            },
            v_batch: Some(4),
            threads: 2,
            notes: Vec::new(),
        };
        let text = serde_json::to_string(&piece).unwrap();
        let again: Piece = serde_json::from_str(&text).unwrap();
        let bits = |piece: &Piece| -> Vec<Vec<u64>> {
            let bits = |row: &Vec<f64>| row.iter().map(|number| number.to_bits()).collect();
            piece.term.rows.iter().map(bits).collect()
        };
        assert_eq!(bits(&again), bits(&piece));
        assert_eq!((again.piece, again.term.seconds), (7, vec![0.5, 1.5]));
        let short = text.replace("\"rows\":2", "\"rows\":5");
        assert!(serde_json::from_str::<Piece>(&short).is_err());
    }
}
