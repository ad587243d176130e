//! Problem files: sparse-coding problems and their solutions.
//!
//! Both kinds of problem become one convolutional layer: problems `X [p, m]` of an elastic net are the pixels of a 1×p
//! image of m channels, and `D [m, n]` is n filters of 1×1.

mod expected;
mod solution;

use std::io;
use std::path::Path;

use scn_solver::{ConvGeometry, SolverError};

use crate::archive::{self, Archive, ArchiveError, Dtype, Floats, quoted};

pub use expected::differences;
pub use solution::{Gradients, Solution, to_safetensors};

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Signals and a dictionary.
    ElasticNet,
    /// Images and filters.
    ConvLayer,
}

impl Kind {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Kind::ElasticNet => "elastic-net",
            Kind::ConvLayer => "conv-layer",
        }
    }

    /// The tensors that only this kind has.
    fn own(self) -> &'static [&'static str] {
        match self {
            Kind::ElasticNet => &["D", "X"],
            Kind::ConvLayer => &["x", "weight", "stride"],
        }
    }

    fn required(self) -> &'static [&'static str] {
        match self {
            Kind::ElasticNet => &["D", "X", "lambda1", "lambda2"],
            Kind::ConvLayer => &["x", "weight", "lambda1", "lambda2"],
        }
    }

    /// The tensors of a solution, which a problem may carry as its known answer.
    pub fn answers(self) -> &'static [&'static str] {
        match self {
            Kind::ElasticNet => &["codes", "objective", "grad_X", "grad_D", "grad_lambda1", "grad_lambda2"],
            Kind::ConvLayer => &["codes", "grad_x", "grad_weight", "grad_lambda1", "grad_lambda2"],
        }
    }
}

/// Largest Gram matrix and codes together that are solved, in bytes of f64.
const MAX_BYTES: u64 = 16 << 30;

/// The kinds in words.
const KINDS: &str = "`D`, `X`, `lambda1` and `lambda2` (elastic nets) or `x`, `weight`, `lambda1` and `lambda2` \
                     (a convolutional layer)";

/// Why a file holds no problem that can be solved.
#[derive(Debug, thiserror::Error)]
pub enum ProblemError {
    /// The file system's error.
    #[error("cannot read the problem: {0}")]
    Io(io::Error),
    /// Not a safetensors file, or one that claims what it does not hold.
    #[error("not a whole safetensors file ({0}): expected a safetensors file with {KINDS}")]
    Format(ArchiveError),
    /// A tensor that is not what it should be.
    #[error(transparent)]
    Tensor(#[from] ArchiveError),
    /// No tensor of a problem.
    #[error("holds {found}, which is no problem: expected {KINDS}")]
    NoProblem {
        /// The tensors' names.
        found: String,
    },
    /// Tensors of both kinds.
    #[error(
        "mixes both kinds of problem, {elastic_net} of elastic nets and {conv_layer} of a convolutional layer: put them \
         into two files"
    )]
    Mixed {
        /// Names of one kind.
        elastic_net: String,
        /// Names of the other.
        conv_layer: String,
    },
    /// Tensors that are not there.
    #[error("{missing} missing: a problem of kind {kind} needs {required}")]
    Incomplete {
        /// Their names.
        missing: String,
        /// Name of the kind.
        kind: &'static str,
        /// What there must be.
        required: String,
    },
    /// Sizes that do not fit together.
    #[error(transparent)]
    Geometry(#[from] SolverError),
    /// A weight below 0.
    #[error("`{name}` is {value} at index {index}: expected numbers of at least 0")]
    Negative {
        /// Name of the tensor.
        name: &'static str,
        /// Its value.
        value: f64,
        /// Where.
        index: usize,
    },
    /// A stride that is none.
    #[error("`stride` is {value}, expected a whole number from 1 to {}", u16::MAX)]
    Stride {
        /// What it is.
        value: f64,
    },
    /// A problem that carries no answer to compare a solution with.
    #[error("carries no answer to compare with: expected one or more of {solution}")]
    NoAnswer {
        /// The names in the solution.
        solution: String,
    },
    /// An answer that no solution can be compared with.
    #[error("the answer `{name}` {reason}")]
    Answer {
        /// Name of the tensor.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A solve that takes more memory than is allowed.
    #[error(
        "{atoms} atoms claim a Gram matrix of [{atoms}, {atoms}] and codes of {codes:?}, {:.1} GiB in f64; the limit is \
         {} GiB: solve for fewer atoms, or for fewer signals at once", gibibytes(*.bytes), MAX_BYTES >> 30
    )]
    TooLarge {
        /// Atoms of the dictionary.
        atoms: usize,
        /// Shape of the codes.
        codes: [usize; 4],
        /// Bytes of both in f64, or the largest number where there are more.
        bytes: u64,
    },
    /// A number that f32 does not hold.
    #[error("`{name}` holds {value:e}, which is too large for f32: {SCALE}")]
    Single {
        /// Name of the tensor.
        name: &'static str,
        /// The number.
        value: f64,
    },
    /// Products that f32 does not hold.
    #[error("the products of atom {atom} of `{dictionary}` {} in f32: {SCALE}", if *.too_large { "overflow" } else { "underflow" })]
    Products {
        /// Index of the atom.
        atom: usize,
        /// Name of the dictionary.
        dictionary: &'static str,
        /// Whether they are too large, or too small.
        too_large: bool,
    },
}

impl ProblemError {
    /// Of a file that is not read.
    fn of_file(error: ArchiveError) -> Self {
        match error {
            ArchiveError::Io(error) => ProblemError::Io(error),
            claim => ProblemError::Format(claim),
        }
    }
}

/// What to do about numbers that f32 does not hold.
const SCALE: &str = "scale the problem, or use --device reference, which computes in f64";

fn gibibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 30)
}

/// A problem in the layout of a convolutional layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// What the file holds.
    pub kind: Kind,
    /// Of the layer.
    pub geometry: ConvGeometry,
    /// `[b, c, h, w]`.
    pub x: Vec<f64>,
    /// `[n, c, k, k]`.
    pub weight: Vec<f64>,
    /// One value, or n.
    pub lambda1: Vec<f64>,
    /// As in the file.
    pub lambda1_shape: Vec<usize>,
    /// λ₂.
    pub lambda2: f64,
    /// As in the file.
    pub lambda2_shape: Vec<usize>,
    /// `[b, n, h', w']`.
    pub grad_codes: Option<Vec<f64>>,
    /// Tensors of the file that have no meaning here.
    pub unknown: Vec<String>,
}

impl Problem {
    /// Reads a problem.
    ///
    /// # Errors
    /// [`ProblemError`].
    pub fn read(path: &Path) -> Result<Self, ProblemError> {
        let bytes = archive::read(path).map_err(ProblemError::of_file)?;
        Self::from_archive(&Archive::parse(&bytes).map_err(ProblemError::of_file)?)
    }

    /// The shapes of signals and dictionary, as in the file.
    pub fn shapes(&self) -> [(&'static str, Vec<usize>); 2] {
        let ConvGeometry {
            batch,
            channels,
            height,
            width,
            atoms,
            kernel,
            ..
        } = self.geometry;
        match self.kind {
            Kind::ElasticNet => [("X", vec![width, channels]), ("D", vec![channels, atoms])],
            Kind::ConvLayer => [
                ("x", vec![batch, channels, height, width]),
                ("weight", vec![atoms, channels, kernel, kernel]),
            ],
        }
    }

    /// Checks that devices can compute in f32: that every number fits, and every number of `Q = DᵀD + λ₂I` and of `Dᵀx`.
    ///
    /// # Errors
    /// [`ProblemError::Single`], [`ProblemError::Products`].
    pub fn check_f32(&self) -> Result<(), ProblemError> {
        let [x, dictionary] = self.shapes().map(|(name, _)| name);
        let grad_codes = self.grad_codes.as_deref().unwrap_or_default();
        let arrays = [
            (x, &self.x[..]),
            (dictionary, &self.weight),
            ("lambda1", &self.lambda1),
            ("lambda2", std::slice::from_ref(&self.lambda2)),
            ("grad_codes", grad_codes),
        ];
        for (name, values) in arrays {
            if let Some(&value) = values.iter().find(|value| !(**value as f32).is_finite()) {
                return Err(ProblemError::Single { name, value });
            }
        }
        let largest = self.x.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
        let (patch, atoms) = (self.geometry.patch(), self.geometry.atoms as f64);
        for (atom, values) in self.weight.chunks(patch).enumerate() {
            let square: f64 = values.iter().map(|value| value * value).sum();
            let product = square.sqrt() * (patch as f64).sqrt() * largest;
            // `λ_max(DᵀD)` is at most n times the largest square.
            let too_large = f64::from(f32::MAX) < (square * atoms + self.lambda2).max(product);
            let too_small = square > 0.0 && square < f64::from(f32::MIN_POSITIVE) && self.lambda2 == 0.0;
            if too_large || too_small {
                return Err(ProblemError::Products {
                    atom,
                    dictionary,
                    too_large,
                });
            }
        }
        Ok(())
    }

    fn from_archive(archive: &Archive) -> Result<Self, ProblemError> {
        let holds =
            |kind: Kind| -> Vec<&str> { kind.own().iter().copied().filter(|name| archive.holds(name)).collect() };
        let kind = match (&holds(Kind::ElasticNet)[..], &holds(Kind::ConvLayer)[..]) {
            ([_, ..], []) => Kind::ElasticNet,
            ([], [_, ..]) => Kind::ConvLayer,
            ([], []) => {
                let found = archive.described();
                return Err(ProblemError::NoProblem { found });
            }
            (elastic_net, conv_layer) => {
                return Err(ProblemError::Mixed {
                    elastic_net: quoted(elastic_net.iter().copied()),
                    conv_layer: quoted(conv_layer.iter().copied()),
                });
            }
        };
        let required = kind.required().iter().copied();
        let missing: Vec<&str> = required.clone().filter(|name| !archive.holds(name)).collect();
        if !missing.is_empty() {
            return Err(ProblemError::Incomplete {
                missing: quoted(missing),
                kind: kind.name(),
                required: quoted(required),
            });
        }
        let mut problem = match kind {
            Kind::ElasticNet => Self::elastic_net(archive)?,
            Kind::ConvLayer => Self::conv_layer(archive)?,
        };
        let optional = ["grad_codes", "stride", "kkt_residual", "iterations"];
        let known = [kind.required(), kind.answers(), &optional].concat();
        let unknown = archive.names().filter(|name| !known.contains(name));
        problem.unknown = unknown.map(str::to_owned).collect();
        Ok(problem)
    }

    fn elastic_net(archive: &Archive) -> Result<Self, ProblemError> {
        let dictionary = archive.floats("D")?;
        let [m, n] = dictionary.dimensions("[m, n]")?;
        let x = archive.floats("X")?;
        let [p, length] = x.dimensions("[p, m]")?;
        if length != m {
            let expected = format!(
                "[{p}, {m}], as `D` has shape {:?} and rows of `X` are signals",
                dictionary.shape
            );
            return Err(x.misshapen(expected).into());
        }
        let geometry = ConvGeometry::new([1, m, 1, p], [n, m, 1, 1], 1)?;
        let mut problem = Self::shared(archive, Kind::ElasticNet, geometry)?;
        let grad_codes = grad_codes(archive, &[p, n])?;
        problem.x = transpose(&x.values, [p, m]);
        problem.weight = transpose(&dictionary.values, [m, n]);
        problem.grad_codes = grad_codes.map(|array| transpose(&array.values, [p, n]));
        Ok(problem)
    }

    fn conv_layer(archive: &Archive) -> Result<Self, ProblemError> {
        let x = archive.floats("x")?;
        let x_shape = x.dimensions("[b, c, h, w]")?;
        let weight = archive.floats("weight")?;
        let weight_shape = weight.dimensions("[n, c, k, k]")?;
        let stride = stride(archive)?;
        let geometry = ConvGeometry::new(x_shape, weight_shape, stride)?;
        let mut problem = Self::shared(archive, Kind::ConvLayer, geometry)?;
        let grad_codes = grad_codes(archive, &geometry.codes_shape())?;
        problem.x = x.values;
        problem.weight = weight.values;
        problem.grad_codes = grad_codes.map(|array| array.values);
        Ok(problem)
    }

    /// What both kinds have, with the rest empty.
    fn shared(archive: &Archive, kind: Kind, geometry: ConvGeometry) -> Result<Self, ProblemError> {
        check_size(&geometry)?;
        let n = geometry.atoms;
        let lambda1 = archive.floats("lambda1")?;
        if lambda1.shape.len() > 1 || (lambda1.values.len() != 1 && lambda1.values.len() != n) {
            return Err(lambda1
                .misshapen(format!("[1], or [{n}] with one value per atom"))
                .into());
        }
        let lambda2 = archive.floats("lambda2")?;
        let (&[value], 0 | 1) = (&lambda2.values[..], lambda2.shape.len()) else {
            return Err(lambda2.misshapen("[1]").into());
        };
        for array in [&lambda1, &lambda2] {
            if let Some(index) = array.values.iter().position(|&value| value < 0.0) {
                return Err(ProblemError::Negative {
                    name: array.name,
                    value: array.values[index],
                    index,
                });
            }
        }
        Ok(Self {
            kind,
            geometry,
            x: Vec::new(),
            weight: Vec::new(),
            lambda1: lambda1.values,
            lambda1_shape: lambda1.shape,
            lambda2: value,
            lambda2_shape: lambda2.shape,
            grad_codes: None,
            unknown: Vec::new(),
        })
    }
}

/// Refuses a solve that takes more memory than is allowed: files of a few megabytes can ask for terabytes.
fn check_size(geometry: &ConvGeometry) -> Result<(), ProblemError> {
    let (atoms, codes) = (geometry.atoms as u64, geometry.codes_shape());
    let count = codes
        .iter()
        .fold(1u64, |count, &length| count.saturating_mul(length as u64));
    let bytes = atoms.saturating_mul(atoms).saturating_add(count).saturating_mul(8);
    if bytes > MAX_BYTES {
        return Err(ProblemError::TooLarge {
            atoms: geometry.atoms,
            codes,
            bytes,
        });
    }
    Ok(())
}

/// `[rows, columns]` to `[columns, rows]`.
fn transpose(values: &[f64], [rows, columns]: [usize; 2]) -> Vec<f64> {
    (0..rows * columns)
        .map(|i| values[i % rows * columns + i / rows])
        .collect()
}

/// `grad_codes`, where it is given.
fn grad_codes(archive: &Archive, shape: &[usize]) -> Result<Option<Floats>, ProblemError> {
    if !archive.holds("grad_codes") {
        return Ok(None);
    }
    let array = archive.floats("grad_codes")?;
    if array.shape != shape {
        return Err(array.misshapen(format!("{shape:?}, the shape of the codes")).into());
    }
    Ok(Some(array))
}

/// The stride, 1 where it is not given.
fn stride(archive: &Archive) -> Result<usize, ProblemError> {
    const NAME: &str = "stride";
    if !archive.holds(NAME) {
        return Ok(1);
    }
    let view = archive.get(NAME)?;
    let values = match view.dtype {
        Dtype::F16 | Dtype::BF16 => None,
        _ => view.numbers(),
    };
    let Some(values) = values else {
        return Err(ArchiveError::Type {
            name: NAME,
            found: view.dtype,
            expected: "an integer such as I32",
        }
        .into());
    };
    let ([value], 0 | 1) = (&values[..], view.shape.len()) else {
        return Err(ArchiveError::Shape {
            name: NAME,
            shape: view.shape.clone(),
            expected: "[1]".into(),
        }
        .into());
    };
    if value.fract() != 0.0 || !(1.0..=f64::from(u16::MAX)).contains(value) {
        return Err(ProblemError::Stride { value: *value });
    }
    Ok(*value as usize)
}
