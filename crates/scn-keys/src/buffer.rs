//! From any format of serde to TOML's values.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A value of any self-describing format; keys without a value (JSON's null) stay away.
///
/// # Errors
/// The format's, and where a whole number is beyond 2⁶³ − 1 or a null stands alone.
pub fn buffer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<toml::Value, D::Error> {
    let Buffered(value) = Buffered::deserialize(deserializer)?;
    value.ok_or_else(|| D::Error::custom("expected a value, found none"))
}

struct Buffered(Option<toml::Value>);

impl<'de> Deserialize<'de> for Buffered {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue).map(Buffered)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Option<toml::Value>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Some(value.into()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Some(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        let whole = i64::try_from(value).map_err(|_| E::custom(format_args!("{value} is too large")))?;
        self.visit_i64(whole)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Some(value.into()))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Some(value.into()))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Buffered(value)) = list.next_element()? {
            values.push(value.ok_or_else(|| A::Error::custom("a list with a null"))?);
        }
        Ok(Some(toml::Value::Array(values)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut table = toml::Table::new();
        while let Some((key, Buffered(value))) = map.next_entry::<String, Buffered>()? {
            if let Some(value) = value {
                table.insert(key, value);
            }
        }
        Ok(Some(toml::Value::Table(table)))
    }
}
