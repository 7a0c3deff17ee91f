//! Which dialect a record is in: as its header says, else by its shape.

use super::members::Members;
use super::{Dialect, HEADER_DIALECT, Headers, cloudevents};
use crate::error_code::ErrorCode;
use crate::inbound::Refusal;

/// The newest header of this name, as text.
pub fn header<'a>(headers: Headers<'a>, name: &str) -> Option<&'a str> {
    let (_, value) = headers.iter().rev().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
    std::str::from_utf8(value.as_deref()?).ok()
}

/// What the headers say: `thalweg-dialect`, else those of the CloudEvents binding.
///
/// # Errors
/// EVENT_INVALID where it names no dialect.
pub fn by_headers(headers: Headers) -> Result<Option<Dialect>, Refusal> {
    if let Some(name) = header(headers, HEADER_DIALECT) {
        return name.parse().map(Some).map_err(|unknown: String| {
            let unknown: String = unknown.chars().take(64).collect();
            Refusal::new(
                ErrorCode::EventInvalid,
                format!("header {HEADER_DIALECT}: {unknown:?} is none of {}", Dialect::list()),
            )
        });
    }
    Ok(cloudevents::says_so(headers).then_some(Dialect::Cloudevents))
}

/// The dialect that a JSON document has the shape of; none: it is in the native form, or no JSON object.
///
/// # Errors
/// EVENT_INVALID where it has the shape of several, which the message names.
pub fn of_shape(text: &[u8]) -> Result<Option<Dialect>, Refusal> {
    let Ok(document) = Members::parse(text) else { return Ok(None) };
    let shaped = |dialect: &Dialect| dialect.mapping().filter(|mapping| (mapping.has_shape)(&document));
    let found: Vec<(Dialect, &str)> =
        Dialect::ALL.iter().filter_map(|dialect| Some((*dialect, shaped(dialect)?.shape))).collect();
    match found.as_slice() {
        [] => Ok(None),
        [(dialect, _)] => Ok(Some(*dialect)),
        several => {
            let several: Vec<String> = several.iter().map(|(dialect, shape)| format!("{dialect} ({shape})")).collect();
            Err(Refusal::new(
                ErrorCode::EventInvalid,
                format!("it has the shape of {}: say which in the header {HEADER_DIALECT}", several.join(" and of ")),
            ))
        }
    }
}
