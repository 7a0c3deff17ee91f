//! Writes Avro datums of our own records: their values in the order of their fields, without looking at the schema.
//!
//! apache-avro finds each value's place in the schema by the field's name, which took most of the time in which a lane
//! encoded (`benches/codec.rs`). An Avro datum carries no names, so a struct whose fields stand in the order of its
//! schema needs none. That each of ours does is what `core/tests/schemas.rs` proves, by comparing with what apache-avro
//! writes; it also has no other unions than `["null", T]`, and no enums: unit variants are strings.
//!
//! Source of the format: Avro specification, "Binary Encoding".

use std::fmt::Display;

use serde::ser::{self, Impossible, Serialize, SerializeMap, SerializeSeq, SerializeStruct, Serializer};

/// Why a record can't be written: it has something that our schemas have not.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct DatumError(String);

impl ser::Error for DatumError {
    fn custom<T: Display>(message: T) -> Self {
        DatumError(message.to_string())
    }
}

fn unsupported<T>(what: &str) -> Result<T, DatumError> {
    Err(DatumError(format!("{what} has no place in any schema of schemas/")))
}

/// Appends the datum of `record` to `bytes`.
pub(super) fn write(bytes: &mut Vec<u8>, record: &impl Serialize) -> Result<(), DatumError> {
    record.serialize(Datum { bytes })
}

/// Appends to the bytes of one datum.
struct Datum<'a> {
    bytes: &'a mut Vec<u8>,
}

impl Datum<'_> {
    /// A zig-zag variable-length integer, as `int` and `long` are written.
    fn number(&mut self, number: i64) {
        let mut rest = ((number << 1) ^ (number >> 63)) as u64;
        while rest >= 0x80 {
            self.bytes.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.bytes.push(rest as u8);
    }

    fn sized(&mut self, content: &[u8]) {
        self.number(content.len() as i64);
        self.bytes.extend_from_slice(content);
    }

    /// The items of an array or map as one block, which ends with an empty one.
    fn block(mut self, items: Option<usize>) -> Result<Self, DatumError> {
        match items {
            None => return unsupported("a list of unknown length"),
            Some(0) => {}
            Some(items) => self.number(items as i64),
        }
        Ok(self)
    }
}

impl<'a> Serializer for Datum<'a> {
    type Ok = ();
    type Error = DatumError;
    type SerializeSeq = Datum<'a>;
    type SerializeTuple = Impossible<(), DatumError>;
    type SerializeTupleStruct = Impossible<(), DatumError>;
    type SerializeTupleVariant = Impossible<(), DatumError>;
    type SerializeMap = Datum<'a>;
    type SerializeStruct = Datum<'a>;
    type SerializeStructVariant = Impossible<(), DatumError>;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn serialize_bool(self, value: bool) -> Result<(), DatumError> {
        self.bytes.push(u8::from(value));
        Ok(())
    }

    fn serialize_i32(self, value: i32) -> Result<(), DatumError> {
        self.serialize_i64(value.into())
    }

    fn serialize_i64(mut self, value: i64) -> Result<(), DatumError> {
        self.number(value);
        Ok(())
    }

    fn serialize_f64(self, value: f64) -> Result<(), DatumError> {
        self.bytes.extend_from_slice(&value.to_le_bytes());
        Ok(())
    }

    fn serialize_str(mut self, value: &str) -> Result<(), DatumError> {
        self.sized(value.as_bytes());
        Ok(())
    }

    fn serialize_bytes(mut self, value: &[u8]) -> Result<(), DatumError> {
        self.sized(value);
        Ok(())
    }

    fn serialize_none(mut self) -> Result<(), DatumError> {
        self.number(0);
        Ok(())
    }

    fn serialize_some<T: ?Sized + Serialize>(mut self, value: &T) -> Result<(), DatumError> {
        self.number(1);
        value.serialize(self)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), DatumError> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(self, _: &'static str, value: &T) -> Result<(), DatumError> {
        value.serialize(self)
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Datum<'a>, DatumError> {
        self.block(len)
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Datum<'a>, DatumError> {
        self.block(len)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Datum<'a>, DatumError> {
        Ok(self)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, DatumError> {
        unsupported("a tuple")
    }

    fn serialize_i8(self, _: i8) -> Result<(), DatumError> {
        unsupported("an i8")
    }

    fn serialize_i16(self, _: i16) -> Result<(), DatumError> {
        unsupported("an i16")
    }

    fn serialize_u8(self, _: u8) -> Result<(), DatumError> {
        unsupported("a u8")
    }

    fn serialize_u16(self, _: u16) -> Result<(), DatumError> {
        unsupported("a u16")
    }

    fn serialize_u32(self, _: u32) -> Result<(), DatumError> {
        unsupported("a u32")
    }

    fn serialize_u64(self, _: u64) -> Result<(), DatumError> {
        unsupported("a u64")
    }

    fn serialize_f32(self, _: f32) -> Result<(), DatumError> {
        unsupported("an f32")
    }

    fn serialize_char(self, _: char) -> Result<(), DatumError> {
        unsupported("a char")
    }

    fn serialize_unit(self) -> Result<(), DatumError> {
        unsupported("a unit")
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), DatumError> {
        unsupported("a unit struct")
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), DatumError> {
        unsupported("a variant with a value")
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, DatumError> {
        unsupported("a tuple struct")
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, DatumError> {
        unsupported("a variant with values")
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, DatumError> {
        unsupported("a variant with fields")
    }
}

impl SerializeSeq for Datum<'_> {
    type Ok = ();
    type Error = DatumError;

    fn serialize_element<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), DatumError> {
        value.serialize(Datum { bytes: self.bytes })
    }

    fn end(mut self) -> Result<(), DatumError> {
        self.number(0);
        Ok(())
    }
}

impl SerializeMap for Datum<'_> {
    type Ok = ();
    type Error = DatumError;

    fn serialize_key<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<(), DatumError> {
        key.serialize(Datum { bytes: self.bytes })
    }

    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), DatumError> {
        value.serialize(Datum { bytes: self.bytes })
    }

    fn end(mut self) -> Result<(), DatumError> {
        self.number(0);
        Ok(())
    }
}

impl SerializeStruct for Datum<'_> {
    type Ok = ();
    type Error = DatumError;

    fn serialize_field<T: ?Sized + Serialize>(&mut self, _: &'static str, value: &T) -> Result<(), DatumError> {
        value.serialize(Datum { bytes: self.bytes })
    }

    fn skip_field(&mut self, field: &'static str) -> Result<(), DatumError> {
        unsupported(&format!("a record without its field {field}"))
    }

    fn end(self) -> Result<(), DatumError> {
        Ok(())
    }
}
