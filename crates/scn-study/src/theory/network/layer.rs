//! A coding layer as the theorems see it: its atoms normalised, their norms moved into its codes and into the dictionary
//! that codes these.

use burn::tensor::Tensor;
use scn_models::{Coded, CodingLayer, CodingSource, CodingUnit};
use scn_ops::{Placement, convolve2d, convolve2d_adjoint};
use scn_solver::{ConvGeometry, Padding};

use super::report::{Condition, Guarantees, LayerReport, Pursuit, Thresholding};
use crate::StudyError;
use crate::theory::atoms::{Atoms, Overlap};
use crate::theory::bounds::{LayerFigures, below, pursuit_weight, stability_bound, uniqueness_bound};
use crate::theory::coherence::{Coherence, coherence};
use crate::theory::norms::{Maps, Patch, patch_energy, patch_norm, stripe_norm};
use crate::theory::{check_work, some_atoms};

/// Residuals up to this share are those of rounding in f32.
const ROUNDING: f64 = 1e-5;

/// A layer with what is known of its codes so far.
pub(super) struct Layer {
    name: String,
    weight: Tensor<4>,
    placement: Placement,
    unit: CodingUnit,
    source: CodingSource,
    atoms: Atoms,
    /// Whether the dictionary carries norms of the atoms before that are not 1.
    carries_norms: bool,
    overlap: Overlap,
    convolutional: Coherence,
    /// Of the atoms of one window.
    alone: Coherence,
    /// λ₁ for normalised atoms.
    beta: f64,
    /// λ₂.
    ridge: f64,
    /// What its input's error is at most, by the error of the codes before.
    gain: Option<f64>,
    /// A patch of its codes.
    patch: Patch,
    codes: Codes,
}

/// Extremes over all images.
#[derive(Default)]
struct Codes {
    stripe_norm: usize,
    /// The most non-zeros at a position.
    position_norm: usize,
    patch_norm: usize,
    smallest: Option<f64>,
    largest: f64,
    input_error: f64,
    real_error: f64,
    supports_changed: usize,
    /// Σ‖Y − DΓ‖².
    residual: f64,
    /// Σ‖Y‖².
    energy: f64,
    /// Whether windows reach beyond the image.
    padded: bool,
}

impl Layer {
    /// The layers of a network, one after the other.
    pub(super) fn all(layers: Vec<CodingLayer>) -> Result<Vec<Self>, StudyError> {
        let mut all: Vec<Self> = Vec::with_capacity(layers.len());
        for layer in layers {
            let next = Layer::new(layer, all.last())?;
            if let Some(before) = all.last_mut() {
                before.patch = match next.source {
                    CodingSource::Before | CodingSource::Normalized(_) => next.window(),
                    CodingSource::Other(_) => Patch::Whole,
                };
            }
            all.push(next);
        }
        Ok(all)
    }

    fn new(layer: CodingLayer, before: Option<&Layer>) -> Result<Self, StudyError> {
        let CodingLayer {
            name,
            lambda1,
            ridge,
            weight,
            placement,
            unit,
            source,
        } = layer;
        let shape @ [_, _, kernel, _] = weight.dims();
        let filters = finite(&name, "atoms", values(weight.clone()))?;
        let own = Atoms::normalized(&filters, shape);
        some_atoms(&own, || name.clone())?;
        let carried = match (&source, before) {
            (CodingSource::Before, Some(before)) => Some(&before.atoms.norms),
            (CodingSource::Before | CodingSource::Normalized(_) | CodingSource::Other(_), _) => None,
        };
        let atoms = match carried {
            None => own.clone(),
            Some(norms) => Atoms::normalized(&scaled_channels(filters, shape, norms), shape),
        };
        let overlap = Overlap::convolutional(kernel, placement.stride, placement.dilation);
        check_work(&atoms, &overlap, || name.clone())?;
        let gain = match &source {
            CodingSource::Before => Some(1.0),
            CodingSource::Other(_) => None,
            CodingSource::Normalized(scale) => {
                let factors = values(scale.clone()).into_iter().map(f64::abs);
                Some(match before {
                    None => factors.fold(0.0, f64::max),
                    Some(before) => {
                        let with_direction = factors.zip(&before.atoms.norms).filter(|(_, norm)| **norm > 0.0);
                        with_direction.map(|(factor, norm)| factor / norm).fold(0.0, f64::max)
                    }
                })
            }
        };
        let lambda1 = values(lambda1);
        let beta = (0..atoms.count()).filter(|&atom| atoms.norms[atom] > 0.0).map(|atom| {
            let lambda1 = lambda1.get(atom).unwrap_or(&lambda1[0]);
            lambda1 * atoms.norms[atom] / own.norms[atom].powi(2)
        });
        Ok(Self {
            beta: beta.fold(0.0, f64::max),
            ridge,
            convolutional: coherence(&atoms, &overlap),
            alone: coherence(&atoms, &Overlap::alone()),
            carries_norms: carried.is_some_and(|norms| norms.iter().any(|norm| (norm - 1.0).abs() > ROUNDING)),
            name,
            weight,
            placement,
            unit,
            source,
            atoms,
            overlap,
            gain,
            patch: Patch::Whole,
            codes: Codes::default(),
        })
    }

    /// Its window on its input.
    pub(super) fn window(&self) -> Patch {
        Patch::Window {
            kernel: self.atoms.kernel(),
            dilation: self.placement.dilation,
        }
    }

    /// Adds what it made of a batch without and with noise.
    pub(super) fn add(&mut self, clean: Coded, noisy: Coded) -> Result<(), StudyError> {
        let (shape, input_shape, window) = (clean.codes.dims(), clean.input.dims(), self.window());
        self.add_residual(&clean);
        let (input, noisy_input) = (values(clean.input), values(noisy.input));
        let (codes, noisy_codes) = (self.moved(clean.codes)?, self.moved(noisy.codes)?);

        let maps = |values, shape| Maps { values, shape };
        let of_codes = maps(&codes, shape);
        let found = &mut self.codes;
        found.stripe_norm = found.stripe_norm.max(stripe_norm(of_codes, &self.overlap));
        found.position_norm = found.position_norm.max(stripe_norm(of_codes, &Overlap::alone()));
        found.patch_norm = found.patch_norm.max(patch_norm(of_codes, self.patch));
        for magnitude in codes.iter().map(|code| code.abs()).filter(|&magnitude| magnitude > 0.0) {
            found.smallest = Some(found.smallest.map_or(magnitude, |smallest| smallest.min(magnitude)));
            found.largest = found.largest.max(magnitude);
        }
        let image = shape[1..].iter().product::<usize>().max(1);
        let changed = codes
            .chunks_exact(image)
            .zip(noisy_codes.chunks_exact(image))
            .filter(|(one, other)| {
                let mut pairs = one.iter().zip(*other);
                pairs.any(|(one, other)| (*one == 0.0) != (*other == 0.0))
            });
        found.supports_changed += changed.count();
        let error = difference(&codes, &noisy_codes);
        found.real_error = found.real_error.max(patch_energy(maps(&error, shape), self.patch));
        let error = difference(&input, &noisy_input);
        found.input_error = found.input_error.max(patch_energy(maps(&error, input_shape), window));
        Ok(())
    }

    /// Adds how far the codes are from giving the input.
    fn add_residual(&mut self, coded: &Coded) {
        let Coded { input, codes } = coded.clone();
        let [_, channels, height, width] = input.dims();
        let weight = self.weight.clone();
        if let Ok(geometry) = ConvGeometry::new(input.dims(), weight.dims(), self.placement) {
            self.codes.padded |= geometry.padding > 0;
        }
        let sum = |values: Tensor<4>| values.into_data().iter::<f64>().sum::<f64>();
        let [atoms, _, kernel, _] = weight.dims();
        let (residual, energy) = match self.unit {
            CodingUnit::Image => {
                let signal = convolve2d_adjoint(codes, weight, self.placement, [height, width]);
                let residual = input.clone() - signal;
                (sum(residual.powi_scalar(2)), sum(input.powi_scalar(2)))
            }
            CodingUnit::Window => {
                // ‖x − Dα‖² = ‖x‖² − αᵀ(2Dᵀx − DᵀDα) of every window.
                let ones = Tensor::ones([1, channels, kernel, kernel], &input.device());
                let energy = sum(convolve2d(input.clone().powi_scalar(2), ones, self.placement));
                let rows: Tensor<2> = weight.clone().reshape([atoms as i32, -1]);
                let gram = rows.clone().matmul(rows.transpose()).reshape([atoms, atoms, 1, 1]);
                let pointwise = Placement {
                    stride: 1,
                    padding: Padding::Zeros(0),
                    dilation: 1,
                };
                let twice = convolve2d(input, weight, self.placement) * 2.0;
                let fitted = sum(codes.clone() * (twice - convolve2d(codes, gram, pointwise)));
                ((energy - fitted).max(0.0), energy)
            }
        };
        self.codes.residual += residual;
        self.codes.energy += energy;
    }

    /// Codes for the normalised atoms.
    fn moved(&self, codes: Tensor<4>) -> Result<Vec<f64>, StudyError> {
        let shape = codes.dims();
        let codes = finite(&self.name, "codes", values(codes))?;
        Ok(scaled_channels(codes, shape, &self.atoms.norms))
    }

    /// The error of its input where it can be told in the units of the theorems.
    fn input_error(&self, before: Option<&Layer>) -> f64 {
        match (&self.source, before) {
            (CodingSource::Before, Some(before)) => before.codes.real_error,
            (CodingSource::Before | CodingSource::Normalized(_) | CodingSource::Other(_), _) => self.codes.input_error,
        }
    }

    fn report(&self, before: Option<&Layer>, epsilons: &mut [f64; 2]) -> LayerReport {
        let codes = &self.codes;
        let input_error = self.input_error(before);
        let [thresholding_input, pursuit_input] =
            epsilons.map(|epsilon| self.gain.map_or(input_error, |gain| gain * epsilon));
        let (unit, dictionary, stripe_norm) = match self.unit {
            CodingUnit::Image => ("image", &self.convolutional, codes.stripe_norm),
            CodingUnit::Window => ("window", &self.alone, codes.position_norm),
        };
        let figures = LayerFigures {
            coherence: dictionary.value,
            stripe_norm,
            patch_norm: codes.patch_norm,
            smallest: codes.smallest.unwrap_or_default(),
            largest: codes.largest,
        };
        let condition = |bound: Option<f64>, holds| Condition {
            bound,
            holds,
            excess: bound.map(|bound| stripe_norm as f64 - bound),
        };
        let bounded = |bound| condition(bound, below(stripe_norm, bound));
        let beta_interval @ [least, most] = figures.thresholds(thresholding_input);
        let thresholding = Thresholding {
            condition: condition(figures.thresholding_bound(thresholding_input), least < most),
            beta_interval,
            network_beta: self.beta,
            network_beta_admissible: least < self.beta && self.beta < most,
            input_epsilon: thresholding_input,
            epsilon: figures.thresholding_epsilon(thresholding_input, self.beta.max(least)),
        };
        let basis_pursuit = Pursuit {
            condition: bounded(stability_bound(dictionary.value)),
            xi: pursuit_weight(pursuit_input),
            input_epsilon: pursuit_input,
            epsilon: figures.pursuit_epsilon(pursuit_input),
        };
        *epsilons = [thresholding.epsilon, basis_pursuit.epsilon];
        let nesting_residual = match codes.energy > 0.0 {
            true => (codes.residual / codes.energy).sqrt(),
            false => 0.0,
        };
        LayerReport {
            name: self.name.clone(),
            atoms: self.atoms.count(),
            channels: self.atoms.channels(),
            kernel: self.atoms.kernel(),
            stride: self.placement.stride,
            dilation: self.placement.dilation,
            coherence: self.convolutional.value,
            coherent_pair: self.convolutional.pair,
            uniqueness_bound: uniqueness_bound(self.convolutional.value),
            stability_bound: stability_bound(self.convolutional.value),
            zero_atoms: self.atoms.zero(),
            repeated_atoms: self.convolutional.repeated.clone(),
            stripe_norm: codes.stripe_norm,
            patch_norm: codes.patch_norm,
            patch: match self.patch {
                Patch::Whole => None,
                Patch::Window { kernel, .. } => Some(kernel),
            },
            smallest_code: codes.smallest,
            largest_code: codes.largest,
            guarantees: Guarantees {
                unit,
                coherence: dictionary.value,
                stripe_norm,
            },
            uniqueness: bounded(uniqueness_bound(dictionary.value)),
            thresholding,
            basis_pursuit,
            input_error,
            real_error: codes.real_error,
            supports_changed: codes.supports_changed,
            nesting_residual,
            broken_assumptions: self.broken_assumptions(nesting_residual),
        }
    }

    /// What the theorems assume and the layer does not meet.
    fn broken_assumptions(&self, nesting_residual: f64) -> Vec<String> {
        let mut broken = Vec::new();
        match &self.source {
            CodingSource::Before => {}
            CodingSource::Normalized(_) => {
                broken.push("batch norm stands before it and shifts what it codes".to_owned())
            }
            CodingSource::Other(what) => broken.push(format!(
                "it codes {what}, not the codes before it: bounds start anew from the error of its input"
            )),
        }
        if self.unit == CodingUnit::Window {
            let message = "it codes each window alone: the guarantees are those of its atoms in one window, and the windows' \
                           codes do not add up to one code of the image";
            broken.push(message.to_owned());
        } else if self.codes.padded {
            broken.push("the border of the image cuts atoms off, so that they are no longer of norm 1".to_owned());
        }
        if self.carries_norms {
            let message =
                "the network codes with its own atoms, and not with those that carry the norms of the atoms before";
            broken.push(message.to_owned());
        }
        if self.ridge > 0.0 {
            let ridge = self.ridge;
            broken.push(format!(
                "the network's own codes have a ridge of {ridge}, which shrinks them; basis pursuit has none"
            ));
        }
        if nesting_residual > ROUNDING {
            broken.push(format!(
                "its codes do not give its input: ‖Y − DΓ‖ is {nesting_residual:.3} of ‖Y‖"
            ));
        }
        broken
    }
}

/// What is told of the layers, for noise of this ε₀.
pub(super) fn reports(layers: &[Layer], noise: f64) -> Vec<LayerReport> {
    let mut epsilons = [noise; 2];
    let before = [None].into_iter().chain(layers.iter().map(Some));
    let reports = layers
        .iter()
        .zip(before)
        .map(|(layer, before)| layer.report(before, &mut epsilons));
    reports.collect()
}

/// Values of a layer, if all of them are numbers.
fn finite(layer: &str, what: &'static str, values: Vec<f64>) -> Result<Vec<f64>, StudyError> {
    match values.iter().all(|value| value.is_finite()) {
        true => Ok(values),
        false => Err(StudyError::NotFinite {
            layer: layer.to_owned(),
            what,
        }),
    }
}

/// `values [b, c, …]` times a factor for each channel c.
fn scaled_channels(mut values: Vec<f64>, shape: [usize; 4], factors: &[f64]) -> Vec<f64> {
    let [_, channels, height, width] = shape;
    assert_eq!(
        channels,
        factors.len(),
        "channels (left) of codes of as many atoms (right)"
    );
    for (map, values) in values.chunks_exact_mut((height * width).max(1)).enumerate() {
        values.iter_mut().for_each(|value| *value *= factors[map % channels]);
    }
    values
}

fn difference(one: &[f64], other: &[f64]) -> Vec<f64> {
    one.iter().zip(other).map(|(one, other)| other - one).collect()
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}
