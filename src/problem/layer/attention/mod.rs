//! Attention between the positions of a sample.

mod core;
mod curvature;
mod heads;
mod local;
mod products;
mod root;

use self::core::Core;
use self::heads::{Heads, Rotation};
use self::local::LocalAttention;
use super::elementwise::finite;
use super::per_dimension::PerDimension;
use super::positional_embedding::positions;
use super::{Layer, LayerConfig, LayerError, Local, Place};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

/// `o = softmax(q kᵀ scale) v` by rows, for every head, over queries, keys and values that stand side by
/// side on the last axis, as the in-projection of torch.nn.MultiheadAttention puts them out:
/// `[T, D + 2 D kv_heads/heads] -> [T, D]` (Vaswani et al., NeurIPS 2017, arXiv:1706.03762).
///
/// A tensor "mask" `[samples, T]` of the data is 1 where a position may be looked at, and 0 where it
/// only pads. A position that may look at none puts out zeros.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Attention {
    /// How many heads the D features fall into.
    pub heads: i64,
    /// Whether a position looks only at itself and those before it.
    #[serde(default)]
    pub causal: bool,
    /// How many heads keys and values have, each shared by as many heads of queries (Ainslie et al.,
    /// EMNLP 2023, arXiv:2305.13245); absent: as many as queries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kv_heads: Option<i64>,
    /// What products of queries and keys are multiplied with; absent: `1/√(D/heads)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<f64>,
    /// A rotation of queries and keys by their position; absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotary: Option<Rotary>,
}

/// `rotary = { base = 10000.0 }`: entries i and `i + d/2` of a head's d are rotated by `t base^(−2i/d)` at
/// position t, as in Llama (Su et al., 2021, arXiv:2104.09864).
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Rotary {
    /// The base of the angles.
    #[serde(default = "base")]
    pub base: f64,
}

fn base() -> f64 {
    10_000.0
}

impl Attention {
    /// With so many heads and torch.nn's defaults.
    pub fn new(heads: i64) -> Self {
        Self {
            heads,
            causal: false,
            kv_heads: None,
            scale: None,
            rotary: None,
        }
    }

    /// Heads of queries, and of keys and values.
    fn head_counts(&self) -> Result<(i64, i64), LayerError> {
        let kv_heads = self.kv_heads.unwrap_or(self.heads);
        PerDimension([self.heads]).checked("heads", 1)?;
        PerDimension([kv_heads]).checked("kv_heads", 1)?;
        match self.heads % kv_heads {
            0 => Ok((self.heads, kv_heads)),
            _ => Err(LayerError {
                expected: format!(
                    "`kv_heads` that divides heads = {}, found {kv_heads}",
                    self.heads
                ),
                remedy: "leave it out for as many as heads".into(),
            }),
        }
    }

    /// The rotation of heads of `width` entries.
    fn rotation(&self, width: i64) -> Result<Option<Rotation>, LayerError> {
        let Some(Rotary { base }) = self.rotary else {
            return Ok(None);
        };
        if !base.is_finite() || base <= 0.0 {
            return Err(LayerError {
                expected: format!("`rotary.base` above 0, found {base}"),
                remedy: "leave it out for 10000.0".into(),
            });
        }
        if width % 2 != 0 {
            return Err(LayerError {
                expected: format!(
                    "`rotary` only where heads have an even number of entries, found heads of {width}"
                ),
                remedy: "change `heads`, or the features below, or leave `rotary` out".into(),
            });
        }
        Ok(Some(Rotation { base }))
    }
}

impl LayerConfig for Attention {
    fn build(&self, input: &[i64]) -> Result<(Box<dyn Layer>, Vec<i64>), LayerError> {
        let (positions, features) = positions(input)?;
        let (heads, kv_heads) = self.head_counts()?;
        let parts = heads + 2 * kv_heads;
        if features % parts != 0 {
            return Err(LayerError {
                expected: format!(
                    "queries, keys and values side by side, [positions, D + 2 D kv_heads/heads] with heads = {heads} that divides D and kv_heads = {kv_heads}: a multiple of {parts} features"
                ),
                remedy: "put a linear layer below it with so many out-features, 3 D for as many kv_heads as heads".into(),
            });
        }
        let width = features / parts;
        self.scale.map_or(Ok(()), |scale| finite("scale", scale))?;
        let layer = AttentionLayer {
            heads: Heads {
                count: kv_heads,
                sharing: heads / kv_heads,
                width,
                rotation: self.rotation(width)?,
                query: None,
            },
            positions,
            causal: self.causal,
            scale: self.scale.unwrap_or(1.0 / (width as f64).sqrt()),
        };
        Ok((Box::new(layer), vec![positions, heads * width]))
    }
}

#[derive(Clone, Debug)]
struct AttentionLayer {
    heads: Heads,
    positions: i64,
    causal: bool,
    scale: f64,
}

impl AttentionLayer {
    /// At `x: [N, T, features]`, under the mask that w may hold.
    fn core(&self, x: &Tensor, w: &[Tensor]) -> Core {
        let [q, k, v] = self.heads.split(x);
        let hidden = self.hidden(w.first(), x.device());
        Core::new([q, k, v], hidden.as_ref(), self.scale)
    }

    /// Which keys no query sees, from `mask: [N, T]`: truth values that broadcast over
    /// `[N, heads, rows, T]`.
    fn hidden(&self, mask: Option<&Tensor>, device: Device) -> Option<Tensor> {
        let t = self.positions;
        let later = self.causal.then(|| {
            let all = Tensor::ones([t, t], (Kind::Bool, device)).triu(1);
            let rows =
                (self.heads.query).map_or(all.shallow_clone(), |at| all.narrow(0, at.index, 1));
            rows.repeat([self.heads.sharing, 1])
        });
        let padding = mask.map(|mask| mask.logical_not().unsqueeze(1).unsqueeze(1));
        match (later, padding) {
            (Some(later), Some(padding)) => Some(later.logical_or(&padding)),
            (later, padding) => later.or(padding),
        }
    }
}

impl Layer for AttentionLayer {
    fn is_curved(&self) -> bool {
        true
    }

    fn masked_positions(&self) -> Option<i64> {
        Some(self.positions)
    }

    /// With queries at one position.
    fn with_output_at(&self, place: Place) -> Option<Box<dyn Layer>> {
        let mut layer = self.clone();
        layer.heads.query = Some(place);
        (place.axis == -2).then(|| Box::new(layer) as Box<dyn Layer>)
    }

    /// The scores.
    fn inner_features(&self) -> i64 {
        self.heads.count * self.heads.sharing * self.positions * self.positions
    }

    fn forward(&self, x: &Tensor, w: &[Tensor]) -> Tensor {
        self.heads.merge(&self.core(x, w).o)
    }

    fn at(&self, x: &Tensor, w: &[Tensor], _z: &Tensor) -> Box<dyn Local> {
        Box::new(LocalAttention {
            core: self.core(x, w),
            heads: self.heads.clone(),
        })
    }

    /// Softmax once for both.
    fn linearize(&self, x: &Tensor, w: &[Tensor]) -> (Tensor, Box<dyn Local>) {
        let core = self.core(x, w);
        let z = self.heads.merge(&core.o);
        let heads = self.heads.clone();
        (z, Box::new(LocalAttention { core, heads }))
    }
}
