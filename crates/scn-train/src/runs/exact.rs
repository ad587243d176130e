//! f64 in JSON, bit for bit: as text, because serde_json reads numbers to within an ulp only and knows no NaN.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A value that is read back as it was, NaN and infinities included.
#[derive(Serialize, Deserialize)]
struct Exact(#[serde(with = "crate::runs::exact")] f64);

/// Writes it as text.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// Reads the text.
///
/// # Errors
/// Where it is no number.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse()
        .map_err(|_| D::Error::custom(format_args!("expected a number, found {text:?}")))
}

pub mod option {
    //! As [`super`], for an option.

    use super::{Deserialize, Deserializer, Exact, Serialize, Serializer};

    /// Writes it as text, or nothing.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        value.map(Exact).serialize(serializer)
    }

    /// Reads the text.
    ///
    /// # Errors
    /// Where it is no number.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
        Ok(Option::<Exact>::deserialize(deserializer)?.map(|Exact(value)| value))
    }
}
