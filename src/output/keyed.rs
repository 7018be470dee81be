//! Rows that begin with the key columns of the estimate that they belong to.

/// Declares such a row: the key columns, then columns of its own.
macro_rules! keyed {
    (
        $(#[$doc:meta])*
        pub struct $Name:ident {
            $($(#[$column_doc:meta])* pub $column:ident: $Type:ty),* $(,)?
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, serde::Deserialize, serde::Serialize)]
        pub struct $Name {
            /// As in [`Record`](crate::output::Record), like all up to `checkpoint`.
            pub experiment: String,
            /// See [`Record`](crate::output::Record).
            pub estimator: String,
            /// See [`Record`](crate::output::Record).
            pub matrix: String,
            /// See [`Record`](crate::output::Record).
            pub blocks: Option<String>,
            /// See [`Record`](crate::output::Record).
            pub product: Option<String>,
            /// See [`Record`](crate::output::Record).
            pub probe: Option<String>,
            /// See [`Record`](crate::output::Record).
            pub stream: Option<String>,
            /// See [`Record`](crate::output::Record).
            #[serde(rename = "V")]
            pub v: Option<u64>,
            /// See [`Record`](crate::output::Record).
            #[serde(rename = "V_batch")]
            pub v_batch: Option<u64>,
            /// See [`Record`](crate::output::Record).
            pub seed: Option<u64>,
            /// See [`Record`](crate::output::Record).
            pub repeat: u64,
            /// See [`Record`](crate::output::Record).
            pub settings: Option<String>,
            /// See [`Record`](crate::output::Record).
            pub checkpoint: Option<String>,
            $($(#[$column_doc])* pub $column: $Type,)*
        }

        impl $Name {
            /// A row that belongs to the estimate `of`.
            pub fn new(of: &crate::output::Record, $($column: $Type),*) -> Self {
                let of = of.clone();
                Self {
                    experiment: of.experiment,
                    estimator: of.estimator,
                    matrix: of.matrix,
                    blocks: of.blocks,
                    product: of.product,
                    probe: of.probe,
                    stream: of.stream,
                    v: of.v,
                    v_batch: of.v_batch,
                    seed: of.seed,
                    repeat: of.repeat,
                    settings: of.settings,
                    checkpoint: of.checkpoint,
                    $($column,)*
                }
            }
        }
    };
}
pub(super) use keyed;
