//! Reads problems. Both kinds become one convolutional layer: problems `X [p, m]` of an elastic net are the pixels of
//! a 1×p image of m channels, and `D [m, n]` is n filters of 1×1.

use std::path::Path;

use safetensors::{Dtype, SafeTensors};
use scn_solver::ConvGeometry;

use crate::archive::{self, Array, decode, names_in, quoted};
use crate::exit::BadInput;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    ElasticNet,
    ConvLayer,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
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
    pub(super) fn answers(self) -> &'static [&'static str] {
        match self {
            Kind::ElasticNet => &["codes", "objective", "grad_X", "grad_D", "grad_lambda1", "grad_lambda2"],
            Kind::ConvLayer => &["codes", "grad_x", "grad_weight", "grad_lambda1", "grad_lambda2"],
        }
    }
}

/// The kinds in words.
const KINDS: &str = "`D`, `X`, `lambda1` and `lambda2` (elastic nets) or `x`, `weight`, `lambda1` and `lambda2` \
                     (a convolutional layer)";

/// A problem in the layout of a convolutional layer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Problem {
    pub(super) kind: Kind,
    pub(super) geometry: ConvGeometry,
    /// `[b, c, h, w]`.
    pub(super) x: Vec<f64>,
    /// `[n, c, k, k]`.
    pub(super) weight: Vec<f64>,
    /// One value, or n.
    pub(super) lambda1: Vec<f64>,
    /// As in the file.
    pub(super) lambda1_shape: Vec<usize>,
    pub(super) lambda2: f64,
    /// As in the file.
    pub(super) lambda2_shape: Vec<usize>,
    /// `[b, n, h', w']`.
    pub(super) grad_codes: Option<Vec<f64>>,
    /// Tensors of the file that have no meaning here.
    pub(super) unknown: Vec<String>,
}

impl Problem {
    pub(super) fn read(path: &Path) -> Result<Self, BadInput> {
        let fail = |message: String| BadInput(format!("{}: {message}", path.display()));
        let bytes = std::fs::read(path).map_err(|error| fail(format!("cannot read the problem: {error}")))?;
        let archive = archive::open(&bytes, KINDS).map_err(fail)?;
        Self::from_archive(&archive).map_err(fail)
    }

    /// The shapes of signals and dictionary, as in the file.
    pub(super) fn shapes(&self) -> [(&'static str, Vec<usize>); 2] {
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
    pub(super) fn check_f32(&self, path: &Path) -> Result<(), BadInput> {
        let fail = |message: String| {
            let remedy = "scale the problem, or use --device reference, which computes in f64";
            Err(BadInput(format!("{}: {message}: {remedy}", path.display())))
        };
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
            if let Some(value) = values.iter().find(|value| !(**value as f32).is_finite()) {
                return fail(format!("`{name}` holds {value:e}, which is too large for f32"));
            }
        }
        let largest = |values: &[f64]| values.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
        let (patch, atoms) = (self.geometry.patch(), self.geometry.atoms as f64);
        for (j, atom) in self.weight.chunks(patch).enumerate() {
            let square: f64 = atom.iter().map(|value| value * value).sum();
            let product = square.sqrt() * (patch as f64).sqrt() * largest(&self.x);
            // `λ_max(DᵀD)` is at most n times the largest square.
            let too_large = f64::from(f32::MAX) < (square * atoms + self.lambda2).max(product);
            let too_small = square > 0.0 && square < f64::from(f32::MIN_POSITIVE) && self.lambda2 == 0.0;
            if too_large || too_small {
                let flow = if too_large { "overflow" } else { "underflow" };
                return fail(format!("the products of atom {j} of `{dictionary}` {flow} in f32"));
            }
        }
        Ok(())
    }

    fn from_archive(archive: &SafeTensors) -> Result<Self, String> {
        let names = archive.names();
        let holds = |kind: Kind| -> Vec<&str> {
            kind.own()
                .iter()
                .copied()
                .filter(|own| names.iter().any(|name| name == own))
                .collect()
        };
        let kind = match (&holds(Kind::ElasticNet)[..], &holds(Kind::ConvLayer)[..]) {
            ([_, ..], []) => Kind::ElasticNet,
            ([], [_, ..]) => Kind::ConvLayer,
            ([], []) => {
                let found = names_in(archive);
                return Err(format!("holds {found}, which is no problem: expected {KINDS}"));
            }
            (elastic_net, conv_layer) => {
                return Err(format!(
                    "mixes both kinds of problem, {} of elastic nets and {} of a convolutional layer: put them into \
                     two files",
                    quoted(elastic_net),
                    quoted(conv_layer)
                ));
            }
        };
        let missing: Vec<&str> = kind
            .required()
            .iter()
            .copied()
            .filter(|name| !names.iter().any(|found| found == name))
            .collect();
        if !missing.is_empty() {
            let required = quoted(kind.required());
            return Err(format!(
                "{} missing: a problem of kind {} needs {required}",
                quoted(&missing),
                kind.name()
            ));
        }
        let mut problem = match kind {
            Kind::ElasticNet => Self::elastic_net(archive)?,
            Kind::ConvLayer => Self::conv_layer(archive)?,
        };
        let optional = ["grad_codes", "stride", "kkt_residual", "iterations"];
        let known = [kind.required(), kind.answers(), &optional].concat();
        let unknown = names.into_iter().filter(|name| !known.contains(name));
        problem.unknown = unknown.map(str::to_owned).collect();
        problem.unknown.sort_unstable();
        Ok(problem)
    }

    fn elastic_net(archive: &SafeTensors) -> Result<Self, String> {
        let dictionary = Array::floats(archive, "D")?;
        let [m, n] = dictionary.dimensions("[m, n]")?;
        let x = Array::floats(archive, "X")?;
        let [p, length] = x.dimensions("[p, m]")?;
        if length != m {
            let expected = format!(
                "[{p}, {m}], as `D` has shape {:?} and rows of `X` are signals",
                dictionary.shape
            );
            return Err(x.misshapen(&expected));
        }
        let geometry = ConvGeometry::new([1, m, 1, p], [n, m, 1, 1], 1).map_err(|error| error.to_string())?;
        let grad_codes = grad_codes(archive, &[p, n])?;
        let mut problem = Self::shared(archive, Kind::ElasticNet, geometry)?;
        problem.x = transpose(&x.values, [p, m]);
        problem.weight = transpose(&dictionary.values, [m, n]);
        problem.grad_codes = grad_codes.map(|array| transpose(&array.values, [p, n]));
        Ok(problem)
    }

    fn conv_layer(archive: &SafeTensors) -> Result<Self, String> {
        let x = Array::floats(archive, "x")?;
        let x_shape = x.dimensions("[b, c, h, w]")?;
        let weight = Array::floats(archive, "weight")?;
        let weight_shape = weight.dimensions("[n, c, k, k]")?;
        let stride = stride(archive)?;
        let geometry = ConvGeometry::new(x_shape, weight_shape, stride).map_err(|error| error.to_string())?;
        let grad_codes = grad_codes(archive, &geometry.codes_shape())?;
        let mut problem = Self::shared(archive, Kind::ConvLayer, geometry)?;
        problem.x = x.values;
        problem.weight = weight.values;
        problem.grad_codes = grad_codes.map(|array| array.values);
        Ok(problem)
    }

    /// What both kinds have, with the rest empty.
    fn shared(archive: &SafeTensors, kind: Kind, geometry: ConvGeometry) -> Result<Self, String> {
        let n = geometry.atoms;
        let lambda1 = Array::floats(archive, "lambda1")?;
        if lambda1.shape.len() > 1 || (lambda1.values.len() != 1 && lambda1.values.len() != n) {
            return Err(lambda1.misshapen(&format!("[1], or [{n}] with one value per atom")));
        }
        let lambda2 = Array::floats(archive, "lambda2")?;
        let (&[value], 0 | 1) = (&lambda2.values[..], lambda2.shape.len()) else {
            return Err(lambda2.misshapen("[1]"));
        };
        for array in [&lambda1, &lambda2] {
            if let Some(index) = array.values.iter().position(|&value| value < 0.0) {
                let (name, value) = (array.name, array.values[index]);
                return Err(format!(
                    "`{name}` is {value} at index {index}: expected numbers of at least 0"
                ));
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

/// `[rows, columns]` to `[columns, rows]`.
pub(super) fn transpose(values: &[f64], [rows, columns]: [usize; 2]) -> Vec<f64> {
    (0..rows * columns)
        .map(|i| values[i % rows * columns + i / rows])
        .collect()
}

/// `grad_codes`, where it is given.
fn grad_codes(archive: &SafeTensors, shape: &[usize]) -> Result<Option<Array>, String> {
    if !archive.names().contains(&"grad_codes") {
        return Ok(None);
    }
    let array = Array::floats(archive, "grad_codes")?;
    if array.shape != shape {
        return Err(array.misshapen(&format!("{shape:?}, the shape of the codes")));
    }
    Ok(Some(array))
}

/// The stride, 1 where it is not given.
fn stride(archive: &SafeTensors) -> Result<usize, String> {
    let Ok(view) = archive.tensor("stride") else {
        return Ok(1);
    };
    let data = view.data();
    let values = match view.dtype() {
        Dtype::I64 => decode(data, |bytes| i64::from_le_bytes(bytes) as f64),
        Dtype::I32 => decode(data, |bytes| i32::from_le_bytes(bytes).into()),
        Dtype::I16 => decode(data, |bytes| i16::from_le_bytes(bytes).into()),
        Dtype::I8 => decode(data, |bytes| i8::from_le_bytes(bytes).into()),
        Dtype::U64 => decode(data, |bytes| u64::from_le_bytes(bytes) as f64),
        Dtype::U32 => decode(data, |bytes| u32::from_le_bytes(bytes).into()),
        Dtype::U16 => decode(data, |bytes| u16::from_le_bytes(bytes).into()),
        Dtype::U8 => decode(data, |bytes| u8::from_le_bytes(bytes).into()),
        Dtype::F64 => decode(data, f64::from_le_bytes),
        Dtype::F32 => decode(data, |bytes| f32::from_le_bytes(bytes).into()),
        other => {
            return Err(format!(
                "`stride` is of type {other}, expected an integer such as I32: convert it"
            ));
        }
    };
    let ([value], 0 | 1) = (&values[..], view.shape().len()) else {
        return Err(format!("`stride` has shape {:?}, expected [1]", view.shape()));
    };
    if value.fract() != 0.0 || !(1.0..=f64::from(u16::MAX)).contains(value) {
        return Err(format!(
            "`stride` is {value}, expected a whole number from 1 to {}",
            u16::MAX
        ));
    }
    Ok(*value as usize)
}
