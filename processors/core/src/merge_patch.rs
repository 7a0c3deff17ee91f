//! RFC 7396 merge patches: what a task changed in `data`, and how it is folded in.

use serde_json::{Map, Value};

/// The merge patch that leads from `before` to `after`, or none where nothing changed.
///
/// An explicit null in `after` counts as an absent key: RFC 7396 has no other meaning for it.
pub fn diff(before: &Map<String, Value>, after: &Map<String, Value>) -> Option<Map<String, Value>> {
    let mut patch = Map::new();
    for (key, old) in before {
        if matches!(after.get(key), None | Some(Value::Null)) && after.get(key) != Some(old) {
            patch.insert(key.clone(), Value::Null);
        }
    }
    for (key, new) in after {
        match (before.get(key), new) {
            (_, Value::Null) => {}
            (Some(old), new) if old == new => {}
            (Some(Value::Object(old)), Value::Object(new)) => {
                if let Some(inner) = diff(old, new) {
                    patch.insert(key.clone(), Value::Object(inner));
                }
            }
            // An object in place of something else: merging it would drop its nulls, so it travels without them.
            (_, new) => {
                patch.insert(key.clone(), new.clone());
            }
        }
    }
    (!patch.is_empty()).then_some(patch)
}

/// Folds `patch` into `data`, as RFC 7396 section 2 says.
pub fn merge(data: &mut Value, patch: &Value) {
    json_patch::merge(data, patch);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn object(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(map) => map,
            other => panic!("not an object: {other}"),
        }
    }

    #[test]
    fn null_removes_and_nested_objects_merge() {
        let before = object(json!({"a": {"b": 1, "c": 2}, "d": [1]}));
        let after = object(json!({"a": {"b": 1, "e": 3}, "d": [1, 2], "f": null}));
        let patch = diff(&before, &after).map(Value::Object);
        assert_eq!(patch, Some(json!({"a": {"c": null, "e": 3}, "d": [1, 2]})));
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[a-c]{0,2}".prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 16, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[a-c]", inner, 0..3).prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn merging_the_difference_gives_the_changed_data(
            before in prop::collection::btree_map("[a-c]", value(), 0..4),
            after in prop::collection::btree_map("[a-c]", value(), 0..4),
        ) {
            let (before, after): (Map<_, _>, Map<_, _>) = (before.into_iter().collect(), after.into_iter().collect());
            let mut data = Value::Object(before.clone());
            if let Some(patch) = diff(&before, &after) {
                merge(&mut data, &Value::Object(patch));
            }
            prop_assert_eq!(data, Value::Object(after));
        }
    }
}
