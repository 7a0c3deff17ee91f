//! JSON documents compared with the spelling of every value: only order and white space do not count.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// Each value that is no object or array by where it is, as it is spelled; an empty object or array too.
pub fn spelled(text: &str) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    collect(text, "", &mut all);
    all
}

fn collect(text: &str, at: &str, all: &mut BTreeMap<String, String>) {
    let text = text.trim();
    let mut inner = Vec::new();
    if text.starts_with('{') {
        let members: BTreeMap<String, Box<RawValue>> = serde_json::from_str(text).unwrap();
        inner.extend(members);
    } else if text.starts_with('[') {
        let items: Vec<Box<RawValue>> = serde_json::from_str(text).unwrap();
        inner.extend(items.into_iter().enumerate().map(|(n, item)| (n.to_string(), item)));
    }
    let is_empty = text.starts_with(['{', '[']) && inner.is_empty();
    if is_empty || !text.starts_with(['{', '[']) {
        all.insert(at.to_owned(), text.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    for (name, value) in inner {
        collect(value.get(), &format!("{at}/{name}"), all);
    }
}

/// A document with a member a line.
pub fn by_lines(text: &str) -> String {
    let members: BTreeMap<String, Box<RawValue>> = serde_json::from_str(text).unwrap();
    let lines: Vec<String> = members.iter().map(|(name, value)| format!("  \"{name}\": {value}")).collect();
    format!("{{\n{}\n}}\n", lines.join(",\n"))
}
