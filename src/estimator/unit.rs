//! What V counts.

/// What `V` counts for estimators of this kind, in the plural: a figure or table that says "V 8" can say
/// what eight of.
pub fn counted(estimator: &str) -> &'static str {
    match estimator {
        "propagation" => "passes",
        "activation" => "probes per sample",
        "hutchpp" | "a_hutchpp" | "na_hutchpp" | "xtrace" | "xnystrace" | "nystrompp" | "bekas"
        | "diagpp" | "xdiag" => "products",
        _ => "probes",
    }
}
