//! Enums that a spec writes as a table with the variant under one key: `{ kind = "linear", ... }`.

use schemars::Schema;
use serde_json::{Map, Value, json};

/// Declares such an enum from its list of variants, one line each, over a common trait.
///
/// The serde name of the enum is the key, which is what [`crate::spec`] reads it by (serde's own
/// internal tagging buffers the table and loses the places of errors).
macro_rules! tagged {
    (
        $(#[$doc:meta])*
        pub enum $Name:ident: $Trait:path, by $tag:literal {
            $($(#[$variant_doc:meta])* $Variant:ident($Config:ty) = $kind:literal),* $(,)?
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, serde::Deserialize)]
        #[serde(rename = $tag)]
        pub enum $Name {
            $($(#[$variant_doc])* #[serde(rename = $kind)] $Variant($Config)),*
        }

        impl $Name {
            /// The variant, as a spec writes it.
            pub fn kind(&self) -> &'static str {
                match self { $(Self::$Variant(_) => $kind),* }
            }
        }

        impl std::ops::Deref for $Name {
            type Target = dyn $Trait;

            fn deref(&self) -> &Self::Target {
                match self { $(Self::$Variant(config) => config),* }
            }
        }

        impl serde::Serialize for $Name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let table = match self {
                    $(Self::$Variant(config) => toml::Table::try_from(config)),*
                };
                let mut table = table.map_err(serde::ser::Error::custom)?;
                table.insert($tag.into(), self.kind().into());
                table.serialize(serializer)
            }
        }

        impl schemars::JsonSchema for $Name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($Name).into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let variants = vec![$({
                    let config = <$Config as schemars::JsonSchema>::json_schema(generator);
                    $crate::tagged::variant(config, $tag, $kind)
                }),*];
                schemars::json_schema!({ "oneOf": variants })
            }
        }
    };
}
pub(crate) use tagged;

/// The schema of a table that has `kind` under `tag` beside the keys of `config`.
pub(crate) fn variant(mut config: Schema, tag: &str, kind: &str) -> Schema {
    let table = config.ensure_object();
    table.insert("title".into(), kind.into());
    let mut keys = Map::from_iter([(tag.to_string(), json!({ "const": kind }))]);
    let mut required = vec![json!(tag)];
    if let Some(Value::Object(own)) = table.remove("properties") {
        keys.extend(own);
    }
    if let Some(Value::Array(own)) = table.remove("required") {
        required.extend(own);
    }
    table.insert("properties".into(), keys.into());
    table.insert("required".into(), required.into());
    config
}
