//! The schemas that are compiled in, those that were learned from the registry, and reading and writing with them.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, RwLock};

use apache_avro::Schema;
use apache_avro::rabin::Rabin;
use apache_avro::reader::datum::GenericDatumReader;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::projection::{self, Layout};
use super::{SINGLE_OBJECT, datum};
use crate::context::{Branch, Context, ContextKey, ContextSummary, Scope, ScopeSummary};
use crate::error_code::ErrorCode;
use crate::event::Event;
use crate::limits::AVRO_ALLOCATION_MAX_BYTES;

/// CRC-64-AVRO fingerprint of a schema, as single-object encoding carries it.
pub type Fingerprint = [u8; 8];

/// Schemas that may be learned from a registry in one process; each stays in memory for its life.
const LEARNED_MAX: usize = 1024;
/// Bytes of most records: room that an encoder begins with.
const RECORD_BYTES: usize = 1024;
/// Length of `C3 01` and the fingerprint.
const HEADER_BYTES: usize = 10;

/// Why bytes could not be read or a record not be written.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// The framing or the datum is broken.
    #[error("can't be decoded: {0}")]
    Malformed(String),
    /// Nobody registered the writer's schema.
    #[error("the writer's schema, fingerprint {0}, is in no registry; register it before writing with it")]
    SchemaUnknown(String),
    /// A record does not fit its schema.
    #[error("can't be encoded: {0}")]
    Encode(String),
}

impl CodecError {
    /// Its code.
    pub fn code(&self) -> ErrorCode {
        match self {
            CodecError::SchemaUnknown(_) => ErrorCode::SchemaUnknown,
            CodecError::Malformed(_) | CodecError::Encode(_) => ErrorCode::DecodeFailed,
        }
    }
}

/// A schema of schemas/, with its text as registered.
struct Known {
    text: &'static str,
    schema: Schema,
    fingerprint: Fingerprint,
}

fn known(text: &'static str) -> Known {
    #[allow(clippy::expect_used, reason = "the text is compiled in and every test reads it")]
    let schema = Schema::parse_str(text).expect("a schema of schemas/ parses");
    let fingerprint = fingerprint_of(&schema);
    Known { text, schema, fingerprint }
}

static EVENT: LazyLock<Known> = LazyLock::new(|| known(include_str!("../../../../schemas/event.avsc")));
static CONTEXT: LazyLock<Known> = LazyLock::new(|| known(include_str!("../../../../schemas/context.avsc")));
static SCOPE: LazyLock<Known> = LazyLock::new(|| known(include_str!("../../../../schemas/scope.avsc")));
static BRANCH: LazyLock<Known> = LazyLock::new(|| known(include_str!("../../../../schemas/branch.avsc")));
static CONTEXT_KEY: LazyLock<Known> = LazyLock::new(|| known(include_str!("../../../../schemas/context_key.avsc")));

/// The fingerprint of a schema, as other Avro libraries compute it; zeros for one that has no canonical form.
pub fn fingerprint_of(schema: &Schema) -> Fingerprint {
    canonical_fingerprint(schema).unwrap_or_default()
}

/// The fingerprint of a schema's text.
///
/// # Errors
/// Where the text is no schema.
pub fn fingerprint_of_text(text: &str) -> Result<Fingerprint, CodecError> {
    let schema = Schema::parse_str(text).map_err(|e| CodecError::Malformed(e.to_string()))?;
    canonical_fingerprint(&schema).ok_or_else(|| CodecError::Malformed("the schema has no canonical form".to_owned()))
}

/// apache-avro's canonical form is computed from a schema without anything that does not belong into it. Otherwise it
/// keeps `{"type":"long"}` where a type had a logical type (by the specification's rule PRIMITIVES, and in Java and
/// Python, it is `"long"`), takes a field's own attributes for the type's, and panics where those are no schemas.
fn canonical_fingerprint(schema: &Schema) -> Option<Fingerprint> {
    let stripped = stripped(&serde_json::to_value(schema).ok()?)?;
    let mut fingerprint = Fingerprint::default();
    for (to, from) in fingerprint.iter_mut().zip(Schema::parse(&stripped).ok()?.fingerprint::<Rabin>().bytes) {
        *to = from;
    }
    Some(fingerprint)
}

/// What of a schema its canonical form is made of: the specification's rule STRIP.
fn stripped(schema: &Value) -> Option<Value> {
    let (attributes, inner) = match schema {
        Value::String(_) => return Some(schema.clone()),
        Value::Array(variants) => return variants.iter().map(stripped).collect::<Option<_>>().map(Value::Array),
        Value::Object(attributes) => (attributes, attributes.get("type")?),
        Value::Null | Value::Bool(_) | Value::Number(_) => return None,
    };
    let kept: &[&str] = match inner.as_str() {
        Some("record" | "error") => &["type", "name", "namespace"],
        Some("enum") => &["type", "name", "namespace", "symbols"],
        Some("fixed") => &["type", "name", "namespace", "size"],
        Some("array" | "map") => &["type"],
        // A primitive type, or the name of a type.
        Some(_) => return Some(inner.clone()),
        None => return stripped(inner),
    };
    let mut plain: Map<String, Value> =
        kept.iter().filter_map(|name| Some(((*name).to_owned(), attributes.get(*name)?.clone()))).collect();
    if plain.get("size").is_some_and(|size| size.as_i64().is_none()) {
        return None;
    }
    for name in ["items", "values"] {
        if let Some(of) = attributes.get(name).filter(|_| kept.len() == 1) {
            plain.insert(name.to_owned(), stripped(of)?);
        }
    }
    if matches!(inner.as_str(), Some("record" | "error")) {
        let field = |field: &Value| Some(json!({"name": field.get("name")?, "type": stripped(field.get("type")?)?}));
        let fields: Option<Vec<Value>> = attributes.get("fields")?.as_array()?.iter().map(field).collect();
        plain.insert("fields".to_owned(), Value::Array(fields?));
    }
    Some(Value::Object(plain))
}

/// Writes records with one schema.
struct Writer {
    header: [u8; HEADER_BYTES],
}

impl Writer {
    fn new(known: &'static Known) -> Writer {
        let mut header = [0; HEADER_BYTES];
        header[..2].copy_from_slice(&SINGLE_OBJECT);
        header[2..].copy_from_slice(&known.fingerprint);
        Writer { header }
    }

    fn append(&self, record: &impl Serialize, bytes: &mut Vec<u8>) -> Result<(), CodecError> {
        bytes.extend_from_slice(&self.header);
        datum::write(bytes, record).map_err(|e| CodecError::Encode(e.to_string()))
    }

    fn write(&self, record: &impl Serialize) -> Result<Vec<u8>, CodecError> {
        let mut bytes = Vec::with_capacity(RECORD_BYTES);
        self.append(record, &mut bytes)?;
        Ok(bytes)
    }
}

/// Reads datums of one writer's schema.
struct Reader {
    name: String,
    /// Where it has no types but those of our schemas.
    layout: Option<Layout>,
    datum: GenericDatumReader<'static>,
}

impl Reader {
    fn new(schema: &'static Schema) -> Result<Reader, CodecError> {
        let name = schema.name().map(|name| name.to_string()).unwrap_or_default();
        Ok(Reader { name, layout: Layout::of(schema), datum: datum_reader(schema)? })
    }

    /// Reads the fields that `T` names, and of the others no more than where they end, where that is possible.
    fn read_part<T: DeserializeOwned>(&self, datum: &[u8]) -> Option<T> {
        projection::read(self.layout.as_ref()?, datum).ok()
    }

    /// Reads all fields. Those that `T` does not name must be no records: apache-avro can't ignore one.
    fn read_whole<T: DeserializeOwned>(&self, datum: &[u8]) -> Result<T, CodecError> {
        let mut rest = datum;
        let record = self.datum.read_deser(&mut rest).map_err(|e| CodecError::Malformed(e.to_string()))?;
        if !rest.is_empty() {
            return Err(CodecError::Malformed(format!("{} bytes are left over after the datum", rest.len())));
        }
        Ok(record)
    }
}

fn datum_reader(schema: &Schema) -> Result<GenericDatumReader<'_>, CodecError> {
    let malformed = |e: apache_avro::Error| CodecError::Malformed(e.to_string());
    GenericDatumReader::builder(schema).human_readable(false).build().map_err(malformed)
}

/// All schemas that this process can read and write. One a process is enough; it is shared by its lanes.
pub struct Schemas {
    event: Writer,
    context: Writer,
    scope: Writer,
    branch: Writer,
    context_key: Writer,
    compiled_in: Vec<(Fingerprint, Reader)>,
    learned: RwLock<HashMap<Fingerprint, Arc<Reader>>>,
}

impl std::fmt::Debug for Schemas {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Schemas").finish_non_exhaustive()
    }
}

impl Schemas {
    /// The schemas that are compiled in.
    ///
    /// # Errors
    /// Where one of them can't be resolved, which a test rules out.
    pub fn new() -> Result<Schemas, CodecError> {
        // Set once for the process, before anything is decoded: the library's own cap is 512 MiB.
        apache_avro::util::max_allocation_bytes(AVRO_ALLOCATION_MAX_BYTES);
        let readers =
            Schemas::compiled_in().into_iter().map(|known| Ok((known.fingerprint, Reader::new(&known.schema)?)));
        Ok(Schemas {
            event: Writer::new(&EVENT),
            context: Writer::new(&CONTEXT),
            scope: Writer::new(&SCOPE),
            branch: Writer::new(&BRANCH),
            context_key: Writer::new(&CONTEXT_KEY),
            compiled_in: readers.collect::<Result<_, CodecError>>()?,
            learned: RwLock::default(),
        })
    }

    fn compiled_in() -> [&'static Known; 5] {
        [&EVENT, &CONTEXT, &SCOPE, &BRANCH, &CONTEXT_KEY]
    }

    /// What a router registers before it first writes: fingerprint and text of each schema that it writes with.
    pub fn to_register() -> Vec<(Fingerprint, &'static str)> {
        Schemas::compiled_in().into_iter().map(|known| (known.fingerprint, known.text)).collect()
    }

    /// Takes in a schema from the registry.
    ///
    /// # Errors
    /// Where the text is no schema, does not have this fingerprint, or too many were learned.
    pub fn learn(&self, fingerprint: Fingerprint, text: &str) -> Result<(), CodecError> {
        if self.knows(&fingerprint) {
            return Ok(());
        }
        let schema = Schema::parse_str(text).map_err(|e| CodecError::Malformed(e.to_string()))?;
        if canonical_fingerprint(&schema) != Some(fingerprint) {
            return Err(CodecError::Malformed("the registered schema has another fingerprint than its key".to_owned()));
        }
        if self.learned.read().map_or(0, |learned| learned.len()) >= LEARNED_MAX {
            return Err(CodecError::Malformed(format!("more than {LEARNED_MAX} schemas")));
        }
        // A schema that nothing can be read by would be kept for nothing, each time that it is met.
        datum_reader(&schema)?;
        // A reader borrows its schema for its life, and both live as long as the process: at most LEARNED_MAX of them.
        let reader = Reader::new(Box::leak(Box::new(schema)))?;
        if let Ok(mut learned) = self.learned.write() {
            learned.insert(fingerprint, Arc::new(reader));
        }
        Ok(())
    }

    /// Can it read what was written with this schema?
    pub fn knows(&self, fingerprint: &Fingerprint) -> bool {
        self.compiled_in.iter().any(|(known, _)| known == fingerprint)
            || self.learned.read().is_ok_and(|learned| learned.contains_key(fingerprint))
    }

    /// Has the datum of a record of this name read by the reader of its schema, which is told to be ours or another.
    fn read_by<T>(
        &self,
        bytes: &[u8],
        name: &str,
        read: impl FnOnce(&Reader, bool, &[u8]) -> Result<T, CodecError>,
    ) -> Result<T, CodecError> {
        let malformed = |what: String| CodecError::Malformed(what);
        let (Some(header), Some(datum)) = (bytes.get(..HEADER_BYTES), bytes.get(HEADER_BYTES..)) else {
            return Err(malformed("shorter than the header of single-object encoding".to_owned()));
        };
        if header[..2] != SINGLE_OBJECT {
            return Err(malformed("it does not begin with C3 01".to_owned()));
        }
        let mut fingerprint = Fingerprint::default();
        fingerprint.copy_from_slice(&header[2..]);
        let read = |reader: &Reader, is_ours| match reader.name == name {
            true => read(reader, is_ours, datum),
            false => Err(malformed(format!("it is a {}, not a {name}", reader.name))),
        };
        if let Some((_, reader)) = self.compiled_in.iter().find(|(known, _)| *known == fingerprint) {
            return read(reader, true);
        }
        let learned = self.learned.read().ok().and_then(|learned| learned.get(&fingerprint).cloned());
        let Some(reader) = learned else {
            return Err(CodecError::SchemaUnknown(crate::effect::to_hex(&fingerprint)));
        };
        read(&reader, false)
    }

    fn read<T: DeserializeOwned>(&self, bytes: &[u8], name: &str) -> Result<T, CodecError> {
        self.read_by(bytes, name, |reader, is_ours, datum| {
            // Only another schema has fields that this build does not know.
            let part = if is_ours { None } else { reader.read_part(datum) };
            part.map_or_else(|| reader.read_whole(datum), Ok)
        })
    }

    /// Reads the fields that `T` names, where that is possible; else the whole record.
    pub(super) fn read_part<T, W>(&self, bytes: &[u8], name: &str) -> Result<T, CodecError>
    where
        T: DeserializeOwned + From<W>,
        W: DeserializeOwned,
    {
        self.read_by(bytes, name, |reader, _, datum| match reader.read_part(datum) {
            Some(part) => Ok(part),
            None => reader.read_whole::<W>(datum).map(T::from),
        })
    }

    /// Reads what a router must know of a `Context` to hold it. What the other fields hold is not looked at.
    ///
    /// # Errors
    /// Where the bytes are none, or their schema is unknown.
    pub fn read_context_summary(&self, bytes: &[u8]) -> Result<ContextSummary, CodecError> {
        self.read_part::<_, Context>(bytes, "thalweg.Context")
    }

    /// Reads the status of a `Scope`.
    ///
    /// # Errors
    /// Where the bytes are none, or their schema is unknown.
    pub fn read_scope_summary(&self, bytes: &[u8]) -> Result<ScopeSummary, CodecError> {
        self.read_part::<_, Scope>(bytes, "thalweg.Scope")
    }
}

impl Schemas {
    /// Appends an `Event` in single-object encoding to `bytes`.
    ///
    /// # Errors
    /// Where the event does not fit the schema; part of it may have been appended.
    pub fn append_event(&self, event: &Event, bytes: &mut Vec<u8>) -> Result<(), CodecError> {
        self.event.append(event, bytes)
    }
}

/// A read and a write function for one record type.
macro_rules! record {
    ($read:ident, $write:ident, $field:ident, $type:ty, $name:literal) => {
        impl Schemas {
            #[doc = concat!("Reads a `", $name, "` in single-object encoding.\n\n# Errors\nWhere the bytes are none, or their schema is unknown.")]
            pub fn $read(&self, bytes: &[u8]) -> Result<$type, CodecError> {
                self.read(bytes, $name)
            }

            #[doc = concat!("Writes a `", $name, "` in single-object encoding.\n\n# Errors\nWhere the record does not fit the schema.")]
            pub fn $write(&self, record: &$type) -> Result<Vec<u8>, CodecError> {
                self.$field.write(record)
            }
        }
    };
}

record!(read_event, write_event, event, Event, "thalweg.Event");
record!(read_context, write_context, context, Context, "thalweg.Context");
record!(read_scope, write_scope, scope, Scope, "thalweg.Scope");
record!(read_branch, write_branch, branch, Branch, "thalweg.Branch");
record!(read_context_key, write_context_key, context_key, ContextKey, "thalweg.ContextKey");
