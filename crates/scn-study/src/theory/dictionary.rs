//! The study of a file of weights.

use std::path::{Path, PathBuf};

use scn_interop::archive::{self, Archive, ArchiveError};
use serde::Serialize;

use super::atoms::{Atoms, Overlap};
use super::bounds::{stability_bound, uniqueness_bound};
use super::coherence::{Pair, coherence};
use super::norms::{Maps, Patch, patch_norm, stripe_norm};
use super::{check_work, some_atoms};
use crate::StudyError;

/// How the codes of a file belong to its atoms, and what of them is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Rows and columns from one atom to the next, at least 1.
    pub stride: usize,
    /// The side of a patch of codes, at least 1; the whole code otherwise.
    pub patch: Option<usize>,
}

/// What is told of a file's `weight [n, c, k, k]` and `codes [b, n, h, w]`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The file.
    pub weights: PathBuf,
    /// n.
    pub atoms: usize,
    /// c.
    pub channels: usize,
    /// k.
    pub kernel: usize,
    /// Rows and columns from one atom to the next.
    pub stride: usize,
    /// μ.
    pub coherence: f64,
    /// The columns that have it; null where μ is 0.
    pub coherent_pair: Option<Pair>,
    /// ½(1 + 1/μ); null where μ is 0.
    pub uniqueness_bound: Option<f64>,
    /// ⅓(1 + 1/μ); null where μ is 0.
    pub stability_bound: Option<f64>,
    /// Atoms without a direction, which are left out.
    pub zero_atoms: Vec<usize>,
    /// Atoms that repeat an earlier one.
    pub repeated_atoms: Vec<Pair>,
    /// Of the codes, where the file has some.
    #[serde(flatten)]
    pub codes: Option<CodeNorms>,
}

/// The local norms of the codes of a file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CodeNorms {
    /// `‖Γ‖ˢ₀,∞`.
    pub stripe_norm: usize,
    /// `‖Γ‖ᴾ₀,∞`.
    pub patch_norm: usize,
    /// The side of a patch; null for the whole code.
    pub patch: Option<usize>,
}

/// Studies the safetensors file in `path`.
///
/// # Errors
/// [`StudyError::Weights`], [`StudyError::ZeroAtoms`], [`StudyError::Correlations`].
pub fn study(path: &Path, options: Options) -> Result<Report, StudyError> {
    let refused = |error| StudyError::Weights {
        path: path.to_path_buf(),
        error,
    };
    let bytes = archive::read(path).map_err(refused)?;
    let archive = Archive::parse(&bytes).map_err(refused)?;
    let (weight, shape) = weight(&archive).map_err(refused)?;
    let atoms = Atoms::normalized(&weight, shape);
    let what = || path.display().to_string();
    some_atoms(&atoms, what)?;
    let overlap = Overlap::convolutional(atoms.kernel(), options.stride, 1);
    check_work(&atoms, &overlap, what)?;
    let codes = match archive.holds("codes") {
        false => None,
        true => Some(code_norms(&archive, &atoms, &overlap, options.patch).map_err(refused)?),
    };
    let found = coherence(&atoms, &overlap);
    Ok(Report {
        weights: path.to_path_buf(),
        atoms: atoms.count(),
        channels: atoms.channels(),
        kernel: atoms.kernel(),
        stride: options.stride,
        coherence: found.value,
        coherent_pair: found.pair,
        uniqueness_bound: uniqueness_bound(found.value),
        stability_bound: stability_bound(found.value),
        zero_atoms: atoms.zero(),
        repeated_atoms: found.repeated,
        codes,
    })
}

fn weight(archive: &Archive) -> Result<(Vec<f64>, [usize; 4]), ArchiveError> {
    const EXPECTED: &str = "[n, c, k, k], the atoms as filters of a convolution";
    let weight = archive.floats("weight")?;
    let shape @ [_, _, height, width] = weight.dimensions(EXPECTED)?;
    match height == width {
        true => Ok((weight.values, shape)),
        false => Err(weight.misshapen(EXPECTED)),
    }
}

/// The norms of the codes, without those of atoms of zeros.
fn code_norms(
    archive: &Archive,
    atoms: &Atoms,
    overlap: &Overlap,
    patch: Option<usize>,
) -> Result<CodeNorms, ArchiveError> {
    let mut codes = archive.floats("codes")?;
    let count = atoms.count();
    let expected = format!("[b, {count}, h, w], a channel for each of the {count} atoms of `weight`");
    let shape @ [_, channels, height, width] = codes.dimensions(&expected)?;
    if channels != count {
        return Err(codes.misshapen(expected));
    }
    if let Some(patch) = patch.filter(|&patch| patch > height.min(width)) {
        return Err(codes.misshapen(format!(
            "at least {patch}×{patch} positions, as --patch {patch} asks for"
        )));
    }
    for (map, values) in codes.values.chunks_exact_mut(height * width).enumerate() {
        if atoms.norms[map % count] == 0.0 {
            values.fill(0.0);
        }
    }
    let values = &codes.values;
    let maps = Maps { values, shape };
    let window = patch.map_or(Patch::Whole, |kernel| Patch::Window { kernel, dilation: 1 });
    Ok(CodeNorms {
        stripe_norm: stripe_norm(maps, overlap),
        patch_norm: patch_norm(maps, window),
        patch,
    })
}
