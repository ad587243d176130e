//! Fixture files: exact float64 answers of another program.

use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors};

/// A fixture file.
pub struct Archive {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Archive {
    pub fn open(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self {
            path: path.to_path_buf(),
            bytes,
        }
    }

    /// Every fixture of `tests/fixtures/<kind>`, by name.
    pub fn all(kind: &str) -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(kind);
        let mut paths: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "safetensors"));
        paths.sort();
        assert!(!paths.is_empty(), "no fixtures of kind {kind}");
        paths.iter().map(|path| Self::open(path)).collect()
    }

    pub fn name(&self) -> String {
        self.path.file_stem().unwrap().to_string_lossy().into_owned()
    }

    /// The values of a tensor of any of the fixtures' types.
    pub fn f64s(&self, name: &str) -> Vec<f64> {
        let archive = SafeTensors::deserialize(&self.bytes).unwrap();
        let tensor = archive.tensor(name).unwrap();
        let data = tensor.data();
        match tensor.dtype() {
            Dtype::F64 => data
                .chunks_exact(8)
                .map(|b| f64::from_le_bytes(b.try_into().unwrap()))
                .collect(),
            Dtype::F32 => data
                .chunks_exact(4)
                .map(|b| f32::from_le_bytes(b.try_into().unwrap()).into())
                .collect(),
            Dtype::I32 => data
                .chunks_exact(4)
                .map(|b| i32::from_le_bytes(b.try_into().unwrap()).into())
                .collect(),
            other => panic!("{}: {name} has type {other:?}", self.path.display()),
        }
    }

    /// λ₁ in double precision: one value per atom, or the one value of all atoms.
    pub fn lambda1(&self) -> Vec<f64> {
        let stored = self.f64s("lambda1");
        if stored.iter().all(|&value| value == stored[0]) {
            stored.into_iter().map(decimal).collect()
        } else {
            stored
        }
    }

    /// λ₂ in double precision.
    pub fn lambda2(&self) -> f64 {
        decimal(self.f64s("lambda2")[0])
    }

    pub fn shape(&self, name: &str) -> Vec<usize> {
        SafeTensors::deserialize(&self.bytes)
            .unwrap()
            .tensor(name)
            .unwrap()
            .shape()
            .to_vec()
    }
}

/// The shortest decimal that rounds to a stored f32. The answers were computed with constants like 0.05 in double
/// precision, of which the files hold the rounding to f32: 1e-9 away, where the answers are exact to 1e-14.
fn decimal(stored: f64) -> f64 {
    (stored as f32).to_string().parse().unwrap()
}
