//! Tensors of safetensors files that users give.

use safetensors::{Dtype, SafeTensors};

/// Parses a file that should hold what `expected` says.
pub(crate) fn open<'a>(bytes: &'a [u8], expected: &str) -> Result<SafeTensors<'a>, String> {
    SafeTensors::deserialize(bytes)
        .map_err(|error| format!("not a whole safetensors file ({error}): expected a safetensors file with {expected}"))
}

/// The names of all tensors, in words.
pub(crate) fn names_in(archive: &SafeTensors) -> String {
    let mut names = archive.names();
    names.sort_unstable();
    if names.is_empty() {
        "no tensors".to_owned()
    } else {
        quoted(&names)
    }
}

/// A tensor of the file.
pub(crate) struct Array {
    pub(crate) name: &'static str,
    pub(crate) shape: Vec<usize>,
    /// Row-major.
    pub(crate) values: Vec<f64>,
}

impl Array {
    /// A tensor of finite floats.
    pub(crate) fn floats(archive: &SafeTensors, name: &'static str) -> Result<Self, String> {
        let view = archive.tensor(name).map_err(|error| error.to_string())?;
        let values = match view.dtype() {
            Dtype::F64 => decode(view.data(), f64::from_le_bytes),
            Dtype::F32 => decode(view.data(), |bytes| f32::from_le_bytes(bytes).into()),
            other => return Err(format!("`{name}` is of type {other}, expected F32 or F64: convert it")),
        };
        let array = Self {
            name,
            shape: view.shape().to_vec(),
            values,
        };
        if array.values.is_empty() {
            return Err(format!(
                "`{name}` has shape {:?}, expected at least one value",
                array.shape
            ));
        }
        match array.values.iter().position(|value| !value.is_finite()) {
            Some(index) => {
                let (value, at) = (array.values[index], array.position(index));
                Err(format!(
                    "`{name}` is {value} at {at:?} (counted from 0): expected finite numbers"
                ))
            }
            None => Ok(array),
        }
    }

    /// The shape, where it has as many dimensions as `expected` names.
    pub(crate) fn dimensions<const D: usize>(&self, expected: &str) -> Result<[usize; D], String> {
        self.shape[..].try_into().map_err(|_| self.misshapen(expected))
    }

    /// The message that the shape is not the `expected` one.
    pub(crate) fn misshapen(&self, expected: &str) -> String {
        format!("`{}` has shape {:?}, expected {expected}", self.name, self.shape)
    }

    /// The index in every dimension of a flat index.
    pub(crate) fn position(&self, mut index: usize) -> Vec<usize> {
        let mut position = vec![0; self.shape.len()];
        for (place, &length) in position.iter_mut().zip(&self.shape).rev() {
            *place = index % length;
            index /= length;
        }
        position
    }
}

/// Little-endian numbers.
pub(crate) fn decode<const N: usize>(data: &[u8], value: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    data.as_chunks::<N>().0.iter().map(|bytes| value(*bytes)).collect()
}

/// Names in words.
pub(crate) fn quoted(names: &[&str]) -> String {
    names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}
