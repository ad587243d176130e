//! The one reader of safetensors files: eight bytes that tell the length of a header, the header, which lists name, type,
//! shape and place of every tensor in JSON, and the tensors' bytes, little-endian and without gaps.
//!
//! A header can claim anything. Every claim is held against the length of the file before a tensor is read.

use std::collections::HashMap;
use std::collections::btree_map::{BTreeMap, Entry};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use burn::tensor::{bf16, f16};
pub use safetensors::Dtype;
use safetensors::tensor::TensorInfo;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Bytes in front of the header: its length.
const PREFIX: u64 = 8;
/// Largest header that the format allows, in bytes.
const MAX_HEADER: u64 = 100_000_000;
/// The entry of a header that is no tensor.
const METADATA: &str = "__metadata__";

/// Why a file is not read, or a tensor not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The file system's error.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Fewer bytes than tell the header's length.
    #[error("it holds {0} bytes, and its first {PREFIX} should tell the length of its header")]
    Short(u64),
    /// A header that is longer than the file.
    #[error("its header claims {claimed} bytes, the file holds {held} after its first {PREFIX}")]
    Header {
        /// Bytes that it claims.
        claimed: u64,
        /// Bytes that there are.
        held: u64,
    },
    /// A header that is longer than any.
    #[error("its header claims {0} bytes, at most {MAX_HEADER} are allowed")]
    HugeHeader(u64),
    /// A header that lists no tensors.
    #[error("its header is no list of tensors: {0}")]
    List(String),
    /// A shape whose number of values has no number.
    #[error("`{name}` claims shape {shape:?}, more values than can be counted")]
    Overflow {
        /// Name of the tensor.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// A place that is not as long as type and shape say.
    #[error("`{name}` claims {dtype} of shape {shape:?}, which is {claimed} bits, in {listed} bytes")]
    Size {
        /// Name of the tensor.
        name: String,
        /// Its type.
        dtype: Dtype,
        /// Its shape.
        shape: Vec<usize>,
        /// Bits of as many values.
        claimed: u64,
        /// Bytes of its place.
        listed: u64,
    },
    /// A place that overlaps with another, leaves a gap or ends before it begins.
    #[error("`{name}` claims the bytes from {} to {}, those before it end at {expected}", .offsets.0, .offsets.1)]
    Place {
        /// Name of the tensor.
        name: String,
        /// First byte, and the one after the last.
        offsets: (usize, usize),
        /// Where it should begin.
        expected: u64,
    },
    /// Tensors that are not all of the file.
    #[error("its tensors claim {claimed} bytes, the file holds {held} of them")]
    Data {
        /// Bytes of all tensors.
        claimed: u64,
        /// Bytes after the header.
        held: u64,
    },
    /// No tensor of that name.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A tensor of another type.
    #[error("`{name}` is of type {found}, expected {expected}: convert it")]
    Type {
        /// Name of the tensor.
        name: &'static str,
        /// Its type.
        found: Dtype,
        /// What it should be.
        expected: &'static str,
    },
    /// A tensor of another shape.
    #[error("`{name}` has shape {shape:?}, expected {expected}")]
    Shape {
        /// Name of the tensor.
        name: &'static str,
        /// Its shape.
        shape: Vec<usize>,
        /// What it should be.
        expected: String,
    },
    /// A number that is none.
    #[error("`{name}` is {value} at {at:?} (counted from 0): expected finite numbers")]
    NotFinite {
        /// Name of the tensor.
        name: &'static str,
        /// NaN or an infinity.
        value: f64,
        /// Its index in every dimension.
        at: Vec<usize>,
    },
}

/// The tensors of a file by their names.
#[derive(Debug)]
pub struct Archive<'a> {
    tensors: BTreeMap<String, View<'a>>,
}

/// A tensor of a file. It has as many bytes as its type and shape say.
#[derive(Debug)]
pub struct View<'a> {
    /// Type of the values.
    pub dtype: Dtype,
    /// Length of each dimension.
    pub shape: Vec<usize>,
    /// Little-endian, row-major.
    pub bytes: &'a [u8],
}

/// The bytes of the file in `path`, whose header keeps its claims: none is read before they are held against its length.
///
/// # Errors
/// [`ArchiveError::Io`], or the claim that does not hold.
pub fn read(path: &Path) -> Result<Vec<u8>, ArchiveError> {
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    let mut bytes = Vec::new();
    // A pipe has no length to hold claims against; it is read to its end first.
    if metadata.is_file() {
        let length = metadata.len();
        (&mut file).take(PREFIX).read_to_end(&mut bytes)?;
        let header = header_length(&bytes, length)?;
        (&mut file).take(header).read_to_end(&mut bytes)?;
        list(
            bytes.get(PREFIX as usize..).unwrap_or_default(),
            length - PREFIX - header,
        )?;
    }
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl<'a> Archive<'a> {
    /// The tensors in the bytes of a file.
    ///
    /// # Errors
    /// The claim of the header that does not hold.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ArchiveError> {
        let length = bytes.len() as u64;
        let header = header_length(bytes, length)?;
        let (header, data) = bytes[PREFIX as usize..].split_at(header as usize);
        let tensors = list(header, data.len() as u64)?.into_iter().map(|(name, info)| {
            let (begin, end) = info.data_offsets;
            let view = View {
                dtype: info.dtype,
                shape: info.shape,
                bytes: &data[begin..end],
            };
            (name, view)
        });
        Ok(Self {
            tensors: tensors.collect(),
        })
    }

    /// The names of all tensors, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The names of all tensors, in words.
    pub fn described(&self) -> String {
        match self.tensors.is_empty() {
            true => "no tensors".to_owned(),
            false => quoted(self.names()),
        }
    }

    /// Whether there is a tensor of that name.
    pub fn holds(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// A tensor.
    ///
    /// # Errors
    /// [`ArchiveError::Missing`].
    pub fn get(&self, name: &'static str) -> Result<&View<'a>, ArchiveError> {
        self.tensors.get(name).ok_or(ArchiveError::Missing(name))
    }

    /// A tensor of at least one number, F32 or F64, all of them finite.
    ///
    /// # Errors
    /// [`ArchiveError::Missing`], [`ArchiveError::Type`], [`ArchiveError::Shape`], [`ArchiveError::NotFinite`].
    pub fn floats(&self, name: &'static str) -> Result<Floats, ArchiveError> {
        let view = self.get(name)?;
        let (Dtype::F32 | Dtype::F64, Some(values)) = (view.dtype, view.numbers()) else {
            return Err(ArchiveError::Type {
                name,
                found: view.dtype,
                expected: "F32 or F64",
            });
        };
        let floats = Floats {
            name,
            shape: view.shape.clone(),
            values,
        };
        if floats.values.is_empty() {
            return Err(floats.misshapen("at least one value"));
        }
        match floats.values.iter().position(|value| !value.is_finite()) {
            Some(index) => Err(ArchiveError::NotFinite {
                name,
                value: floats.values[index],
                at: floats.position(index),
            }),
            None => Ok(floats),
        }
    }
}

impl<'a> IntoIterator for Archive<'a> {
    type Item = (String, View<'a>);
    type IntoIter = std::collections::btree_map::IntoIter<String, View<'a>>;

    fn into_iter(self) -> Self::IntoIter {
        self.tensors.into_iter()
    }
}

impl View<'_> {
    /// The values, where they are numbers of 8, 16, 32 or 64 bits.
    pub fn numbers(&self) -> Option<Vec<f64>> {
        numbers(self.dtype, self.bytes)
    }
}

/// A tensor of finite numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Floats {
    /// Its name.
    pub name: &'static str,
    /// Length of each dimension.
    pub shape: Vec<usize>,
    /// Row-major.
    pub values: Vec<f64>,
}

impl Floats {
    /// The shape, where it has as many dimensions as `expected` names.
    ///
    /// # Errors
    /// [`ArchiveError::Shape`].
    pub fn dimensions<const D: usize>(&self, expected: &str) -> Result<[usize; D], ArchiveError> {
        self.shape[..].try_into().map_err(|_| self.misshapen(expected))
    }

    /// That the shape is not the `expected` one.
    pub fn misshapen(&self, expected: impl Into<String>) -> ArchiveError {
        ArchiveError::Shape {
            name: self.name,
            shape: self.shape.clone(),
            expected: expected.into(),
        }
    }

    /// The index in every dimension of a flat index.
    pub fn position(&self, mut index: usize) -> Vec<usize> {
        let mut position = vec![0; self.shape.len()];
        for (place, &length) in position.iter_mut().zip(&self.shape).rev() {
            *place = index % length;
            index /= length;
        }
        position
    }
}

/// Little-endian values of a type, where they are numbers of 8, 16, 32 or 64 bits.
pub fn numbers(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f64>> {
    Some(match dtype {
        Dtype::F64 => decode(bytes, f64::from_le_bytes),
        Dtype::F32 => decode(bytes, |bytes| f32::from_le_bytes(bytes).into()),
        Dtype::F16 => decode(bytes, |bytes| f16::from_le_bytes(bytes).to_f64()),
        Dtype::BF16 => decode(bytes, |bytes| bf16::from_le_bytes(bytes).to_f64()),
        Dtype::I64 => decode(bytes, |bytes| i64::from_le_bytes(bytes) as f64),
        Dtype::I32 => decode(bytes, |bytes| i32::from_le_bytes(bytes).into()),
        Dtype::I16 => decode(bytes, |bytes| i16::from_le_bytes(bytes).into()),
        Dtype::I8 => decode(bytes, |bytes| i8::from_le_bytes(bytes).into()),
        Dtype::U64 => decode(bytes, |bytes| u64::from_le_bytes(bytes) as f64),
        Dtype::U32 => decode(bytes, |bytes| u32::from_le_bytes(bytes).into()),
        Dtype::U16 => decode(bytes, |bytes| u16::from_le_bytes(bytes).into()),
        Dtype::U8 => decode(bytes, |bytes| u8::from_le_bytes(bytes).into()),
        _ => return None,
    })
}

/// Little-endian values of `N` bytes each.
pub fn decode<T, const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|bytes| value(*bytes)).collect()
}

/// Names in words.
pub fn quoted<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.into_iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// The length of the header of a file of `length` bytes that begins with `start`.
fn header_length(start: &[u8], length: u64) -> Result<u64, ArchiveError> {
    let Some(prefix) = start.first_chunk::<{ PREFIX as usize }>() else {
        return Err(ArchiveError::Short(length.min(start.len() as u64)));
    };
    let (claimed, held) = (u64::from_le_bytes(*prefix), length.saturating_sub(PREFIX));
    if claimed > held {
        Err(ArchiveError::Header { claimed, held })
    } else if claimed > MAX_HEADER {
        Err(ArchiveError::HugeHeader(claimed))
    } else {
        Ok(claimed)
    }
}

/// What a header lists, for `held` bytes after it.
fn list(header: &[u8], held: u64) -> Result<BTreeMap<String, TensorInfo>, ArchiveError> {
    let List(tensors) = serde_json::from_slice(header).map_err(|error| ArchiveError::List(error.to_string()))?;
    let mut by_place: Vec<_> = tensors.iter().collect();
    by_place.sort_by_key(|(_, info)| info.data_offsets);
    let mut end = 0;
    for (name, info) in by_place {
        let TensorInfo {
            dtype,
            shape,
            data_offsets,
        } = info;
        let values = shape
            .iter()
            .try_fold(1u64, |values, &length| values.checked_mul(length as u64));
        let Some(claimed) = values.and_then(|values| values.checked_mul(dtype.bitsize() as u64)) else {
            return Err(ArchiveError::Overflow {
                name: name.clone(),
                shape: shape.clone(),
            });
        };
        let (first, behind) = (data_offsets.0 as u64, data_offsets.1 as u64);
        if first != end || behind < first {
            return Err(ArchiveError::Place {
                name: name.clone(),
                offsets: *data_offsets,
                expected: end,
            });
        }
        let listed = behind - first;
        if !claimed.is_multiple_of(8) || claimed / 8 != listed {
            return Err(ArchiveError::Size {
                name: name.clone(),
                dtype: *dtype,
                shape: shape.clone(),
                claimed,
                listed,
            });
        }
        end = behind;
    }
    if end == held {
        Ok(tensors)
    } else {
        Err(ArchiveError::Data { claimed: end, held })
    }
}

/// The tensors of a header, by name.
struct List(BTreeMap<String, TensorInfo>);

impl<'de> Deserialize<'de> for List {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = List;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a map from names to tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<List, A::Error> {
                let mut tensors = BTreeMap::new();
                while let Some(name) = entries.next_key::<String>()? {
                    if name == METADATA {
                        entries.next_value::<HashMap<String, String>>()?;
                        continue;
                    }
                    match tensors.entry(name) {
                        Entry::Vacant(free) => free.insert(entries.next_value()?),
                        Entry::Occupied(taken) => {
                            return Err(A::Error::custom(format_args!("`{}` is listed twice", taken.key())));
                        }
                    };
                }
                Ok(List(tensors))
            }
        }

        deserializer.deserialize_map(Entries)
    }
}
