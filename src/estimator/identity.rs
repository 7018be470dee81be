//! What tells an estimate from another, and a setting from another.

use super::key_columns::{Cell, Number, with_key_columns};
use super::{Quantity, StreamKind, written};
use crate::curvature::OperatorSpec;
use crate::problem::Curvature;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Deref;

/// Declares [`Identity`] from the list of key columns.
macro_rules! define_identity {
    ($({ $($(#[$meta:meta])* $column:ident: $Type:ty,)* })*) => {
        /// What tells an estimate from every other one of an experiment.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize)]
        pub struct Identity {
            $($($(#[$meta])* pub $column: $Type,)*)*
        }

        impl Identity {
            /// Every key column by its name, with its value as a table has it; `None` where it has
            /// none.
            pub fn columns(&self) -> Vec<(&'static str, Option<String>)> {
                vec![$($((column_name(stringify!($column)), self.$column.cell()),)*)*]
            }
        }
    };
}
with_key_columns!(define_identity! {});

/// The name of a column whose field has a name in snake case.
fn column_name(field: &'static str) -> &'static str {
    match field {
        "v" => "V",
        "v_batch" => "V_batch",
        other => other,
    }
}

/// What tells a setting of an experiment from another: an [`Identity`] whose `V`, `seed` and
/// `repeat` are left open. Runs of one setting differ in these alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Setting(Identity);

impl Deref for Setting {
    type Target = Identity;

    fn deref(&self) -> &Identity {
        &self.0
    }
}

impl From<Identity> for Setting {
    fn from(identity: Identity) -> Self {
        Self(Identity {
            v: None,
            seed: None,
            repeat: 0,
            ..identity
        })
    }
}

impl From<Setting> for Identity {
    fn from(setting: Setting) -> Self {
        setting.0
    }
}

impl Identity {
    /// The setting that the estimate is a run of.
    pub fn setting(&self) -> Setting {
        self.clone().into()
    }

    /// This identity with seed and repetition left open: what all runs of a setting at one V share.
    pub fn over_runs(&self) -> Self {
        Self {
            seed: None,
            repeat: 0,
            ..self.clone()
        }
    }

    /// An estimate of `quantity` under this setting.
    pub fn of(&self, quantity: Quantity) -> Self {
        Self {
            quantity: quantity.name().into(),
            delta: quantity.delta().map(Number),
            ..self.clone()
        }
    }

    /// Whether it is of the trace.
    pub fn is_trace(&self) -> bool {
        self.quantity == Quantity::Trace.name()
    }

    /// How it is estimated, in words: "hutchinson hmp parameter".
    pub fn method(&self) -> String {
        let words = [
            Some(&self.estimator),
            self.product.as_ref(),
            self.blocks.as_ref(),
        ];
        let words: Vec<&str> = words.into_iter().flatten().map(String::as_str).collect();
        words.join(" ")
    }

    /// All that tells it from others of its kind, in words: "hutchinson hmp parameter, V 1000,
    /// V_batch 10", first the quantity where it is not the trace.
    pub fn name(&self) -> String {
        let quantity = match (self.is_trace() || self.quantity.is_empty(), self.delta) {
            (true, _) => None,
            (false, None) => Some(self.quantity.clone()),
            (false, Some(delta)) => Some(format!("{}, δ = {delta}", self.quantity)),
        };
        let numbers = self.columns().into_iter().filter_map(|(column, value)| {
            let value = value.filter(|_| !Self::NAMED_OTHERWISE.contains(&column))?;
            Some(format!("{column} {value}"))
        });
        let parts = quantity.into_iter().chain(self.checkpoint.clone());
        let parts = parts.chain([self.method()]).chain(self.settings.clone());
        parts.chain(numbers).collect::<Vec<_>>().join(", ")
    }

    /// Columns that a [name](Self::name) tells without their own name, or that figures and tables
    /// tell where they differ.
    const NAMED_OTHERWISE: [&str; 12] = [
        "estimator",
        "matrix",
        "blocks",
        "product",
        "probe",
        "stream",
        "seed",
        "repeat",
        "quantity",
        "delta",
        "settings",
        "checkpoint",
    ];

    /// Whether one of its columns has this value: `--only hmp`.
    pub fn has(&self, word: &str) -> bool {
        self.columns()
            .iter()
            .any(|(_, value)| value.as_deref() == Some(word))
    }
}

/// What is computed, in words: "hutchinson hmp full rademacher".
impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.method())?;
        self.probe
            .iter()
            .try_for_each(|probe| write!(f, " {probe}"))
    }
}

impl Setting {
    /// Of an estimator that nothing else is told of.
    pub fn of_estimator(estimator: &str) -> Self {
        Self(Identity {
            estimator: estimator.into(),
            ..Identity::default()
        })
    }

    /// Of an estimator over products with an operator.
    pub fn over(operator: &OperatorSpec, estimator: &str) -> Self {
        match operator {
            OperatorSpec::Network {
                curvature,
                blocks,
                product,
            } => Self(Identity {
                blocks: Some(blocks.to_string()),
                product: Some(written(product)),
                ..Self::about(*curvature, estimator).0
            }),
            // A given matrix has a name of its own, which the estimator does not know.
            OperatorSpec::Matrix => Self::of_estimator(estimator),
        }
    }

    /// Of an estimator of a network's matrix.
    pub fn about(curvature: Curvature, estimator: &str) -> Self {
        Self(Identity {
            matrix: written(curvature.kind()),
            ..Self::of_estimator(estimator).0
        })
    }

    /// This setting with probes of a distribution, as a spec writes it, drawn from `stream`.
    pub fn drawing(self, probe: impl Serialize, stream: StreamKind) -> Self {
        self.with(|columns| {
            columns.probe = Some(written(probe));
            columns.stream = Some(written(stream));
        })
    }

    /// This setting with other values of some columns.
    pub fn with(self, set: impl FnOnce(&mut Identity)) -> Self {
        let mut identity = self.0;
        set(&mut identity);
        identity.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estimator::key_columns::trace;

    fn identity() -> Identity {
        Identity {
            estimator: "hutchinson".into(),
            product: Some("hmp".into()),
            blocks: Some("parameter".into()),
            v: Some(1000),
            v_batch: Some(10),
            seed: Some(3),
            repeat: 1,
            quantity: trace(),
            ..Identity::default()
        }
    }

    #[test]
    fn runs_of_a_setting_differ_in_v_seed_and_repeat_alone() {
        let other = Identity {
            v: Some(10),
            seed: Some(4),
            repeat: 0,
            ..identity()
        };
        assert_eq!(identity().setting(), other.setting());
        assert_ne!(identity().over_runs(), other.over_runs());
        let other = Identity {
            checkpoint: Some("b".into()),
            ..identity()
        };
        assert_ne!(identity().setting(), other.setting());
    }

    #[test]
    fn a_delta_tells_log_determinants_apart() {
        let of = |delta| identity().of(Quantity::LogDet { delta });
        assert_ne!(of(0.1), of(0.2));
        assert_eq!(
            of(0.1).name(),
            "log_det, δ = 0.1, hutchinson hmp parameter, V 1000, V_batch 10"
        );
        assert_eq!(
            identity().name(),
            "hutchinson hmp parameter, V 1000, V_batch 10"
        );
    }

    #[test]
    fn columns_are_named_as_in_the_tables() {
        let names: Vec<&str> = identity().columns().iter().map(|(name, _)| *name).collect();
        let table = "estimator matrix blocks product probe stream V V_batch seed repeat quantity delta settings checkpoint";
        assert_eq!(names.join(" "), table);
    }
}
