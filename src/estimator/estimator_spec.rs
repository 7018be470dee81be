//! Declares the specs of estimators, with the keys that they share spelled out once.

/// Declares what a spec says of an estimator: groups of shared keys, then keys of its own.
///
/// The groups are `matrix`; `operator` (`matrix`, `blocks`, `product`); `seeds`; `sampling` (`V`,
/// `V_batch`, `seeds`); `probe`. They become fields of the struct, so that errors keep their places
/// in the spec, and [`Options`] are read off them by [`Shares::options`].
macro_rules! estimator_spec {
    (
        $(#[$meta:meta])*
        pub struct $Name:ident $(<$G:ident: $Bound:ident>)? shares [$($group:ident),*] { $($own:tt)* }
    ) => {
        $crate::estimator::estimator_spec::estimator_spec! {
            @expand [$($group)*] {} {}
            $(#[$meta])* pub struct $Name $(<$G: $Bound>)? { $($own)* }
        }
    };
    (@expand [operator $($rest:tt)*] { $($fields:tt)* } { $($names:ident)* } $($what:tt)*) => {
        $crate::estimator::estimator_spec::estimator_spec! {
            @expand [matrix $($rest)*]
            {
                $($fields)*
                /// Which entries of a network's matrix are seen: all of them if absent.
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub blocks: Option<$crate::curvature::Blocks>,
                /// How products with a network's matrix are computed; absent: forward for
                /// hutchinson, hmp for the others.
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub product: Option<$crate::curvature::ProductKind>,
            }
            { $($names)* blocks product }
            $($what)*
        }
    };
    (@expand [matrix $($rest:tt)*] { $($fields:tt)* } { $($names:ident)* } $($what:tt)*) => {
        $crate::estimator::estimator_spec::estimator_spec! {
            @expand [$($rest)*]
            {
                /// Which matrix of a network: the Hessian if absent.
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub matrix: Option<$crate::problem::MatrixKind>,
                $($fields)*
            }
            { $($names)* matrix }
            $($what)*
        }
    };
    (@expand [sampling $($rest:tt)*] { $($fields:tt)* } { $($names:ident)* } $($what:tt)*) => {
        $crate::estimator::estimator_spec::estimator_spec! {
            @expand [seeds $($rest)*]
            {
                $($fields)*
                /// Probes, passes or products, instead of `[sampling]`'s.
                #[serde(default, rename = "V", skip_serializing_if = "Option::is_none")]
                pub v: Option<$crate::lists::Counts>,
                /// How many of them at once, instead of `[sampling]`'s.
                #[serde(default, rename = "V_batch", skip_serializing_if = "Option::is_none")]
                pub v_batch: Option<$crate::lists::VBatches>,
            }
            { $($names)* v v_batch }
            $($what)*
        }
    };
    (@expand [seeds $($rest:tt)*] { $($fields:tt)* } { $($names:ident)* } $($what:tt)*) => {
        $crate::estimator::estimator_spec::estimator_spec! {
            @expand [$($rest)*]
            {
                $($fields)*
                /// Seeds of the probes, instead of `[sampling]`'s.
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub seeds: Option<$crate::lists::Seeds>,
            }
            { $($names)* seeds }
            $($what)*
        }
    };
    (@expand [probe $($rest:tt)*] { $($fields:tt)* } { $($names:ident)* } $($what:tt)*) => {
        $crate::estimator::estimator_spec::estimator_spec! {
            @expand [$($rest)*]
            {
                $($fields)*
                /// Distribution of the probes, instead of `[sampling]`'s.
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub probe: Option<$crate::estimator::Probe>,
            }
            { $($names)* probe }
            $($what)*
        }
    };
    (
        @expand [] { $($fields:tt)* } { $($name:ident)* }
        $(#[$meta:meta])* pub struct $Name:ident $(<$G:ident: $Bound:ident>)? { $($own:tt)* }
    ) => {
        #[derive(
            Clone, Debug, PartialEq, serde::Deserialize, schemars::JsonSchema, serde::Serialize,
        )]
        #[serde(deny_unknown_fields)]
        $(#[$meta])*
        pub struct $Name $(<$G: $Bound>)? { $($fields)* $($own)* }

        impl $(<$G: $Bound>)? $crate::estimator::estimator_spec::Shares for $Name $(<$G>)? {
            #[allow(clippy::needless_update)]
            fn options(&self) -> $crate::estimator::estimator_spec::Options {
                $crate::estimator::estimator_spec::Options {
                    $($name: self.$name.clone(),)*
                    ..Default::default()
                }
            }
        }
    };
}
pub(crate) use estimator_spec;

estimator_spec! {
    /// The shared keys of any estimator; one that an estimator does not have is absent.
    #[derive(Default)]
    pub struct Options shares [operator, sampling, probe] {}
}

/// What has some of the shared keys.
pub trait Shares {
    /// Their values.
    fn options(&self) -> Options;
}
