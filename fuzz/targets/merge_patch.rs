//! The merge patch from one document to another, merged into the first, gives the second.

#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};
use thalweg_core::merge_patch::{diff, merge};

const DEPTH_MAX: u32 = 5;
const KEYS: [&str; 5] = ["a", "b", "c", "", "\u{0}"];

fn value(input: &mut Unstructured, depth: u32) -> arbitrary::Result<Value> {
    Ok(match input.int_in_range(0..=if depth == 0 { 4 } else { 6u8 })? {
        0 => Value::Null,
        1 => Value::from(bool::arbitrary(input)?),
        2 => Value::from(i64::arbitrary(input)?),
        3 => Value::from(f64::arbitrary(input)?),
        4 => Value::from(u8::arbitrary(input)?.to_string()),
        5 => {
            Value::Array((0..input.int_in_range(0..=3u8)?).map(|_| value(input, depth - 1)).collect::<Result<_, _>>()?)
        }
        _ => Value::Object(object(input, depth - 1)?),
    })
}

fn object(input: &mut Unstructured, depth: u32) -> arbitrary::Result<Map<String, Value>> {
    let length = input.int_in_range(0..=4u8)?;
    (0..length).map(|_| Ok(((*input.choose(&KEYS)?).to_owned(), value(input, depth)?))).collect()
}

/// RFC 7396 knows no key with the value null: it is an absent one. In arrays null is a value like any other.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(key, value)| (key, without_nulls(value))).collect())
        }
        other => other,
    }
}

fuzz_target!(|data: &[u8]| {
    let mut input = Unstructured::new(data);
    let (Ok(before), Ok(after)) = (object(&mut input, DEPTH_MAX), object(&mut input, DEPTH_MAX)) else { return };
    let mut merged = Value::Object(before.clone());
    match diff(&before, &after) {
        Some(patch) => {
            assert!(!patch.is_empty());
            merge(&mut merged, &Value::Object(patch));
        }
        None => assert_eq!(without_nulls(merged.clone()), without_nulls(Value::Object(after.clone()))),
    }
    assert_eq!(without_nulls(merged.clone()), without_nulls(Value::Object(after)));
    if let Value::Object(merged) = merged {
        assert_eq!(diff(&merged, &merged), None, "nothing is left to change");
    }
});
