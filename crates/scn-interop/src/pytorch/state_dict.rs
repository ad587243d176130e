//! The tensors of a file that PyTorch or [`crate::pytorch::export`] wrote.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use pytorch_reader::{DType, PytorchReader, Tensor};

use super::ImportError;
use super::names::spelling;
use crate::archive::{self, Archive, ArchiveError, Dtype, numbers};

/// Keys under which programs keep a state dict beside other things.
const WRAPPERS: [&str; 3] = ["state_dict.", "model.", "net."];
/// What `DataParallel` puts in front of every name.
const PARALLEL: &str = "module.";

/// Tensors by name, without what a program wrapped them in. Their values are read when they are asked for.
#[derive(Debug)]
pub struct StateDict {
    pub(super) tensors: BTreeMap<String, Stored>,
}

/// A tensor of a file.
#[derive(Debug)]
pub(super) struct Stored {
    /// That of a scalar is `[1]`.
    pub(super) shape: Vec<usize>,
    dtype: Dtype,
    source: Source,
}

/// Where the bytes of a tensor are.
#[derive(Debug)]
enum Source {
    File(Tensor),
    Memory(Vec<u8>),
}

impl StateDict {
    /// Opens a PyTorch file or a safetensors file; its content says which it is.
    ///
    /// # Errors
    /// [`ImportError::Io`], [`ImportError::Format`].
    pub fn read(path: &Path) -> Result<Self, ImportError> {
        let mut start = Vec::new();
        File::open(path)
            .and_then(|file| file.take(512).read_to_end(&mut start))
            .map_err(ImportError::Io)?;
        let tensors = if start.get(8) == Some(&b'{') {
            from_safetensors(path)?
        } else if start.get(257..262) == Some(b"ustar") {
            // Its entries can claim any length: reading one could take all memory.
            return Err(ImportError::Format("a TAR file, as PyTorch wrote before 0.1.10".into()));
        } else {
            from_pytorch(path)?
        };
        if tensors.is_empty() {
            return Err(ImportError::Format("it holds no tensors".into()));
        }
        Ok(Self {
            tensors: unwrapped(tensors),
        })
    }

    /// Classes of the network: rows of its classifier. `None` where there is no classifier.
    pub fn classes(&self) -> Option<usize> {
        let classifier = spelling("linear.weight");
        let (_, stored) = self.tensors.iter().find(|(name, _)| spelling(name) == classifier)?;
        stored.shape.first().copied()
    }
}

impl Stored {
    fn new(shape: &[usize], dtype: Dtype, source: Source) -> Self {
        let shape = if shape.is_empty() { vec![1] } else { shape.to_vec() };
        Self { shape, dtype, source }
    }

    /// Its values in row-major order, or what is wrong with them.
    pub(super) fn values(&self) -> Result<Vec<f32>, String> {
        if !matches!(self.dtype, Dtype::F64 | Dtype::F32 | Dtype::F16 | Dtype::BF16) {
            return Err(format!("is of type {}, expected F64, F32, F16 or BF16", self.dtype));
        }
        let bytes = match &self.source {
            Source::File(tensor) => &tensor.read().map_err(|error| format!("cannot be read: {error}"))?,
            Source::Memory(bytes) => bytes,
        };
        let values = numbers(self.dtype, bytes).unwrap_or_default();
        // All but F64 are F32 exactly.
        let values: Vec<f32> = values.into_iter().map(|value| value as f32).collect();
        match values.iter().find(|value| !value.is_finite()) {
            Some(value) => Err(format!("holds {value}, expected finite numbers that fit F32")),
            None => Ok(values),
        }
    }
}

fn from_safetensors(path: &Path) -> Result<BTreeMap<String, Stored>, ImportError> {
    let refused = |error| match error {
        ArchiveError::Io(error) => ImportError::Io(error),
        claim => ImportError::Format(format!("not a whole safetensors file: {claim}")),
    };
    let bytes = archive::read(path).map_err(refused)?;
    let stored = Archive::parse(&bytes)
        .map_err(refused)?
        .into_iter()
        .map(|(name, view)| {
            let bytes = Source::Memory(view.bytes.to_vec());
            (name, Stored::new(&view.shape, view.dtype, bytes))
        });
    Ok(stored.collect())
}

fn from_pytorch(path: &Path) -> Result<BTreeMap<String, Stored>, ImportError> {
    let reader = PytorchReader::new(path).map_err(|error| ImportError::Format(error.to_string()))?;
    let stored = reader.into_tensors().into_iter().map(|(name, tensor)| {
        let (shape, dtype) = (tensor.shape().to_vec(), type_of(&tensor));
        (name, Stored::new(&shape, dtype, Source::File(tensor)))
    });
    Ok(stored.collect())
}

fn type_of(tensor: &Tensor) -> Dtype {
    match tensor.dtype() {
        DType::F64 => Dtype::F64,
        DType::F32 => Dtype::F32,
        DType::F16 => Dtype::F16,
        DType::BF16 => Dtype::BF16,
        DType::I64 => Dtype::I64,
        DType::I32 => Dtype::I32,
        DType::I16 => Dtype::I16,
        DType::I8 => Dtype::I8,
        DType::U64 => Dtype::U64,
        DType::U32 => Dtype::U32,
        DType::U16 => Dtype::U16,
        DType::U8 => Dtype::U8,
        DType::Bool => Dtype::BOOL,
    }
}

/// Of a state dict beside other things only the state dict, and of [`PARALLEL`] names what follows.
fn unwrapped(mut tensors: BTreeMap<String, Stored>) -> BTreeMap<String, Stored> {
    for wrapper in WRAPPERS {
        if tensors.keys().any(|name| name.starts_with(wrapper)) {
            tensors = below(tensors, wrapper);
        }
    }
    if tensors.keys().all(|name| name.starts_with(PARALLEL)) {
        tensors = below(tensors, PARALLEL);
    }
    tensors
}

/// The tensors whose names begin with `prefix`, without it.
fn below(tensors: BTreeMap<String, Stored>, prefix: &str) -> BTreeMap<String, Stored> {
    tensors
        .into_iter()
        .filter_map(|(name, stored)| Some((name.strip_prefix(prefix)?.to_owned(), stored)))
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// What `tests/data/state_dict.py` wrote.
    fn fixture() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/state_dict.pth")
    }

    #[test]
    fn every_float_type_is_read_and_wrappers_are_left_out() {
        let file = StateDict::read(&fixture()).unwrap();
        let names: Vec<_> = file.tensors.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "bn1.bias",
                "bn1.num_batches_tracked",
                "bn1.running_mean",
                "bn1.running_var",
                "bn1.weight",
                "conv1.weight",
                "dn.step_size",
                "layer1.0.conv1.weight",
            ]
        );
        let expected: [(&str, &[usize], &[f32]); 5] = [
            ("bn1.bias", &[2], &[0.5, -2.0]),
            ("bn1.running_mean", &[2], &[3.0, -1.0]),
            ("bn1.weight", &[2], &[1.5, -0.25]),
            ("dn.step_size", &[1], &[0.125]),
            ("layer1.0.conv1.weight", &[3, 2], &[0.0, 0.75, 0.25, 1.0, 0.5, 1.25]),
        ];
        for (name, shape, values) in expected {
            let stored = &file.tensors[name];
            assert_eq!(stored.shape, shape, "{name}");
            assert_eq!(stored.values().unwrap(), values, "{name}");
        }
        for (name, message) in [
            (
                "bn1.num_batches_tracked",
                "is of type I64, expected F64, F32, F16 or BF16",
            ),
            ("bn1.running_var", "holds inf, expected finite numbers that fit F32"),
        ] {
            assert_eq!(file.tensors[name].values().unwrap_err(), message);
        }
    }

    #[test]
    fn a_file_cut_short_anywhere_is_refused() {
        let whole = std::fs::read(fixture()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("short.pth");
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            let error = StateDict::read(&path).unwrap_err();
            assert!(matches!(error, ImportError::Format(_)), "{length} bytes: {error}");
        }
    }
}
