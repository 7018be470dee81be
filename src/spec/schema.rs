//! The JSON schema of the spec, from its types: what editors complete and check by.

use super::Spec;
use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{Schema, json_schema};
use serde_json::Value;

/// The JSON schema (draft 2020-12) of format 1.
///
/// It knows keys, types and names. What a spec means as a whole (shapes, files, lists that rise) is
/// for the [plan](crate::plan) to check.
pub fn schema() -> Schema {
    let settings = SchemaSettings::draft2020_12()
        .with_transform(WithoutNull)
        .with_transform(without_links);
    let mut schema = settings.into_generator().into_root_schema_for::<Spec>();
    schema.insert("title".into(), "Curvature experiment, format 1".into());
    schema
}

/// TOML has no null: a key that may be absent is written with a value, or not at all.
#[derive(Clone, Debug)]
struct WithoutNull;

impl Transform for WithoutNull {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        if let Some(Value::Array(types)) = schema.get_mut("type") {
            types.retain(|name| name != "null");
            if let [only] = &types[..] {
                let only = only.clone();
                schema.insert("type".into(), only);
            }
        }
        if let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
            let null = json_schema!({ "type": "null" });
            choices.retain(|choice| choice != null.as_value());
            if let [Value::Object(only)] = &choices[..] {
                let only = only.clone();
                schema.remove("anyOf");
                for (key, value) in only {
                    schema.ensure_object().entry(key).or_insert(value);
                }
            }
        }
        if schema.get("default") == Some(&Value::Null) {
            schema.remove("default");
        }
    }
}

/// Descriptions without rustdoc's links, which lead nowhere in an editor.
fn without_links(schema: &mut Schema) {
    transform_subschemas(&mut without_links, schema);
    if let Some(Value::String(text)) = schema.get_mut("description") {
        *text = text
            .replace("[`", "`")
            .replace("`]", "`")
            .replace('\n', " ");
    }
}
