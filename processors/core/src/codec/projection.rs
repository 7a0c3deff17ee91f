//! Reads some fields of an Avro record and passes over the others.
//!
//! apache-avro makes a value of each field, wanted or not. A restore wants a few of each record, and most of its time
//! went into the others. Here a field that the record type does not name is only measured. What this can't read, for
//! its schema has more than ours or its bytes are broken, is left to apache-avro, which reads it or tells why.
//!
//! Source of the format: Avro specification, "Binary Encoding".

use std::fmt::Display;

use apache_avro::Schema;
use apache_avro::schema::RecordField;
use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor,
    value::StrDeserializer,
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

/// Reads the fields that `T` names of a datum that was written with `schema`.
pub(super) fn read<'de, T: Deserialize<'de>>(schema: &Schema, datum: &'de [u8]) -> Result<T, NotRead> {
    let mut bytes = Bytes(datum);
    let value = T::deserialize(Datum { schema, bytes: &mut bytes })?;
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
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(NotRead)?;
            self.0 = rest;
            number |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Ok((number >> 1) as i64 ^ -((number & 1) as i64));
            }
        }
        Err(NotRead)
    }

    fn sized(&mut self) -> Result<&'de [u8], NotRead> {
        let size = self.number()?;
        self.take(usize::try_from(size).map_err(|_| NotRead)?)
    }

    fn text(&mut self) -> Result<&'de str, NotRead> {
        std::str::from_utf8(self.sized()?).map_err(|_| NotRead)
    }

    /// Items of the next block of an array; after the last one, 0. The size that may be told with a block is not needed.
    fn block(&mut self) -> Result<u64, NotRead> {
        let items = self.number()?;
        if items < 0 {
            self.number()?;
        }
        Ok(items.unsigned_abs())
    }

    /// The schema of the variant of a union that comes.
    fn variant<'s>(&mut self, variants: &'s [Schema]) -> Result<&'s Schema, NotRead> {
        let index = usize::try_from(self.number()?).map_err(|_| NotRead)?;
        variants.get(index).ok_or(NotRead)
    }

    fn pass_over(&mut self, schema: &Schema) -> Result<(), NotRead> {
        match schema {
            Schema::Null => {}
            Schema::Boolean => drop(self.take(1)?),
            Schema::Double => drop(self.take(size_of::<f64>())?),
            Schema::Int | Schema::Long | Schema::TimestampMicros => drop(self.number()?),
            Schema::Bytes | Schema::String => drop(self.sized()?),
            Schema::Union(union) => {
                let variant = self.variant(union.variants())?;
                self.pass_over(variant)?;
            }
            Schema::Record(record) => {
                record.fields.iter().try_for_each(|field| self.pass_over(&field.schema))?;
            }
            Schema::Array(array) => loop {
                let items = self.block()?;
                if items == 0 {
                    break;
                }
                for _ in 0..items {
                    let before = self.0.len();
                    self.pass_over(&array.items)?;
                    // Any number of items that take nothing fits into a few bytes.
                    if self.0.len() == before {
                        return Err(NotRead);
                    }
                }
            },
            _ => return Err(NotRead),
        }
        Ok(())
    }
}

/// A value of a datum.
struct Datum<'s, 'b, 'de> {
    schema: &'s Schema,
    bytes: &'b mut Bytes<'de>,
}

impl<'de> Deserializer<'de> for Datum<'_, '_, 'de> {
    type Error = NotRead;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotRead> {
        let Datum { schema, bytes } = self;
        match schema {
            Schema::Null => visitor.visit_none(),
            Schema::Boolean => match bytes.take(1)? {
                [0] => visitor.visit_bool(false),
                [1] => visitor.visit_bool(true),
                _ => Err(NotRead),
            },
            Schema::Int | Schema::Long | Schema::TimestampMicros => visitor.visit_i64(bytes.number()?),
            Schema::Bytes => visitor.visit_borrowed_bytes(bytes.sized()?),
            Schema::String => visitor.visit_borrowed_str(bytes.text()?),
            Schema::Union(union) => match bytes.variant(union.variants())? {
                Schema::Null => visitor.visit_none(),
                schema => visitor.visit_some(Datum { schema, bytes }),
            },
            Schema::Array(array) => visitor.visit_seq(Items { schema: &array.items, bytes, left_in_block: 0 }),
            Schema::Record(record) => visitor.visit_map(Fields { left: &record.fields, bytes }),
            _ => Err(NotRead),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, NotRead> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NotRead> {
        self.bytes.pass_over(self.schema)?;
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
    schema: &'s Schema,
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
        let item = seed.deserialize(Datum { schema: self.schema, bytes: self.bytes })?;
        if self.bytes.0.len() == before { Err(NotRead) } else { Ok(Some(item)) }
    }
}

/// The fields of a record.
struct Fields<'s, 'b, 'de> {
    left: &'s [RecordField],
    bytes: &'b mut Bytes<'de>,
}

impl<'de> MapAccess<'de> for Fields<'_, '_, 'de> {
    type Error = NotRead;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, NotRead> {
        let Some(field) = self.left.first() else { return Ok(None) };
        let name: StrDeserializer<'_, NotRead> = field.name.as_str().into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, NotRead> {
        let (field, left) = self.left.split_first().ok_or(NotRead)?;
        self.left = left;
        seed.deserialize(Datum { schema: &field.schema, bytes: self.bytes })
    }
}
