//! One step of the proximal gradient method for a convolutional sparse code,
//! `prox(γ + t·Dᵀ(x − D∗γ))` with the step size t, where prox is that of `t·(λ‖·‖₁ + μ/2·‖·‖²)`: the soft threshold at tλ,
//! one-sided for non-negative codes, divided by `1 + tμ` (ISTA: Daubechies, Defrise & De Mol, 2004).

use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use scn_solver::Placement;

use crate::proximal::{accelerated_step, proximal_ascent, signal_residual};
use crate::{Point, convolve2d, convolve2d_adjoint};

/// What a step depends on besides tensors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProximalOptions {
    /// The ridge μ.
    pub mu: f64,
    /// Whether codes are non-negative.
    pub non_negative: bool,
    /// Where the places of the codes lie.
    pub placement: Placement,
}

/// The step of a layer, from any codes to the next. Gradients reach the signal, the codes and all tensors of the layer.
#[derive(Clone, Debug)]
pub struct ProximalStep {
    /// `[n, c, k, k]`.
    weight: Tensor<4>,
    /// t `[1]`.
    step_size: Tensor<1>,
    /// `[1 or b, 1 or n]`.
    threshold: Tensor<2>,
    /// `1/(1 + tμ)` `[1, 1, 1, 1]`; absent without a ridge.
    shrink: Option<Tensor<4>>,
    options: ProximalOptions,
}

impl ProximalStep {
    /// With one atom a row of `weight [n, c, k, k]`, the size t `[1]` of the step, and the threshold tλ: one value or one
    /// for each image, in its rows, and one value or one for each atom, in its columns: `[1 or b, 1 or n]`.
    ///
    /// # Panics
    /// Where the step size or the rows of the threshold have another number of values.
    pub fn new(weight: Tensor<4>, threshold: Tensor<2>, step_size: Tensor<1>, options: ProximalOptions) -> Self {
        assert_eq!(
            step_size.dims(),
            [1],
            "shape of step_size (left) is not that of one value"
        );
        let ([_, values], [atoms, ..]) = (threshold.dims(), weight.dims());
        assert!(
            values == 1 || values == atoms,
            "the threshold has {values} values a row: {atoms} atoms need 1 or {atoms}"
        );
        Self {
            weight,
            threshold,
            shrink: (options.mu != 0.0).then(|| {
                let size: Tensor<4> = step_size.clone().reshape([1, 1, 1, 1]);
                (size * options.mu + 1.0).recip()
            }),
            step_size,
            options,
        }
    }

    /// The step from 0 for `x [b, c, h, w]`: codes `[b, n, h', w']` of the sides of [`convolve2d`].
    ///
    /// # Panics
    /// As [`convolve2d`], and where the threshold is that of another number of images.
    pub fn first(&self, x: Tensor<4>) -> Tensor<4> {
        self.shrunk(self.proximal_ascent(x, None))
    }

    /// The step for `x [b, c, h, w]` from codes `[b, n, h', w']` or a point beyond them.
    ///
    /// # Panics
    /// As [`ProximalStep::first`], and where the codes are not those of the layer.
    pub fn step(&self, x: Tensor<4>, point: impl Into<Point>) -> Tensor<4> {
        let codes = match point.into() {
            Point {
                codes,
                momentum: Some(momentum),
            } if !codes.device().is_autodiff() => {
                return self.shrunk(accelerated_step(
                    x,
                    codes,
                    momentum,
                    self.weight.clone(),
                    self.step_size.clone(),
                    self.threshold.clone(),
                    self.options.placement,
                    self.options.non_negative,
                ));
            }
            // The gradient of the dictionary needs the point.
            point => point.values(),
        };
        let residual = signal_residual(x, codes.clone(), self.weight.clone(), self.options.placement);
        self.shrunk(self.proximal_ascent(residual, Some(codes)))
    }

    /// As [`ProximalStep::step`], where the signal `D∗γ [b, c, h, w]` of the codes is known.
    ///
    /// # Panics
    /// As [`ProximalStep::step`].
    pub fn step_of_signal(&self, x: Tensor<4>, codes: Tensor<4>, signal: Tensor<4>) -> Tensor<4> {
        self.shrunk(self.proximal_ascent(x - signal, Some(codes)))
    }

    /// The signal `D∗γ [b, c, h, w]` of codes, of `sides = [h, w]`.
    ///
    /// # Panics
    /// As [`convolve2d_adjoint`].
    pub fn signal(&self, codes: Tensor<4>, sides: [usize; 2]) -> Tensor<4> {
        convolve2d_adjoint(codes, self.weight.clone(), self.options.placement, sides)
    }

    /// `t·Dᵀ` of a residual.
    pub(crate) fn ascent(&self, residual: Tensor<4>) -> Tensor<4> {
        let size: Tensor<4> = self.step_size.clone().reshape([1, 1, 1, 1]);
        convolve2d(residual, self.weight.clone(), self.options.placement) * size
    }

    /// The proximal operator.
    pub(crate) fn proximal(&self, codes: Tensor<4>) -> Tensor<4> {
        self.shrunk(soft_threshold(codes, self.threshold.clone(), self.options.non_negative))
    }

    /// `S(γ + t·Dᵀr)` of a residual and codes.
    fn proximal_ascent(&self, residual: Tensor<4>, codes: Option<Tensor<4>>) -> Tensor<4> {
        proximal_ascent(
            residual,
            codes,
            self.weight.clone(),
            self.step_size.clone(),
            self.threshold.clone(),
            self.options.placement,
            self.options.non_negative,
        )
    }

    /// What the ridge leaves of codes.
    fn shrunk(&self, codes: Tensor<4>) -> Tensor<4> {
        match &self.shrink {
            None => codes,
            Some(shrink) => codes * shrink.clone(),
        }
    }
}

/// `codes [b, n, h, w]` moved towards 0 by `threshold [1 or b, 1 or n]`, and 0 where they would pass it; with
/// `non_negative`, moved down, and 0 where they are below: a bias of `−threshold` and ReLU, whatever its sign.
///
/// # Panics
/// Where the threshold has another shape.
pub fn soft_threshold(codes: Tensor<4>, threshold: Tensor<2>, non_negative: bool) -> Tensor<4> {
    let ([batch, atoms, ..], [rows, columns]) = (codes.dims(), threshold.dims());
    assert!(
        (rows == 1 || rows == batch) && (columns == 1 || columns == atoms),
        "a threshold [{rows}, {columns}]: {batch} images with {atoms} atoms need [1 or {batch}, 1 or {atoms}]"
    );
    let threshold: Tensor<4> = threshold.reshape([rows, columns, 1, 1]);
    let above = relu(codes.clone() - threshold.clone());
    match non_negative {
        true => above,
        false => above - relu(-codes - threshold),
    }
}
