//! One iteration of one layer.

use burn::tensor::Tensor;
use scn_ops::{
    Convergence, ConvolutionalOptions, Placement, Point, ProximalStep, converged_convolutional_sparse_code2d,
    convolve2d, convolve2d_adjoint, proximal_ascent,
};

/// How a layer makes codes of signals, and better codes of codes.
// A network has a few at a time: a box would save nothing.
#[allow(clippy::large_enum_variant)]
pub(super) enum Step {
    /// By steps of the proximal gradient method.
    Proximal(ProximalStep),
    /// By learned encoders in their place.
    Encoded(EncodedStep),
    /// To convergence at once.
    Solved(SolvedStep),
}

/// `γ ← S(γ − WᵀWγ + Bx)` with an encoder B beside the weight W, where `Wᵀ` and B are convolutions (ML-LISTA: Sulam et
/// al., arXiv:1806.00701, section 5).
pub(super) struct EncodedStep {
    /// W `[n, c, k, k]`.
    pub weight: Tensor<4>,
    /// B `[n, c, k, k]`.
    pub encoder: Tensor<4>,
    /// `[1 or b, 1 or n]`.
    pub threshold: Tensor<2>,
    pub placement: Placement,
    pub non_negative: bool,
}

/// The solution of a layer's problem.
pub(super) struct SolvedStep {
    /// A step that leaves the solution where it is.
    pub step: ProximalStep,
    /// `[n, c, k, k]`.
    pub weight: Tensor<4>,
    /// `[1 or b, 1 or n]`.
    pub lambda: Tensor<2>,
    /// `[1]`.
    pub step_size: Tensor<1>,
    pub options: ConvolutionalOptions,
    pub convergence: Convergence,
}

impl Step {
    /// The first codes `[b, n, h', w']` of `x [b, c, h, w]`.
    pub(super) fn first(&self, x: Tensor<4>) -> Tensor<4> {
        match self {
            Step::Proximal(step) => step.first(x),
            Step::Encoded(step) => step.ascent(x, None),
            Step::Solved(solved) => converged_convolutional_sparse_code2d(
                x,
                solved.weight.clone(),
                solved.lambda.clone(),
                solved.step_size.clone(),
                solved.options,
                solved.convergence,
            ),
        }
    }

    /// The next codes of `x [b, c, h, w]` from codes `[b, n, h', w']` or a point beyond them.
    pub(super) fn step(&self, x: Tensor<4>, point: impl Into<Point>) -> Tensor<4> {
        match self {
            Step::Proximal(step) | Step::Solved(SolvedStep { step, .. }) => step.step(x, point),
            Step::Encoded(step) => step.step(x, point.into().values()),
        }
    }

    /// As [`Step::step`], where the signal `[b, c, h, w]` of the codes is known.
    pub(super) fn step_of_signal(&self, x: Tensor<4>, codes: Tensor<4>, signal: Tensor<4>) -> Tensor<4> {
        match self {
            Step::Proximal(step) | Step::Solved(SolvedStep { step, .. }) => step.step_of_signal(x, codes, signal),
            // That of the encoder is not the signal that its weight makes.
            Step::Encoded(step) => step.step(x, codes),
        }
    }

    /// The signal `[b, c, h, w]` of codes, of `sides = [h, w]`.
    pub(super) fn signal(&self, codes: Tensor<4>, sides: [usize; 2]) -> Tensor<4> {
        match self {
            Step::Proximal(step) | Step::Solved(SolvedStep { step, .. }) => step.signal(codes, sides),
            Step::Encoded(step) => convolve2d_adjoint(codes, step.encoder.clone(), step.placement, sides),
        }
    }
}

impl EncodedStep {
    fn step(&self, x: Tensor<4>, codes: Tensor<4>) -> Tensor<4> {
        let [_, _, height, width] = x.dims();
        let decoded = convolve2d_adjoint(codes.clone(), self.weight.clone(), self.placement, [height, width]);
        let again = convolve2d(decoded, self.weight.clone(), self.placement);
        self.ascent(x, Some(codes - again))
    }

    /// `S(γ + Bx)`.
    fn ascent(&self, x: Tensor<4>, codes: Option<Tensor<4>>) -> Tensor<4> {
        proximal_ascent(
            x,
            codes,
            self.encoder.clone(),
            Tensor::ones([1], &self.encoder.device()),
            self.threshold.clone(),
            self.placement,
            self.non_negative,
        )
    }
}
