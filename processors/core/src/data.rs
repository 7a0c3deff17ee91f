//! The data of a workflow, shared until it is changed.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::json::Json;

/// A JSON document that its context and the task at work share: it is copied when one of them changes it, and most
/// tasks only read. Reads and changes as the [`Value`] that it is.
///
/// It travels as a JSON text in Avro, as the document itself in JSON.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Data(Arc<Value>);

impl Data {
    /// Is it the same document in memory, so that neither was changed since they were one?
    pub fn is_same(&self, other: &Data) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Deref for Data {
    type Target = Value;

    fn deref(&self) -> &Value {
        &self.0
    }
}

impl DerefMut for Data {
    fn deref_mut(&mut self) -> &mut Value {
        Arc::make_mut(&mut self.0)
    }
}

impl From<Value> for Data {
    fn from(value: Value) -> Data {
        Data(Arc::new(value))
    }
}

impl From<Data> for Value {
    fn from(data: Data) -> Value {
        Arc::unwrap_or_clone(data.0)
    }
}

impl PartialEq<Value> for Data {
    fn eq(&self, other: &Value) -> bool {
        *self.0 == *other
    }
}

impl Serialize for Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            self.0.serialize(serializer)
        } else {
            let text = serde_json::to_string(&*self.0).map_err(serde::ser::Error::custom)?;
            serializer.serialize_str(&text)
        }
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Data, D::Error> {
        let text = Json::deserialize(deserializer)?;
        let value: Value = serde_json::from_str(text.as_str()).map_err(serde::de::Error::custom)?;
        Ok(value.into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Data;

    #[test]
    fn what_is_only_read_stays_the_same_and_a_change_leaves_the_other_as_it_was() {
        let before = Data::from(json!({"a": 1}));
        let mut after = before.clone();
        assert_eq!(after["a"], json!(1));
        assert!(after.is_same(&before));
        after["a"] = json!(2);
        assert!(!after.is_same(&before));
        assert_eq!((before["a"].clone(), after["a"].clone()), (json!(1), json!(2)));
    }
}
