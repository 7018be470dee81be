//! Rows of tables: the key columns of an estimate or a setting, and columns of their own.
//!
//! The key columns come from the one list in `estimator/key_columns.rs`. In every table
//! the experiment and the first of them lead, then come columns of the row's own, the last key
//! columns, and further columns of its own. The macros are in scope in all of `output`.

/// Declares a row that belongs to one estimate.
macro_rules! estimate_row {
    ($($what:tt)*) => {
        $crate::estimator::key_columns::with_key_columns!(
            define_estimate_row! { $($what)* }
        );
    };
}
/// Declares a row that belongs to all runs of one setting at one V.
macro_rules! setting_row {
    ($($what:tt)*) => {
        $crate::estimator::key_columns::with_key_columns!(
            define_setting_row! { $($what)* }
        );
    };
}
macro_rules! define_estimate_row {
    (
        { $($(#[$first_meta:meta])* $first:ident: $First:ty,)* }
        { $($(#[$run_meta:meta])* $run:ident: $Run:ty,)* }
        { $($(#[$last_meta:meta])* $last:ident: $Last:ty,)* }
        $($what:tt)*
    ) => {
        define_row! {
            {
                $($(#[$first_meta])* $first: $First,)*
                $($(#[$run_meta])* $run: $Run,)*
            }
            { $($(#[$last_meta])* $last: $Last,)* }
            { $($first)* $($run)* $($last)* }
            $($what)*
        }
    };
}
macro_rules! define_setting_row {
    (
        { $($(#[$first_meta:meta])* $first:ident: $First:ty,)* }
        { $($run:tt)* }
        { $($(#[$last_meta:meta])* $last:ident: $Last:ty,)* }
        $($what:tt)*
    ) => {
        define_row! {
            { $($(#[$first_meta])* $first: $First,)* }
            { $($(#[$last_meta])* $last: $Last,)* }
            { $($first)* $($last)* }
            $($what)*
        }
    };
}
macro_rules! define_row {
    (
        { $($(#[$first_meta:meta])* $first:ident: $First:ty,)* }
        { $($(#[$last_meta:meta])* $last:ident: $Last:ty,)* }
        { $($key:ident)* }
        $(#[$meta:meta])*
        pub struct $Name:ident {
            $($(#[$own_meta:meta])* pub $own:ident: $Own:ty,)*
        } $(then {
            $($(#[$then_meta:meta])* pub $then:ident: $Then:ty,)*
        })?
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, serde::Deserialize, serde::Serialize)]
        pub struct $Name {
            /// The spec's name.
            pub experiment: String,
            $($(#[$first_meta])* pub $first: $First,)*
            $($(#[$own_meta])* pub $own: $Own,)*
            $($(#[$last_meta])* pub $last: $Last,)*
            $($($(#[$then_meta])* pub $then: $Then,)*)?
        }

        impl $Name {
            /// The row of the estimate or setting `key` of an experiment, its own columns still empty.
            pub fn keyed(experiment: &str, key: &$crate::estimator::Identity) -> Self {
                Self {
                    experiment: experiment.into(),
                    $($key: key.$key.clone(),)*
                    ..Self::default()
                }
            }

            /// What the row is of.
            #[allow(clippy::needless_update)]
            pub fn identity(&self) -> $crate::estimator::Identity {
                $crate::estimator::Identity {
                    $($key: self.$key.clone(),)*
                    ..Default::default()
                }
            }

            /// The setting that the row is of.
            pub fn setting(&self) -> $crate::estimator::Setting {
                self.identity().into()
            }
        }

        impl $crate::output::store::Keyed for $Name {
            fn identity(&self) -> $crate::estimator::Identity {
                self.identity()
            }
        }
    };
}
/// A row with key columns.
pub(in crate::output) trait Keyed {
    /// What the row is of.
    fn identity(&self) -> crate::estimator::Identity;
}
