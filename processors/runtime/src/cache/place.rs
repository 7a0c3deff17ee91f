//! Where a scope or branch stands in its execution, in as few bytes as it needs.

use uuid::Uuid;
use uuid::fmt::Hyphenated;

/// First byte where the scope's id is a UUID as text, as each is that the engine derives: its 16 bytes follow.
const UUID: u8 = 0;
/// First byte where it is not: it follows as it is.
const TEXT: u8 = 1;
/// Between scope and branch. It is in no text of a scope, so that the first one ends it, whatever the branch is named.
const SEPARATOR: u8 = 0;

/// The place of a scope, or of a branch of it; that of a scope begins those of its branches.
pub fn place_of(scope: &str, branch: Option<&str>) -> Vec<u8> {
    let room = 1 + scope.len() + branch.map_or(0, |branch| 1 + branch.len());
    let mut place = Vec::with_capacity(room);
    match Uuid::try_parse(scope).ok().filter(|uuid| is_text_of(scope, *uuid)) {
        Some(uuid) => {
            place.push(UUID);
            place.extend_from_slice(uuid.as_bytes());
        }
        None => {
            place.push(TEXT);
            place.extend_from_slice(scope.as_bytes());
        }
    }
    if let Some(branch) = branch {
        place.push(SEPARATOR);
        place.extend_from_slice(branch.as_bytes());
    }
    place
}

/// The ids of a place, after that of the execution, as the record names them.
pub fn ids_of(execution_id: &str, place: &[u8]) -> Vec<u8> {
    let mut text = Uuid::encode_buffer();
    let (scope, branch): (&[u8], &[u8]) = match place.split_first() {
        Some((&UUID, rest)) => match rest.split_first_chunk() {
            Some((uuid, branch)) => (Uuid::from_bytes(*uuid).hyphenated().encode_lower(&mut text).as_bytes(), branch),
            None => (rest, &[]),
        },
        Some((_, rest)) => (rest, &[]),
        None => (&[], &[]),
    };
    [execution_id.as_bytes(), scope, branch].concat()
}

fn is_text_of(scope: &str, uuid: Uuid) -> bool {
    uuid.hyphenated().encode_lower(&mut [0; Hyphenated::LENGTH]) == scope
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_tells_the_ids_that_it_was_made_of() {
        let uuid = "6076b79f-4030-5d05-a150-38306c2b85a0";
        let (upper, simple) = (uuid.to_uppercase(), uuid.replace('-', ""));
        for scope in ["", "s", uuid, &upper, &simple, &format!("{{{uuid}}}")] {
            for branch in [None, Some(""), Some("b"), Some("\u{0}b")] {
                let ids = ["execution", scope, branch.map_or("", |_| "\u{0}"), branch.unwrap_or_default()].concat();
                assert_eq!(ids_of("execution", &place_of(scope, branch)), ids.as_bytes());
            }
            let (of_scope, of_branch) = (place_of(scope, None), place_of(scope, Some("b")));
            assert!(of_branch.starts_with(&of_scope) && of_branch.len() == of_scope.len() + 2);
        }
        assert_eq!(place_of(uuid, None).len(), 17);
    }
}
