//! The JSON Schemas of the two documents, made from their types.
//!
//! Only the documentation generator uses it; no application pays for it.

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use crate::{InfraConfig, Model};

/// The name of the definition of `{"$env": "NAME"}`.
const ENV: &str = "FromEnvironment";

/// The JSON Schema (2020-12) of the model document.
pub fn model() -> Value {
    schema_of::<Model>("Underlay model").to_value()
}

/// The JSON Schema (2020-12) of the infra config, in which `{"$env": "NAME"}` may stand for each text and each map.
pub fn infra() -> Value {
    let mut schema = schema_of::<InfraConfig>("Underlay infra config");
    AllowEnv.transform(&mut schema);
    let definition = json!({
        "description": "The value of an environment variable: the text itself, or the JSON of a map.",
        "type": "object",
        "properties": { "$env": { "description": "The variable's name.", "type": "string", "minLength": 1 } },
        "required": ["$env"],
        "additionalProperties": false,
    });
    if let Some(definitions) = schema.get_mut("$defs").and_then(Value::as_object_mut) {
        definitions.insert(ENV.to_owned(), definition);
    }
    schema.to_value()
}

fn schema_of<T: JsonSchema>(title: &str) -> Schema {
    let mut schema = SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<T>();
    schema.insert("title".to_owned(), title.into());
    schema
}

/// Lets `{"$env": "NAME"}` stand for each text, each of some names, and each map.
struct AllowEnv;

impl Transform for AllowEnv {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let Some(object) = schema.as_object_mut() else {
            return;
        };
        let is_map = object
            .get("additionalProperties")
            .is_some_and(Value::is_object)
            && !object.contains_key("properties");
        let env = json!({ "$ref": format!("#/$defs/{ENV}") });
        if let Some(names) = object.get_mut("oneOf").and_then(Value::as_array_mut)
            && names.iter().all(is_name)
        {
            names.push(env);
        } else if is_map || (may_be_text(object) && !object.contains_key("const")) {
            let mut either = Map::new();
            for annotation in ["description", "default"] {
                if let Some(value) = object.remove(annotation) {
                    either.insert(annotation.to_owned(), value);
                }
            }
            either.insert("anyOf".to_owned(), json!([std::mem::take(object), env]));
            *object = either;
        }
    }
}

/// Whether a schema is that of one fixed text.
fn is_name(schema: &Value) -> bool {
    schema.get("const").is_some_and(Value::is_string)
}

fn may_be_text(schema: &Map<String, Value>) -> bool {
    match schema.get("type") {
        Some(Value::String(ty)) => ty == "string",
        Some(Value::Array(types)) => types.iter().any(|it| it == "string"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_maps_may_come_from_the_environment() {
        let schema = infra();
        let env = json!({ "$ref": "#/$defs/FromEnvironment" });
        for pointer in [
            "/properties/secrets/anyOf",
            "/properties/log_config/anyOf",
            "/$defs/SecretText/anyOf",
            "/$defs/SqlServer/properties/host/anyOf",
            "/$defs/SqlServer/properties/databases/anyOf",
            "/$defs/EnvType/oneOf",
            "/$defs/Cors/properties/allow_headers/items/anyOf",
        ] {
            let Some(alternatives) = schema.pointer(pointer) else {
                panic!("no {pointer}: {schema:#}")
            };
            assert_eq!(
                alternatives.as_array().unwrap().last(),
                Some(&env),
                "{pointer}"
            );
        }
        assert_eq!(
            schema.pointer("/$defs/FromEnvironment/properties/$env/type"),
            Some(&json!("string"))
        );
    }

    #[test]
    fn unknown_fields_are_refused_everywhere() {
        let schema = infra();
        let mut open = Vec::new();
        check_closed(&schema, "", &mut open);
        assert_eq!(open, Vec::<String>::new());
    }

    /// Finds the objects with fields that allow others.
    fn check_closed(schema: &Value, path: &str, open: &mut Vec<String>) {
        let closed = ["additionalProperties", "unevaluatedProperties"];
        // Closed by the object around them, which has the fields of all exporters besides.
        let in_metrics = path.starts_with("/$defs/Metrics/oneOf/");
        if schema
            .get("properties")
            .is_some_and(|it| it.get("$ref").is_none())
            && !closed
                .iter()
                .any(|it| schema.get(it) == Some(&json!(false)))
            && !in_metrics
        {
            open.push(path.to_owned());
        }
        match schema {
            Value::Object(fields) => {
                fields
                    .iter()
                    .for_each(|(name, it)| check_closed(it, &format!("{path}/{name}"), open));
            }
            Value::Array(items) => {
                items
                    .iter()
                    .enumerate()
                    .for_each(|(i, it)| check_closed(it, &format!("{path}/{i}"), open));
            }
            _ => {}
        }
    }

    #[test]
    fn the_model_has_its_version() {
        let schema = model();
        assert_eq!(schema["title"], "Underlay model");
        assert!(
            schema["required"]
                .as_array()
                .unwrap()
                .contains(&json!("underlay_model"))
        );
        assert!(
            schema
                .pointer("/$defs/Subscription/properties/ack_deadline")
                .is_some()
        );
    }
}
