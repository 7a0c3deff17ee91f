//! Reads some fields of an Avro record and passes over the others.
//!
//! apache-avro makes a value of each field, wanted or not. A restore wants a few of each record, and most of its time
//! went into the others. And it can't ignore a field that has records in it, as a later version may add some. Here a
//! field that the record type does not name is only measured. What this can't read, for its schema has other types than
//! ours or its bytes are broken, is left to apache-avro, which reads it or tells why.
//!
//! Source of the format: Avro specification, "Binary Encoding".

use std::fmt::Display;

use apache_avro::Schema;
use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor,
    value::{BorrowedStrDeserializer, StrDeserializer},
};
use serde::forward_to_deserialize_any;

/// It can't be read here.
#[derive(Debug, thiserror::Error)]
#[error("not read")]
pub(super) struct NotRead;

impl de::Error for NotRead {
    fn custom<T: Display>(_: T) -> Self {
        NotRead
    }
}

/// How the values of a schema lie in a datum: as much of the schema as it takes to find their ends, in a form that is
/// walked in a fraction of the time.
pub(super) enum Layout {
    Null,
    Boolean,
    Number,
    Double,
    Bytes,
    Text,
    Union(Vec<Layout>),
    Array(Box<Layout>),
    /// Its values; the keys are texts.
    Map(Box<Layout>),
    /// Its fields and their names, in order.
    Record(Vec<(String, Layout)>),
}

impl Layout {
    /// That of a schema which has no types but those of schemas/.
    pub fn of(schema: &Schema) -> Option<Layout> {
        Some(match schema {
            Schema::Null => Layout::Null,
            Schema::Boolean => Layout::Boolean,
            Schema::Int | Schema::Long | Schema::TimestampMicros => Layout::Number,
            Schema::Double => Layout::Double,
            Schema::Bytes => Layout::Bytes,
            Schema::String => Layout::Text,
            Schema::Union(union) => Layout::Union(union.variants().iter().map(Layout::of).collect::<Option<_>>()?),
            Schema::Array(array) => Layout::Array(Box::new(Layout::of(&array.items)?)),
            Schema::Map(map) => Layout::Map(Box::new(Layout::of(&map.types)?)),
            Schema::Record(record) => {
                let fields = record.fields.iter().map(|field| Some((field.name.clone(), Layout::of(&field.schema)?)));
                Layout::Record(fields.collect::<Option<_>>()?)
            }
            _ => return None,
        })
    }
}

/// Reads the fields that `T` names of a datum of this layout.
pub(super) fn read<'de, T: Deserialize<'de>>(layout: &Layout, datum: &'de [u8]) -> Result<T, NotRead> {
    let mut bytes = Bytes(datum);
    let value = T::deserialize(Datum { layout, bytes: &mut bytes })?;
    if bytes.0.is_empty() { Ok(value) } else { Err(NotRead) }
}

/// What is left of a datum.
struct Bytes<'de>(&'de [u8]);

impl<'de> Bytes<'de> {
    fn take(&mut self, count: usize) -> Result<&'de [u8], NotRead> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(NotRead)?;
        self.0 = rest;
        Ok(taken)
    }

    /// A zig-zag variable-length integer, as `int` and `long` are written.
    fn number(&mut self) -> Result<i64, NotRead> {
        let (first, rest) = self.0.split_first().ok_or(NotRead)?;
        self.0 = rest;
        let mut number = u64::from(first & 0x7F);
        let (mut byte, mut shift) = (*first, 7);
        while byte & 0x80 != 0 {
            let (next, rest) = self.0.split_first().filter(|_| shift < u64::BITS).ok_or(NotRead)?;
            self.0 = rest;
            number |= u64::from(next & 0x7F) << shift;
            (byte, shift) = (*next, shift + 7);
        }
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    fn double(&mut self) -> Result<f64, NotRead> {
        let (double, rest) = self.0.split_first_chunk().ok_or(NotRead)?;
        self.0 = rest;
        Ok(f64::from_le_bytes(*double))
    }

    fn sized(&mut self) -> Result<&'de [u8], NotRead> {
        let size = self.number()?;
        self.take(usize::try_from(size).map_err(|_| NotRead)?)
    }

    fn text(&mut self) -> Result<&'de str, NotRead> {
        std::str::from_utf8(self.sized()?).map_err(|_| NotRead)
    }

    /// Items of the next block of an array or map; after the last one, 0. The size that may be told with a block is not needed.
    fn block(&mut self) -> Result<u64, NotRead> {
        let items = self.number()?;
        if items < 0 {
            self.number()?;
        }
        Ok(items.unsigned_abs())
    }

    /// The layout of the variant of a union that comes.
    fn variant<'s>(&mut self, variants: &'s [Layout]) -> Result<&'s Layout, NotRead> {
        let index = usize::try_from(self.number()?).map_err(|_| NotRead)?;
        variants.get(index).ok_or(NotRead)
    }

    fn pass_over(&mut self, layout: &Layout) -> Result<(), NotRead> {
        match layout {
            Layout::Null => {}
            Layout::Boolean => drop(self.take(1)?),
            Layout::Number => drop(self.number()?),
            Layout::Double => drop(self.double()?),
            Layout::Bytes | Layout::Text => drop(self.sized()?),
            Layout::Union(variants) => {
                let variant = self.variant(variants)?;
                self.pass_over(variant)?;
            }
            Layout::Record(fields) => fields.iter().try_for_each(|(_, field)| match field {
                // Most fields are; a call for each took most of the time.
                Layout::Text => self.sized().map(drop),
                field => self.pass_over(field),
            })?,
            Layout::Array(items) => self.pass_over_blocks(|bytes| bytes.pass_over(items))?,
            Layout::Map(values) => self.pass_over_blocks(|bytes| {
                bytes.sized()?;
                bytes.pass_over(values)
            })?,
        }
        Ok(())
    }

    fn pass_over_blocks(&mut self, item: impl Fn(&mut Self) -> Result<(), NotRead>) -> Result<(), NotRead> {
        loop {
            let count = self.block()?;
            if count == 0 {
                return Ok(());
            }
            for _ in 0..count {
                let before = self.0.len();
                item(self)?;
                // Any number of items that take nothing fits into a few bytes.
                if self.0.len() == before {
                    return Err(NotRead);
                }
            }
        }
    }
}

/// A value of a datum.
struct Datum<'s, 'b, 'de> {
    layout: &'s Layout,
    bytes: &'b mut Bytes<'de>,
}

impl<'de> Deserializer<'de> for Datum<'_, '_, 'de> {
    type Error = NotRead;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotRead> {
        let Datum { layout, bytes } = self;
        match layout {
            Layout::Null => visitor.visit_none(),
            Layout::Boolean => match bytes.take(1)? {
                [0] => visitor.visit_bool(false),
                [1] => visitor.visit_bool(true),
                _ => Err(NotRead),
            },
            Layout::Number => visitor.visit_i64(bytes.number()?),
            Layout::Bytes => visitor.visit_borrowed_bytes(bytes.sized()?),
            Layout::Text => visitor.visit_borrowed_str(bytes.text()?),
            Layout::Union(variants) => match bytes.variant(variants)? {
                Layout::Null => visitor.visit_none(),
                layout => visitor.visit_some(Datum { layout, bytes }),
            },
            Layout::Array(items) => visitor.visit_seq(Items { layout: items, bytes, left_in_block: 0 }),
            Layout::Map(values) => visitor.visit_map(Entries { layout: values, bytes, left_in_block: 0 }),
            Layout::Record(fields) => visitor.visit_map(Fields { left: fields, bytes }),
            Layout::Double => visitor.visit_f64(bytes.double()?),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, NotRead> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotRead> {
        self.bytes.pass_over(self.layout)?;
        visitor.visit_unit()
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct seq tuple
        tuple_struct map struct enum identifier
    }
}

/// The items of an array.
struct Items<'s, 'b, 'de> {
    layout: &'s Layout,
    bytes: &'b mut Bytes<'de>,
    left_in_block: u64,
}

impl<'de> SeqAccess<'de> for Items<'_, '_, 'de> {
    type Error = NotRead;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, NotRead> {
        if self.left_in_block == 0 {
            self.left_in_block = self.bytes.block()?;
        }
        let Some(left) = self.left_in_block.checked_sub(1) else { return Ok(None) };
        self.left_in_block = left;
        let before = self.bytes.0.len();
        let item = seed.deserialize(Datum { layout: self.layout, bytes: self.bytes })?;
        if self.bytes.0.len() == before { Err(NotRead) } else { Ok(Some(item)) }
    }
}

/// The entries of a map.
struct Entries<'s, 'b, 'de> {
    layout: &'s Layout,
    bytes: &'b mut Bytes<'de>,
    left_in_block: u64,
}

impl<'de> MapAccess<'de> for Entries<'_, '_, 'de> {
    type Error = NotRead;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, NotRead> {
        if self.left_in_block == 0 {
            self.left_in_block = self.bytes.block()?;
        }
        let Some(left) = self.left_in_block.checked_sub(1) else { return Ok(None) };
        self.left_in_block = left;
        seed.deserialize(BorrowedStrDeserializer::new(self.bytes.text()?)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, NotRead> {
        seed.deserialize(Datum { layout: self.layout, bytes: self.bytes })
    }
}

/// The fields of a record.
struct Fields<'s, 'b, 'de> {
    left: &'s [(String, Layout)],
    bytes: &'b mut Bytes<'de>,
}

impl<'de> MapAccess<'de> for Fields<'_, '_, 'de> {
    type Error = NotRead;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, NotRead> {
        let Some((name, _)) = self.left.first() else { return Ok(None) };
        let name: StrDeserializer<'_, NotRead> = name.as_str().into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, NotRead> {
        let ((_, layout), left) = self.left.split_first().ok_or(NotRead)?;
        self.left = left;
        seed.deserialize(Datum { layout, bytes: self.bytes })
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use apache_avro::reader::datum::GenericDatumReader;
    use serde::de::{DeserializeOwned, IgnoredAny};

    use super::*;
    use crate::context::{Branch, Context, ContextKey, ContextSummary, Scope, ScopeSummary};
    use crate::event::Event;

    /// Bytes before the datum in single-object encoding.
    const HEADER_BYTES: usize = 10;

    fn layout(text: &str) -> Layout {
        Layout::of(&Schema::parse_str(text).unwrap()).unwrap()
    }

    /// Each version of a schema with its golden record, read here and by apache-avro; and no beginning of it is read.
    fn assert_same<W: DeserializeOwned + PartialEq + Debug, T: DeserializeOwned + From<W> + PartialEq + Debug>(
        name: &str,
    ) {
        let directory = format!("{}/../../schemas/versions/{name}", env!("CARGO_MANIFEST_DIR"));
        let file = |version: usize, kind: &str| std::fs::read(format!("{directory}/{version}.{kind}"));
        let mut versions = 0;
        while let Ok(text) = file(versions + 1, "avsc") {
            versions += 1;
            let schema = Schema::parse(&serde_json::from_slice(&text).unwrap()).unwrap();
            let layout = Layout::of(&schema).unwrap();
            let record = file(versions, "avro").unwrap();
            let datum = &record[HEADER_BYTES..];
            let reader = GenericDatumReader::builder(&schema).human_readable(false).build().unwrap();
            let whole: W = reader.read_deser(&mut &*datum).unwrap();
            assert_eq!(read::<W>(&layout, datum).unwrap(), whole, "{name} {versions}");
            assert_eq!(read::<T>(&layout, datum).unwrap(), T::from(whole), "{name} {versions}");
            for length in 0..datum.len() {
                assert!(read::<T>(&layout, &datum[..length]).is_err(), "{name} {versions}, {length} bytes");
            }
        }
        assert!(versions > 0);
    }

    #[test]
    fn what_is_read_here_is_what_apache_avro_reads() {
        assert_same::<Context, ContextSummary>("context");
        assert_same::<Scope, ScopeSummary>("scope");
        assert_same::<Branch, Branch>("branch");
        assert_same::<ContextKey, ContextKey>("context_key");
        assert_same::<Event, Event>("event");
    }

    #[test]
    fn blocks_of_an_array_may_tell_their_size() {
        let longs = layout(r#"{"type": "array", "items": "long"}"#);
        // Two items in two bytes, then one item, then none.
        let datum = [3, 4, 2, 4, 2, 6, 0];
        assert_eq!(read::<Vec<i64>>(&longs, &datum).unwrap(), [1, 2, 3]);
        read::<IgnoredAny>(&longs, &datum).unwrap();
    }

    /// A number of ten bytes at most, a length below the end, items that take something: all that could run away.
    #[test]
    fn what_runs_away_is_not_read() {
        let read_any = |text: &str, datum: &[u8]| read::<IgnoredAny>(&layout(text), datum).is_ok();
        let longest = [[0xFF; 9].as_slice(), &[1]].concat();
        assert_eq!(read::<i64>(&layout(r#""long""#), &longest).unwrap(), i64::MIN);
        assert!(!read_any(r#""long""#, &[[0xFF; 10].as_slice(), &[1]].concat()));
        assert!(!read_any(r#""string""#, &longest));
        assert!(!read_any(r#""string""#, &[4, b'a']));
        let many_nothings = [[0xFE; 9].as_slice(), &[1, 0]].concat();
        assert!(!read_any(r#"{"type": "array", "items": "null"}"#, &many_nothings));
        let nothings = layout(r#"{"type": "array", "items": "null"}"#);
        assert!(read::<Vec<Option<i64>>>(&nothings, &many_nothings).is_err());
        assert!(!read_any(r#"["null", "long"]"#, &[4]));
        assert!(!read_any(r#""long""#, &[2, 2]), "bytes are left over");
    }

    #[test]
    fn a_schema_with_other_types_than_ours_has_no_layout() {
        for text in [r#""float""#, r#"{"type": "array", "items": {"type": "fixed", "name": "f", "size": 2}}"#] {
            assert!(Layout::of(&Schema::parse_str(text).unwrap()).is_none(), "{text}");
        }
    }
}
