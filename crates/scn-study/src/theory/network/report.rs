//! What is told of a network.

use std::path::Path;

use scn_interop::figure::{figure, optional_figure};
use serde::{Serialize, Serializer};

use crate::theory::coherence::Pair;
use crate::{StudyError, store_beside};

/// Where the report lies below a run or a checkpoint.
const FILE: &str = "theory.json";

/// What is found, shown and stored.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The checkpoint, or the experiment file.
    pub subject: String,
    /// SHA-256 of the weights, of a checkpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights_sha256: Option<String>,
    /// Name of the network.
    pub model: &'static str,
    /// Test images of the sample.
    pub images: usize,
    /// ε₀.
    pub noise: f64,
    /// Of the noise.
    pub seed: u64,
    /// One for each coding layer.
    pub layers: Vec<LayerReport>,
}

impl Report {
    /// Stores the report in the folder of a run or of a checkpoint.
    ///
    /// # Errors
    /// As [`store_beside`].
    pub fn store(&self, folder: &Path) -> Result<(), StudyError> {
        let json = serde_json::to_vec_pretty(self).map_err(|error| StudyError::Json {
            file: folder.join(FILE),
            error,
        })?;
        store_beside(folder, &[(FILE, json)])
    }
}

/// What is told of a coding layer. Codes are those of the sample, the atoms' norms moved into them; extremes are over all
/// images.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerReport {
    /// Its name.
    pub name: String,
    /// n.
    pub atoms: usize,
    /// c.
    pub channels: usize,
    /// k.
    pub kernel: usize,
    /// Rows and columns from one atom to the next.
    pub stride: usize,
    /// Rows and columns from one place of an atom to the next.
    pub dilation: usize,
    /// μ of the convolutional dictionary.
    pub coherence: f64,
    /// The columns that have it.
    pub coherent_pair: Option<Pair>,
    /// ½(1 + 1/μ); null where μ is 0.
    pub uniqueness_bound: Option<f64>,
    /// ⅓(1 + 1/μ); null where μ is 0.
    pub stability_bound: Option<f64>,
    /// Atoms without a direction, which are left out.
    pub zero_atoms: Vec<usize>,
    /// Atoms that repeat an earlier one.
    pub repeated_atoms: Vec<Pair>,
    /// `‖Γ‖ˢ₀,∞`.
    pub stripe_norm: usize,
    /// `‖Γ‖ᴾ₀,∞`.
    pub patch_norm: usize,
    /// Side of a patch, the window of the next coding layer; null for the whole code.
    pub patch: Option<usize>,
    /// |Γmin|, null of codes that are all 0.
    pub smallest_code: Option<f64>,
    /// |Γmax|.
    pub largest_code: f64,
    /// What the guarantees are for, and the figures that they take.
    pub guarantees: Guarantees,
    /// `‖Γ‖ˢ₀,∞ < ½(1 + 1/μ)` for them.
    pub uniqueness: Condition,
    /// Layered thresholding.
    pub thresholding: Thresholding,
    /// Layered basis pursuit.
    pub basis_pursuit: Pursuit,
    /// The 2,∞ patch norm of the change of the layer's input by the noise.
    pub input_error: f64,
    /// The same of the change of its code.
    pub real_error: f64,
    /// Images of the sample whose support changed.
    pub supports_changed: usize,
    /// `‖Y − DΓ‖/‖Y‖` for what the layer coded, over its windows where it codes these.
    #[serde(serialize_with = "figure")]
    pub nesting_residual: f64,
    /// What the theorems assume and the layer does not meet.
    pub broken_assumptions: Vec<String>,
}

/// What a layer's guarantees are for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Guarantees {
    /// `image`, coded whole with the convolutional dictionary, or `window`, each coded alone with the atoms as they are.
    pub unit: &'static str,
    /// μ of that dictionary.
    pub coherence: f64,
    /// The most non-zeros in a stripe of it: of a window alone, at a position.
    pub stripe_norm: usize,
}

/// A bound on the stripe norm.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Condition {
    /// The stripe norm must be below it; null where nothing bounds it, or where no code is above 0.
    #[serde(serialize_with = "optional_figure")]
    pub bound: Option<f64>,
    /// Whether it is.
    pub holds: bool,
    /// By how many non-zeros the stripe norm is above the bound; below 0 where it is below.
    #[serde(serialize_with = "optional_figure")]
    pub excess: Option<f64>,
}

/// What layered thresholding would promise.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Thresholding {
    /// On the stripe norm.
    pub condition: Condition,
    /// β must lie between the two; where the condition does not hold they cross and none does.
    #[serde(serialize_with = "figures")]
    pub beta_interval: [f64; 2],
    /// λ₁ of the network as a threshold for normalised atoms, the largest of all atoms.
    pub network_beta: f64,
    /// Whether it lies there.
    pub network_beta_admissible: bool,
    /// The bound on the error of the layer's input.
    #[serde(serialize_with = "figure")]
    pub input_epsilon: f64,
    /// ε with λ₁ of the network, or the least β that drops wrong atoms where λ₁ is below it.
    #[serde(serialize_with = "figure")]
    pub epsilon: f64,
}

/// What layered basis pursuit would promise.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Pursuit {
    /// On the stripe norm.
    pub condition: Condition,
    /// ξ = 4ε of the input.
    #[serde(serialize_with = "figure")]
    pub xi: f64,
    /// The bound on the error of the layer's input.
    #[serde(serialize_with = "figure")]
    pub input_epsilon: f64,
    /// ε.
    #[serde(serialize_with = "figure")]
    pub epsilon: f64,
}

fn figures<S: Serializer>([low, high]: &[f64; 2], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Figures(
        #[serde(serialize_with = "figure")] f64,
        #[serde(serialize_with = "figure")] f64,
    );
    Figures(*low, *high).serialize(serializer)
}
