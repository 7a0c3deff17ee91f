//! Ids: those that come in, and those that the engine derives so that handling an input again makes the same ones.

use sha1::{Digest, Sha1};
use uuid::{Builder, Uuid};

use crate::limits::{EXECUTION_ID_MAX_BYTES, has_control};
use crate::partition::partition_of;

/// Namespace of every UUIDv5 that Thalweg derives: UUIDv5(URL, "https://thalweg.io/ids").
const NAMESPACE: Uuid = Uuid::from_u128(0x5d3b_94a6_0c1e_5f0a_9a57_2f6f_0d7b_6c11);

/// Attempts to find an id that hashes to a given partition; each misses with probability 1 - 1/partitions.
const KEYLESS_ATTEMPTS_MAX: u32 = 1_000_000;

/// UUIDv5 over `parts`, each preceded by its length, so that no two lists of parts read the same.
///
/// As RFC 9562 section 5.5 says; not `Uuid::new_v5`, whose SHA-1 does without the processor's instructions for it.
fn derive(parts: &[&[u8]]) -> Uuid {
    let mut hash = Sha1::new();
    hash.update(NAMESPACE.as_bytes());
    for part in parts {
        hash.update((part.len() as u32).to_be_bytes());
        hash.update(part);
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize()[..16]);
    Builder::from_sha1_bytes(bytes).into_uuid()
}

/// Id of something that the engine makes while it handles an input.
///
/// `input` is the id of the event that is handled, `maker` the task or the engine's part that makes it,
/// `ordinal` its place among what this maker makes.
pub fn derived_id(execution_id: &str, input: &str, redrive: u32, maker: &str, attempt: i32, ordinal: usize) -> String {
    derive(&[
        execution_id.as_bytes(),
        input.as_bytes(),
        &redrive.to_be_bytes(),
        maker.as_bytes(),
        &attempt.to_be_bytes(),
        &(ordinal as u64).to_be_bytes(),
    ])
    .to_string()
}

/// What is remembered of an input for deduplication: UUIDv5 of (event_id, redrive number), 16 bytes.
pub fn input_id(event_id: &str, redrive: u32) -> [u8; 16] {
    *derive(&[b"input", event_id.as_bytes(), &redrive.to_be_bytes()]).as_bytes()
}

/// A number from 0 to 1, 1 excluded, that derives from an id.
pub fn share_of(id: &str) -> f64 {
    // Its first 48 bits: the next are the version's, and the same in all.
    let bits = derive(&[b"share", id.as_bytes()]).as_u128() >> 80;
    bits as f64 / (1u64 << 48) as f64
}

/// Hash of an execution id by which caches find it.
pub fn execution_hash(execution_id: &str) -> u128 {
    derive(&[b"execution", execution_id.as_bytes()]).as_u128()
}

/// Id of an event whose writer gave none: from its place in the inbox.
pub fn event_id_at(position: &str) -> String {
    derive(&[b"event", position.as_bytes()]).to_string()
}

/// Id of a start whose writer gave none, and a request_id.
pub fn event_id_of(request_id: &str) -> String {
    derive(&[b"request", request_id.as_bytes()]).to_string()
}

/// Execution of a start whose writer gave no execution and a request_id: the same request is the same execution.
pub fn execution_id_of(request_id: &str) -> String {
    derive(&[b"requested", request_id.as_bytes()]).to_string()
}

/// Id of the rejection of the record at `position`.
pub fn rejection_id_at(position: &str) -> String {
    derive(&[b"rejection", position.as_bytes()]).to_string()
}

/// Execution id of a start without one at `position`: the first of a series that hashes to `partition`, so that it stays where it is.
pub fn execution_id_at(position: &str, partition: i32, partitions: i32) -> String {
    let nth = |n: u32| derive(&[b"start", position.as_bytes(), &n.to_be_bytes()]).to_string();
    (0..KEYLESS_ATTEMPTS_MAX)
        .map(nth)
        .find(|id| partition_of(id.as_bytes(), partitions) == partition)
        .unwrap_or_else(|| nth(0))
}

/// Checks an execution id from outside.
///
/// # Errors
/// A sentence that says what is wrong: empty, longer than [`EXECUTION_ID_MAX_BYTES`], or control characters.
pub fn check_execution_id(id: &str) -> Result<(), String> {
    if id.is_empty() {
        Err("execution_id is empty".to_owned())
    } else if id.len() > EXECUTION_ID_MAX_BYTES {
        Err(format!("execution_id has {} bytes, at most {EXECUTION_ID_MAX_BYTES} are allowed", id.len()))
    } else if has_control(id) {
        Err("execution_id has control characters".to_owned())
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyless_start_stays_on_its_partition() {
        for partition in 0..12 {
            let id = execution_id_at(&format!("inbox/{partition}/7"), partition, 12);
            assert_eq!(partition_of(id.as_bytes(), 12), partition);
        }
    }

    #[test]
    fn a_derived_id_is_the_uuid_library_s_own_uuid_v5() {
        let name = [&1u32.to_be_bytes()[..], b"a", &2u32.to_be_bytes()[..], b"bc"].concat();
        assert_eq!(derive(&[b"a", b"bc"]), Uuid::new_v5(&NAMESPACE, &name));
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(derived_id("ab", "c", 0, "t", 1, 0), derived_id("a", "bc", 0, "t", 1, 0));
        assert_ne!(input_id("e", 0), input_id("e", 1));
    }
}
