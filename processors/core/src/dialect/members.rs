//! A JSON object as its members in order, each with its own spelling: what is not understood need not be parsed.

use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::json::Json;

/// The members of a JSON object, in order. Names are unique.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Members(Vec<(String, Json)>);

impl Members {
    /// Reads a JSON object.
    ///
    /// # Errors
    /// Where the text is none, or has two members of one name.
    pub fn parse(text: &[u8]) -> Result<Members, String> {
        serde_json::from_slice(text).map_err(|error| error.to_string())
    }

    /// The member of this name.
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// Is there a member of this name?
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The member of this name, where it is a text.
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).and_then(|value| serde_json::from_str(value.as_str()).ok())
    }

    /// The member of this name, where it is an object.
    pub fn object(&self, name: &str) -> Option<Members> {
        self.get(name).and_then(object)
    }

    /// Puts a member behind those there are.
    pub fn push(&mut self, name: &str, value: Json) {
        self.0.push((name.to_owned(), value));
    }

    /// Puts a text behind those there are, where there is one.
    pub fn push_text(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.push(name, quoted(text));
        }
    }

    /// Sets a member, in its place where it is there.
    pub fn set(&mut self, name: &str, value: Json) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => self.push(name, value),
        }
    }

    /// Takes a member out.
    pub fn remove(&mut self, name: &str) -> Option<Json> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.remove(at).1)
    }

    /// The members, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The object.
    pub fn to_json(&self) -> Json {
        let mut text = String::from("{");
        for (name, value) in &self.0 {
            if text.len() > 1 {
                text.push(',');
            }
            text.push_str(quoted(name).as_str());
            text.push(':');
            text.push_str(value.as_str());
        }
        text.push('}');
        Json::trusted(text)
    }

    /// The same without white space between tokens.
    pub fn on_one_line(self) -> Members {
        self.into_iter().map(|(name, value)| (name, Json::trusted(on_one_line(value.as_str())))).collect()
    }

    fn by_name(&self) -> HashMap<&str, &Json> {
        self.iter().collect()
    }
}

impl FromIterator<(String, Json)> for Members {
    fn from_iter<I: IntoIterator<Item = (String, Json)>>(members: I) -> Members {
        Members(members.into_iter().collect())
    }
}

impl IntoIterator for Members {
    type Item = (String, Json);
    type IntoIter = std::vec::IntoIter<(String, Json)>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let (mut members, mut names) = (Vec::new(), HashSet::new());
                while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    if !names.insert(name.clone()) {
                        return Err(A::Error::custom(format_args!("duplicate field `{name}`")));
                    }
                    members.push((name, Json::trusted(value.get())));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(MembersVisitor)
    }
}

/// The members of a value, where it is an object.
pub fn object(value: &Json) -> Option<Members> {
    value.as_str().starts_with('{').then(|| Members::parse(value.as_str().as_bytes()).ok()).flatten()
}

/// A text as a JSON document.
pub fn quoted(text: &str) -> Json {
    Json::from(&serde_json::Value::from(text))
}

/// What an original has that a rendering of it does not tell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Remainder {
    /// Members that the rendering has not, or spells otherwise; of an object on both sides only what differs.
    pub members: Members,
    /// Members of the rendering that the original has not, as JSON pointers (RFC 6901).
    pub absent: Vec<String>,
}

impl Remainder {
    /// What `original` has that `rendered` does not tell.
    pub fn of(original: &Members, rendered: &Members) -> Remainder {
        let mut absent = Vec::new();
        let members = collect(original, rendered, "", &mut absent);
        absent.sort();
        Remainder { members, absent }
    }

    /// Gives the original, where `rendered` is what it was taken of.
    pub fn put_back(&self, rendered: Members) -> Members {
        let mut members = merged(rendered, &self.members);
        for pointer in &self.absent {
            remove_at(&mut members, pointer);
        }
        members
    }
}

fn collect(original: &Members, rendered: &Members, at: &str, absent: &mut Vec<String>) -> Members {
    let (known, given) = (rendered.by_name(), original.by_name());
    let mut differing = Members::default();
    for (name, value) in original.iter() {
        let Some(told) = known.get(name) else {
            differing.push(name, value.clone());
            continue;
        };
        if *told == value {
            continue;
        }
        match (object(value), object(told)) {
            (Some(inner), Some(told)) => {
                let inner = collect(&inner, &told, &below(at, name), absent);
                if !inner.is_empty() {
                    differing.push(name, inner.to_json());
                }
            }
            _ => differing.push(name, value.clone()),
        }
    }
    absent.extend(rendered.iter().filter(|(name, _)| !given.contains_key(name)).map(|(name, _)| below(at, name)));
    // One order, whatever that of the original: a document that is put together again has another.
    differing.0.sort();
    differing
}

fn merged(rendered: Members, differing: &Members) -> Members {
    let mut left = differing.by_name();
    let mut members = Members::default();
    for (name, told) in rendered {
        let value = match left.remove(name.as_str()) {
            None => told,
            Some(value) => match (object(&told), object(value)) {
                (Some(told), Some(value)) => merged(told, &value).to_json(),
                _ => value.clone(),
            },
        };
        members.0.push((name, value));
    }
    for (name, value) in differing.iter().filter(|(name, _)| left.contains_key(name)) {
        members.push(name, value.clone());
    }
    members
}

fn remove_at(members: &mut Members, pointer: &str) {
    let Some(rest) = pointer.strip_prefix('/') else { return };
    let (name, inner) = match rest.split_once('/') {
        Some((name, inner)) => (name, Some(inner)),
        None => (rest, None),
    };
    let name = name.replace("~1", "/").replace("~0", "~");
    let Some(inner) = inner else {
        members.remove(&name);
        return;
    };
    if let Some(mut object) = members.object(&name) {
        remove_at(&mut object, &format!("/{inner}"));
        members.set(&name, object.to_json());
    }
}

fn below(at: &str, name: &str) -> String {
    format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// How deep the objects and arrays of a document are nested.
pub fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_text, mut escaped) = (0usize, 0, false, false);
    for byte in json {
        if in_text {
            in_text = escaped || *byte != b'"';
            escaped = !escaped && *byte == b'\\';
            continue;
        }
        match byte {
            b'"' => in_text = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// A JSON document without the white space between its tokens.
pub fn on_one_line(json: &str) -> String {
    let mut line = String::with_capacity(json.len());
    let (mut in_text, mut escaped) = (false, false);
    for c in json.chars() {
        if in_text {
            in_text = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else if c == '"' {
            in_text = true;
        } else if matches!(c, ' ' | '\t' | '\n' | '\r') {
            continue;
        }
        line.push(c);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(text: &str) -> Members {
        Members::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn what_a_rendering_does_not_tell_comes_back() {
        let original = members(r#"{"a":1.50,"b":{"x":null,"y":[1, 2]},"c":{},"d/e":{"k":1},"f":{"g":1}}"#);
        let rendered = members(r#"{"a":1.5,"b":{"x":1,"z":true},"c":{"q":0},"h":"more","f":7}"#);
        let remainder = Remainder::of(&original, &rendered);
        assert_eq!(remainder.absent, ["/b/z", "/c/q", "/h"]);
        let back = remainder.put_back(rendered);
        assert_eq!(back.by_name().len(), 5);
        for (name, value) in original.iter() {
            let spelling = back.get(name).map(|json| on_one_line(json.as_str()));
            assert_eq!(spelling.as_deref(), Some(on_one_line(value.as_str()).as_str()), "{name}");
        }
    }

    #[test]
    fn texts_keep_their_white_space() {
        assert_eq!(on_one_line("{ \"a b\" : \"c \\\" d\" ,\n\t\"e\\\\\" : 1 }"), r#"{"a b":"c \" d","e\\":1}"#);
    }

    #[test]
    fn depth_counts_no_brackets_in_texts() {
        assert_eq!(depth(br#"{"a[":[{"b\"{":1}],"c":[]}"#), 3);
    }

    #[test]
    fn two_members_of_one_name_are_refused() {
        assert!(Members::parse(b"{\"a\":1,\"a\":1}").unwrap_err().contains("duplicate field `a`"));
    }
}
