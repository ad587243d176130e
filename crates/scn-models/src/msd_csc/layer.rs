//! A layer with the dictionary `[I Fᵀ]`.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use scn_ops::{Placement, convolve2d, convolve2d_adjoint};

use super::MsdCscConfig;
use crate::initialization::Initializer;
use crate::layers::mixed_scale::{KERNEL, dilated, dilated_summary};
use crate::layers::{BatchNorm, Threshold, report_step, reported};
use crate::{CodingReport, LayerSummary, Pass, Role, Roles};

/// Weights are so many times 1/√m for patches of m values, as in the authors' program: `‖D‖² = 1 + ‖F‖²` is near 1, and
/// so is the step size.
const DEVIATION: f64 = 0.1;

/// Codes `[b, m + g, h, w]` of signals `[b, m, h, w]`: m channels that are kept and g that are added.
#[derive(Module, Debug)]
pub struct CodingLayer {
    /// F `[g, m, 3, 3]`.
    pub weight: Param<Tensor<4>>,
    /// c `[1]`.
    pub step_size: Param<Tensor<1>>,
    /// Of all channels, or of those that are added where `kept` has the others.
    pub threshold: Threshold,
    /// Of the channels that are kept, where batch norm is not to take them.
    pub kept: Option<Threshold>,
    /// The statistics of the batch norm in each unfolding: its scale and shift are those of the first estimate, but what it
    /// normalises is not.
    pub unfolded: Vec<BatchNorm>,
    dilation: usize,
}

/// A code by its channels: those that are kept `[b, m, h, w]` and those that are added `[b, g, h, w]`.
pub(super) struct Parts {
    kept: Tensor<4>,
    added: Tensor<4>,
}

impl CodingLayer {
    pub(super) fn new(channels: usize, dilation: usize, keys: &MsdCscConfig, init: &mut Initializer) -> Self {
        let (growth, batch_norm) = (keys.growth, keys.batch_norm);
        let apart = batch_norm && !keys.normalize_kept;
        let patch = (KERNEL * KERNEL * channels) as f64;
        let threshold = Threshold::new(if apart { growth } else { channels + growth }, batch_norm, init);
        Self {
            weight: init.normal([growth, channels, KERNEL, KERNEL], DEVIATION / patch.sqrt()),
            step_size: init.constant([1], 1.0),
            unfolded: (0..keys.unfoldings)
                .filter_map(|_| threshold.other_statistics(init))
                .collect(),
            threshold,
            kept: apart.then(|| Threshold::new(channels, false, init)),
            dilation,
        }
    }

    /// The first estimate of the code of a signal: a step from 0.
    pub(super) fn estimate(&self, signal: Tensor<4>, pass: &Pass) -> Tensor<4> {
        self.rectify(self.ascent(signal), None, pass)
    }

    /// The code after the step from `code` of an unfolding, given the residual `γᵢ − Dᵢγᵢ₊₁ [b, m, h, w]`.
    pub(super) fn step(&self, code: Parts, residual: Tensor<4>, unfolding: usize, pass: &Pass) -> Tensor<4> {
        let ascent = self.ascent(residual);
        let moved = Parts {
            kept: code.kept + ascent.kept,
            added: code.added + ascent.added,
        };
        self.rectify(moved, self.unfolded.get(unfolding), pass)
    }

    /// What the dictionary makes of a code: `[b, m, h, w]`.
    pub(super) fn synthesize(&self, code: &Parts) -> Tensor<4> {
        let [_, _, height, width] = code.kept.dims();
        let placement = dilated(self.dilation);
        code.kept.clone() + convolve2d_adjoint(code.added.clone(), self.weight.val(), placement, [height, width])
    }

    /// The parts of `code [b, m + g, h, w]`.
    pub(super) fn parts(&self, code: Tensor<4>) -> Parts {
        let [growth, channels, ..] = self.weight.dims();
        Parts {
            kept: code.clone().narrow(1, 0, channels),
            added: code.narrow(1, channels, growth),
        }
    }

    /// `c·Dᵀr` of a residual `r [b, m, h, w]`.
    fn ascent(&self, residual: Tensor<4>) -> Parts {
        let step_size = self.step_size.val().reshape([1, 1, 1, 1]);
        let filtered = convolve2d(residual.clone(), self.weight.val(), dilated(self.dilation));
        Parts {
            kept: residual * step_size.clone(),
            added: filtered * step_size,
        }
    }

    fn rectify(&self, code: Parts, statistics: Option<&BatchNorm>, pass: &Pass) -> Tensor<4> {
        let Parts { kept, added } = code;
        match &self.kept {
            Some(threshold) => {
                let kept = threshold.forward(kept, pass);
                let added = relu(self.threshold.shift_by(statistics, added, pass));
                Tensor::cat(vec![kept, added], 1)
            }
            None => {
                let code = Tensor::cat(vec![kept, added], 1);
                relu(self.threshold.shift_by(statistics, code, pass))
            }
        }
    }

    /// What is reported of the codes of `signal` after so many unfoldings: the residual of another step, with the running
    /// statistics of the last.
    pub(super) fn report(&self, signal: &Tensor<4>, codes: &Tensor<4>, unfoldings: usize) -> CodingReport {
        let (signal, codes) = (reported(signal), reported(codes));
        let layer = self.valid();
        let parts = layer.parts(codes.clone());
        let residual = signal - layer.synthesize(&parts);
        let next = layer.step(parts, residual, unfoldings.saturating_sub(1), &Pass::EVALUATION);
        report_step(codes, next, 1 + unfoldings)
    }

    /// Where the windows of F lie.
    pub(super) fn placement(&self) -> Placement {
        dilated(self.dilation)
    }

    /// Dᵢ as atoms `[m + g, m, 3, 3]`: those of the identity, then those of F.
    pub(super) fn dictionary(&self) -> Tensor<4> {
        let weight = self.weight.val().without_autodiff();
        let [_, channels, ..] = weight.dims();
        let identity: Tensor<4> = Tensor::<2>::eye(channels, &weight.device()).reshape([channels, channels, 1, 1]);
        let around = (KERNEL / 2, KERNEL / 2, KERNEL / 2, KERNEL / 2);
        Tensor::cat(vec![identity.pad(around, 0.0), weight], 0)
    }

    /// λ of its codes, `[m + g]`: the thresholds divided by the step size.
    pub(super) fn lambda(&self) -> Tensor<1> {
        let level = self.threshold.level(self.unfolded.last());
        let level = match &self.kept {
            Some(kept) => Tensor::cat(vec![kept.level(None), level], 0),
            None => level,
        };
        level / self.step_size.val().without_autodiff()
    }

    pub(super) fn roles(&self, roles: &mut Roles) {
        roles.set(&self.weight, Role::DICTIONARY);
        self.threshold.roles(roles);
        if let Some(kept) = &self.kept {
            kept.roles(roles);
        }
    }

    /// One convolution for the first estimate, and F and its adjoint in each unfolding.
    pub(super) fn summary(&self, name: &str, input: [usize; 3], unfoldings: usize) -> LayerSummary {
        let mut summary = dilated_summary(name, "dense coding", &self.weight, self.dilation, input);
        let kept = self.kept.as_ref().map_or(0, Threshold::parameters);
        summary.parameters += 1 + self.threshold.parameters() + kept;
        summary.convolution *= 1 + 2 * unfoldings as u64;
        summary
    }
}
