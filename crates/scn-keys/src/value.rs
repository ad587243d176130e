//! What a key can hold.

use std::path::PathBuf;

use crate::field::Field;
use crate::table::OutOfRange;
use crate::wrong::Wrong;

/// A type of values that keys hold.
pub trait Value: Sized {
    /// What ranges are of: the type itself, or what an option holds.
    type Item;

    /// Reads the value.
    ///
    /// # Errors
    /// [`Wrong`] with the key below this value.
    fn read(value: &toml::Value) -> Result<Self, Wrong>;

    /// Writes it; `None` where the key stays away.
    fn write(&self) -> Option<toml::Value>;

    /// What values of this type may be, in words.
    fn expected() -> String;

    /// What a range is checked against, unless the key stays away.
    fn item(&self) -> Option<&Self::Item>;

    /// As messages show it.
    fn shown(&self) -> String {
        self.write().map_or_else(|| "nothing".into(), |value| value.to_string())
    }

    /// The keys below, where the value is a table.
    fn inside() -> Option<Vec<Field>> {
        None
    }

    /// Whether the value may stay away.
    fn is_optional() -> bool {
        false
    }

    /// Adds the keys below whose values are out of their ranges, as seen from around `path`.
    fn check(&self, _path: &str, _found: &mut Vec<OutOfRange>) {}
}

impl Value for bool {
    type Item = Self;

    fn read(value: &toml::Value) -> Result<Self, Wrong> {
        value.as_bool().ok_or_else(|| Wrong::expecting(Self::expected()))
    }

    fn write(&self) -> Option<toml::Value> {
        Some((*self).into())
    }

    fn expected() -> String {
        "true or false".into()
    }

    fn item(&self) -> Option<&Self> {
        Some(self)
    }
}

/// TOML's whole numbers end at 2⁶³ − 1.
macro_rules! whole_numbers {
    ($($number:ty),+) => {$(
        impl Value for $number {
            type Item = Self;

            fn read(value: &toml::Value) -> Result<Self, Wrong> {
                let number = value.as_integer().and_then(|number| Self::try_from(number).ok());
                number.ok_or_else(|| Wrong::expecting(Self::expected()))
            }

            /// # Panics
            /// Beyond 2⁶³ − 1.
            fn write(&self) -> Option<toml::Value> {
                let number = i64::try_from(*self);
                Some(number.unwrap_or_else(|_| panic!("{self} is too large for TOML")).into())
            }

            fn expected() -> String {
                "a whole number, at least 0".into()
            }

            fn item(&self) -> Option<&Self> {
                Some(self)
            }

            fn shown(&self) -> String {
                self.to_string()
            }
        }
    )+};
}

whole_numbers!(usize, u64);

impl Value for f64 {
    type Item = Self;

    fn read(value: &toml::Value) -> Result<Self, Wrong> {
        match value {
            toml::Value::Float(number) => Ok(*number),
            toml::Value::Integer(number) => Ok(*number as f64),
            _ => Err(Wrong::expecting(Self::expected())),
        }
    }

    fn write(&self) -> Option<toml::Value> {
        Some((*self).into())
    }

    fn expected() -> String {
        "a number".into()
    }

    fn item(&self) -> Option<&Self> {
        Some(self)
    }

    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Value for String {
    type Item = Self;

    fn read(value: &toml::Value) -> Result<Self, Wrong> {
        let text = value.as_str().ok_or_else(|| Wrong::expecting(Self::expected()))?;
        Ok(text.to_owned())
    }

    fn write(&self) -> Option<toml::Value> {
        Some(self.clone().into())
    }

    fn expected() -> String {
        "a text".into()
    }

    fn item(&self) -> Option<&Self> {
        Some(self)
    }

    fn shown(&self) -> String {
        format!("{self:?}")
    }
}

impl Value for PathBuf {
    type Item = Self;

    fn read(value: &toml::Value) -> Result<Self, Wrong> {
        let text = value.as_str().ok_or_else(|| Wrong::expecting(Self::expected()))?;
        Ok(text.into())
    }

    /// A path that is no UTF-8 did not come from a file; what is no text of it is replaced.
    fn write(&self) -> Option<toml::Value> {
        Some(self.to_string_lossy().into_owned().into())
    }

    fn expected() -> String {
        "a path".into()
    }

    fn item(&self) -> Option<&Self> {
        Some(self)
    }
}

impl<T: Value> Value for Vec<T> {
    type Item = Self;

    fn read(value: &toml::Value) -> Result<Self, Wrong> {
        let list = value.as_array().ok_or_else(|| Wrong::expecting(Self::expected()))?;
        let element = |(index, value)| T::read(value).map_err(|wrong| wrong.below(&format!("[{index}]")));
        list.iter().enumerate().map(element).collect()
    }

    fn write(&self) -> Option<toml::Value> {
        Some(toml::Value::Array(self.iter().filter_map(T::write).collect()))
    }

    fn expected() -> String {
        format!("a list, each {}", T::expected())
    }

    fn item(&self) -> Option<&Self> {
        Some(self)
    }

    fn shown(&self) -> String {
        let elements: Vec<String> = self.iter().map(T::shown).collect();
        format!("[{}]", elements.join(", "))
    }
}

impl<T: Value, const N: usize> Value for [T; N] {
    type Item = Self;

    fn read(value: &toml::Value) -> Result<Self, Wrong> {
        let list = Vec::read(value)?;
        list.try_into().map_err(|_| Wrong::expecting(Self::expected()))
    }

    fn write(&self) -> Option<toml::Value> {
        Some(toml::Value::Array(self.iter().filter_map(T::write).collect()))
    }

    fn expected() -> String {
        format!("a list of {N}, each {}", T::expected())
    }

    fn item(&self) -> Option<&Self> {
        Some(self)
    }

    fn shown(&self) -> String {
        let elements: Vec<String> = self.iter().map(T::shown).collect();
        format!("[{}]", elements.join(", "))
    }
}

impl<T: Value> Value for Option<T> {
    type Item = T::Item;

    fn read(value: &toml::Value) -> Result<Self, Wrong> {
        T::read(value).map(Some)
    }

    fn write(&self) -> Option<toml::Value> {
        self.as_ref().and_then(T::write)
    }

    fn expected() -> String {
        T::expected()
    }

    fn item(&self) -> Option<&Self::Item> {
        self.as_ref().and_then(T::item)
    }

    fn shown(&self) -> String {
        self.as_ref().map_or_else(|| "nothing".into(), T::shown)
    }

    fn inside() -> Option<Vec<Field>> {
        T::inside()
    }

    fn is_optional() -> bool {
        true
    }

    fn check(&self, path: &str, found: &mut Vec<OutOfRange>) {
        if let Some(value) = self {
            value.check(path, found);
        }
    }
}
