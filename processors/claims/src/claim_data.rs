//! What a customer sends as `claim_data`: a text, or an object with a few fields.

use serde_json::{Map, Value};
use thalweg_core::TaskError;

use crate::claim::{ClaimType, texts};

/// A claim as it came in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClaimData {
    /// `type`, where it is stated.
    pub claim_type: Option<ClaimType>,
    /// `amount`, where it is stated.
    pub amount: Option<f64>,
    /// `description`, or the whole text.
    pub description: String,
    /// `supporting_documents`: names of documents.
    pub supporting_documents: Vec<String>,
}

impl ClaimData {
    /// Reads `claim_data` of the payload that started the workflow.
    ///
    /// A text that begins with `{` is read as the object that it holds.
    ///
    /// # Errors
    /// CLAIM_DATA_MISSING, CLAIM_DATA_UNREADABLE (a text without content or with broken JSON) or
    /// CLAIM_DATA_INVALID (neither text nor object, or a field of the wrong type).
    pub fn read(payload: &Value) -> Result<ClaimData, TaskError> {
        match payload.get("claim_data") {
            None | Some(Value::Null) => Err(TaskError::new(
                "CLAIM_DATA_MISSING",
                "the payload has no claim_data: give a text or an object with type, amount and description",
            )),
            Some(Value::String(text)) => ClaimData::read_text(text),
            Some(Value::Object(fields)) => ClaimData::read_fields(fields),
            Some(other) => Err(invalid(format!("claim_data is {}, it must be a text or an object", kind_of(other)))),
        }
    }

    fn read_text(text: &str) -> Result<ClaimData, TaskError> {
        let text = text.trim();
        let unreadable = |what: String| TaskError::new("CLAIM_DATA_UNREADABLE", what);
        if text.is_empty() {
            return Err(unreadable("claim_data is an empty text".to_owned()));
        }
        if text.starts_with('{') {
            let fields = serde_json::from_str(text)
                .map_err(|error| unreadable(format!("claim_data begins as a JSON object and is none: {error}")))?;
            return ClaimData::read_fields(&fields);
        }
        Ok(ClaimData { description: text.to_owned(), ..ClaimData::default() })
    }

    fn read_fields(fields: &Map<String, Value>) -> Result<ClaimData, TaskError> {
        let amount = match fields.get("amount") {
            None | Some(Value::Null) => None,
            Some(value) => match value.as_f64() {
                Some(amount) if amount >= 0.0 => Some(amount),
                Some(_) => return Err(invalid("claim_data.amount is below 0")),
                None => return Err(invalid(format!("claim_data.amount is {}, it must be a number", kind_of(value)))),
            },
        };
        let documents = fields.get("supporting_documents").unwrap_or(&Value::Null);
        if !matches!(documents, Value::Null | Value::String(_) | Value::Array(_)) {
            let kind = kind_of(documents);
            return Err(invalid(format!("claim_data.supporting_documents is {kind}, it must be a list of names")));
        }
        Ok(ClaimData {
            claim_type: text_field(fields, "type")?.map(ClaimType::stated),
            amount,
            description: text_field(fields, "description")?.unwrap_or_default().to_owned(),
            supporting_documents: texts(documents),
        })
    }
}

fn text_field<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, TaskError> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(invalid(format!("claim_data.{name} is {}, it must be a text", kind_of(other)))),
    }
}

fn invalid(message: impl Into<String>) -> TaskError {
    TaskError::new("CLAIM_DATA_INVALID", message)
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_text_an_object_and_an_object_in_a_text() {
        let read = |claim_data: Value| ClaimData::read(&json!({ "claim_data": claim_data })).unwrap();
        assert_eq!(read(json!(" my bag ")).description, "my bag");
        let car = ClaimData { claim_type: Some(ClaimType::Car), amount: Some(12.5), ..ClaimData::default() };
        assert_eq!(read(json!({"type": "Auto", "amount": 12.5, "policy_number": 7})), car);
        assert_eq!(read(json!(r#"{"type": "car", "amount": 12.5}"#)), car);
        assert_eq!(read(json!({"supporting_documents": "a.pdf"})).supporting_documents, ["a.pdf"]);
    }

    #[test]
    fn bad_data_is_named() {
        let cases = [
            (json!({}), "CLAIM_DATA_MISSING"),
            (json!(null), "CLAIM_DATA_MISSING"),
            (json!({"claim_data": null}), "CLAIM_DATA_MISSING"),
            (json!({"claim_data": "  "}), "CLAIM_DATA_UNREADABLE"),
            (json!({"claim_data": "{\"type\": "}), "CLAIM_DATA_UNREADABLE"),
            (json!({"claim_data": 7}), "CLAIM_DATA_INVALID"),
            (json!({"claim_data": ["car"]}), "CLAIM_DATA_INVALID"),
            (json!({"claim_data": {"amount": "much"}}), "CLAIM_DATA_INVALID"),
            (json!({"claim_data": {"amount": -1}}), "CLAIM_DATA_INVALID"),
            (json!({"claim_data": {"type": 3}}), "CLAIM_DATA_INVALID"),
            (json!({"claim_data": {"supporting_documents": 1}}), "CLAIM_DATA_INVALID"),
        ];
        for (payload, code) in cases {
            assert_eq!(ClaimData::read(&payload).map_err(|error| error.code), Err(code.to_owned()), "{payload}");
        }
    }
}
