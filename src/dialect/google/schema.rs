//! Schemas as the dialect's own `Schema` writes them, with types in upper case, as JSON schemas. One that is a JSON
//! schema already is passed on as it was written, unparsed.

use serde_json::Value;

use crate::dialect::chat::Json;

/// The types of a `Schema`.
const TYPES: [&str; 7] = ["STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"];

/// `schema` with every type in lower case.
pub(super) fn lowered(schema: Json) -> Json {
    if !may_be_upper(schema.get()) {
        return schema;
    }
    let mut value = schema.to_value();
    if !value.is_object() {
        // Too deep to be looked into.
        return schema;
    }
    lower(&mut value);
    Json::from(&value)
}

/// Whether some type may stand in upper case: quick, and wrong only where it costs nothing but time.
fn may_be_upper(text: &str) -> bool {
    let bytes = text.as_bytes();
    let blank = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b':' | b'"' | b'[');
    memchr::memmem::find_iter(bytes, b"\"type\"").any(|at| {
        let after = bytes[at + b"\"type\"".len()..].iter();
        after.copied().find(|byte| !blank(byte)).is_some_and(|byte| byte.is_ascii_uppercase())
    })
}

/// `schema` is a schema: its own type, and the schemas in it.
fn lower(schema: &mut Value) {
    let Value::Object(fields) = schema else { return };
    if fields.get("type").and_then(Value::as_str) == Some("TYPE_UNSPECIFIED") {
        fields.shift_remove("type");
    }
    for (key, value) in fields.iter_mut() {
        match key.as_str() {
            "type" => lower_type(value),
            "properties" | "patternProperties" | "$defs" | "defs" | "definitions" => {
                if let Value::Object(schemas) = value {
                    schemas.values_mut().for_each(lower);
                }
            }
            "items" | "additionalProperties" | "anyOf" | "allOf" | "oneOf" | "prefixItems" | "not" => match value {
                Value::Array(all) => all.iter_mut().for_each(lower),
                one => lower(one),
            },
            _ => {}
        }
    }
}

/// A name of a type, or a list of such names.
fn lower_type(value: &mut Value) {
    match value {
        Value::String(name) if TYPES.contains(&name.as_str()) => name.make_ascii_lowercase(),
        Value::Array(names) => names.iter_mut().for_each(lower_type),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn types_are_lowered_and_nothing_else() {
        let schema = json!({
            "type": "OBJECT",
            "properties": {
                "type": { "type": "STRING", "enum": ["STRING", "NULL"] },
                "default": { "type": "ARRAY", "items": { "type": "INTEGER" }, "default": { "type": "OBJECT" } },
                "any": { "anyOf": [{ "type": ["NUMBER", "NULL"] }, { "type": "TYPE_UNSPECIFIED" }] }
            },
            "required": ["type"]
        });
        let wanted = json!({
            "type": "object",
            "properties": {
                "type": { "type": "string", "enum": ["STRING", "NULL"] },
                "default": { "type": "array", "items": { "type": "integer" }, "default": { "type": "OBJECT" } },
                "any": { "anyOf": [{ "type": ["number", "null"] }, {}] }
            },
            "required": ["type"]
        });
        assert_eq!(lowered(Json::from(&schema)).to_value(), wanted);
    }

    #[test]
    fn a_json_schema_is_not_touched() {
        let text = r#"{ "type":"object", "properties": {"type": {"type" : "string"}} }"#;
        assert_eq!(lowered(Json::parse(text).expect("JSON")).get(), text);
    }
}
