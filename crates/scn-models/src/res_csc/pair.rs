//! A pair of coding layers.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use scn_ops::convolve2d_adjoint;

use super::{KERNEL, ResCscConfig, Skip};
use crate::initialization::Initializer;
use crate::layers::residual::subsample;
use crate::layers::{Convolution, Threshold, report_step, reported};
use crate::{CodingLayer, CodingReport, CodingSource, CodingUnit, LayerSummary, Pass, Role, Roles};

/// Two coding layers, of which the second starts at the code before the last.
#[derive(Module, Debug)]
pub struct Pair {
    /// From 0; carries the stride.
    pub first: Step,
    /// From what the pair was given.
    pub second: Step,
    #[module(skip)]
    skip: Skip,
}

/// One step of ISTA: `Γ⁺ = ReLU(Γ + A(Dᵀ(X − DΓ)))`, where A is batch norm, or `v ↦ c·v + b`.
#[derive(Module, Debug)]
pub struct Step {
    /// Dᵀ `[n, c, k, k]`.
    pub conv: Convolution,
    /// The step size c = 1/L `[1]`; absent behind a batch norm, and where a step starts at 0, as weights have its part there.
    pub step_size: Option<Param<Tensor<1>>>,
    /// Before the rectifier.
    pub threshold: Threshold,
}

impl Pair {
    pub(super) fn new(keys: &ResCscConfig, input: usize, output: usize, stride: usize, init: &mut Initializer) -> Self {
        let batch_norm = keys.batch_norm;
        Self {
            first: Step::new(input, output, stride, batch_norm, false, init),
            second: Step::new(output, output, 1, batch_norm, true, init),
            skip: keys.skip,
        }
    }

    /// The codes of `x [b, c, h, w]` that both layers make.
    pub(super) fn pursue(&self, x: Tensor<4>, pass: &Pass) -> [Tensor<4>; 2] {
        let first = relu(self.first.ascend(x.clone(), pass));
        // The code before the last, continued by zeros where codes have more channels and fewer pixels.
        let [_, channels, ..] = first.dims();
        let start = subsample(x, self.first.conv.stride(), channels);
        let residual = match self.skip {
            Skip::Ista => first.clone() - self.second.synthesize(start.clone(), &first),
            Skip::Identity => first.clone(),
        };
        let second = relu(self.second.ascend(residual, pass) + start);
        [first, second]
    }

    /// The codes of `x [b, c, h, w]`; what both layers report is added to `codes`.
    pub fn forward(&self, x: Tensor<4>, pass: &Pass, codes: &mut Vec<CodingReport>) -> Tensor<4> {
        let [first, second] = self.pursue(x.clone(), pass);
        codes.push(self.first.report(&x, &first));
        codes.push(self.second.report(&first, &second));
        second
    }

    /// Both layers on inputs `[channels, height, width]`.
    pub(super) fn layers(&self, name: &str, input: [usize; 3]) -> [LayerSummary; 2] {
        let first = self.first.summary(&format!("{name}.first"), input, 1);
        let convolutions = match self.skip {
            Skip::Ista => 2,
            Skip::Identity => 1,
        };
        let second = self
            .second
            .summary(&format!("{name}.second"), first.output, convolutions);
        [first, second]
    }

    pub(super) fn roles(&self, roles: &mut Roles) {
        for step in [&self.first, &self.second] {
            roles.set(&step.conv.weight, Role::DICTIONARY);
            step.threshold.roles(roles);
        }
    }

    /// Both layers, the first of which codes `source`.
    pub(super) fn coding_layers(&self, name: &str, source: CodingSource) -> [CodingLayer; 2] {
        let layers = [
            ("first", &self.first, source),
            ("second", &self.second, CodingSource::Before),
        ];
        layers.map(|(which, step, source)| CodingLayer {
            name: format!("{name}.{which}.conv"),
            lambda1: step.lambda(),
            ridge: 0.0,
            weight: step.conv.weight.val().without_autodiff(),
            placement: step.conv.stride().into(),
            unit: CodingUnit::Image,
            source,
        })
    }
}

impl Step {
    /// The step size starts at 1/L of a large random dictionary: the largest singular value of an n×c matrix of independent
    /// values is near `σ(√n + √c)`, and that of the convolution k times as large.
    fn new(input: usize, output: usize, stride: usize, batch_norm: bool, sized: bool, init: &mut Initializer) -> Self {
        let conv = Convolution::new(input, output, KERNEL, stride, init);
        let ratio = (input as f64 / output as f64).sqrt();
        let norm = 2.0 * (1.0 + ratio).powi(2);
        Self {
            conv,
            step_size: (sized && !batch_norm).then(|| init.constant([1], 1.0 / norm)),
            threshold: Threshold::new(output, batch_norm, init),
        }
    }

    /// `A(Dᵀr)` of a residual `r [b, c, h, w]`.
    fn ascend(&self, residual: Tensor<4>, pass: &Pass) -> Tensor<4> {
        let ascent = self.conv.forward(residual);
        let ascent = match &self.step_size {
            Some(step_size) => ascent * step_size.val().reshape([1, 1, 1, 1]),
            None => ascent,
        };
        self.threshold.shift(ascent, pass)
    }

    /// `DΓ`, of the shape of `signal`.
    fn synthesize(&self, codes: Tensor<4>, signal: &Tensor<4>) -> Tensor<4> {
        let [_, _, height, width] = signal.dims();
        convolve2d_adjoint(codes, self.conv.weight.val(), self.conv.stride(), [height, width])
    }

    /// What is reported of the codes of `signal`: the residual of another step, with running statistics.
    fn report(&self, signal: &Tensor<4>, codes: &Tensor<4>) -> CodingReport {
        let (signal, codes) = (reported(signal), reported(codes));
        let step = self.valid();
        let residual = signal.clone() - step.synthesize(codes.clone(), &signal);
        let next = relu(codes.clone() + step.ascend(residual, &Pass::EVALUATION));
        report_step(codes, next, 1)
    }

    /// λ of its codes, `[n]`: the threshold divided by the step size.
    fn lambda(&self) -> Tensor<1> {
        let level = self.threshold.level(None);
        match &self.step_size {
            Some(step_size) => level / step_size.val().without_autodiff(),
            None => level,
        }
    }

    /// A layer that computes `convolutions` of this size.
    fn summary(&self, name: &str, input: [usize; 3], convolutions: u64) -> LayerSummary {
        let mut summary = self.conv.summary(name, input);
        summary.kind = format!("coding step {KERNEL}×{KERNEL}, stride {}", self.conv.stride());
        summary.convolution *= convolutions;
        summary.parameters += self.threshold.parameters() + usize::from(self.step_size.is_some());
        summary
    }
}
