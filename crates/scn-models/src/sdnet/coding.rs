//! The convolutional sparse-coding layer of SDNet (Dai et al., arXiv:2210.12945, section 3).

use burn::module::{Module, Param, RunningState};
use burn::tensor::Tensor;
use scn_ops::{
    Convergence, ConvolutionalOptions, converged_convolutional_sparse_code2d, convolutional_sparse_code2d, convolve2d,
    convolve2d_adjoint,
};

use super::CscConfig;
use crate::initialization::{Initializer, like};
use crate::layers::residual::Filter;
use crate::layers::{active_codes, image_means, relative_residual, step_size};
use crate::roles::constrained;
use crate::{
    CodingLayer, CodingReport, CodingSource, CodingUnit, Constraint, ImageCodes, LayerSummary, Role, Roles, Sparsity,
};

/// Images of a batch whose codes are reported: the residual takes two convolutions.
const REPORTED: usize = 1;

/// `[b, c, h, w]` to the codes `[b, n, ⌈h/stride⌉, ⌈w/stride⌉]` of whole images.
#[derive(Module, Debug)]
pub struct ConvolutionalCoding {
    /// The dictionary, one atom of unit norm a row: `[n, c, k, k]`.
    pub weight: Param<Tensor<4>>,
    /// `0.9/‖D‖²` `[1]`.
    pub step_size: RunningState<Tensor<1>>,
    /// The leading eigenvector of `DᵀD` `[1, n, h', w']`, for the images that the network is built for.
    pub direction: RunningState<Tensor<4>>,
    lambda: f64,
    #[module(skip)]
    options: ConvolutionalOptions,
    #[module(skip)]
    implicit: Option<Convergence>,
    #[module(skip)]
    sides: [usize; 2],
}

impl ConvolutionalCoding {
    /// For images `[channels, height, width]`, with atoms of random directions.
    pub(crate) fn new(
        [channels, height, width]: [usize; 3],
        atoms: usize,
        kernel: usize,
        stride: usize,
        csc: &CscConfig,
        init: &mut Initializer,
    ) -> Self {
        let options = ConvolutionalOptions {
            steps: csc.steps,
            mu: csc.mu,
            non_negative: csc.non_negative,
            placement: stride.into(),
        };
        let sides = [height, width];
        let weight = init
            .normal([atoms, channels, kernel, kernel], 1.0)
            .map(|weight| constrained(weight, Constraint::UnitSphere));
        let codes = [1, atoms, height.div_ceil(stride), width.div_ceil(stride)];
        let (value, direction) = step_size::first(&weight, codes, stride.into(), sides, init);
        let device = init.device();
        Self {
            weight,
            step_size: RunningState::new(like(device, value)),
            direction: RunningState::new(like(device, direction)),
            lambda: csc.lambda,
            options,
            implicit: csc.implicit.map(|implicit| Convergence {
                tolerance: implicit.tolerance,
                max_iterations: implicit.max_iterations,
            }),
            sides,
        }
    }

    /// Codes of `x [b, c, h, w]` with the weight `lambda` of the 1-norm, `[1]` or one value for each image `[b]`; without
    /// one, with the λ that the network was trained with.
    pub fn forward(&self, x: Tensor<4>, lambda: Option<&Tensor<1>>) -> Tensor<4> {
        let lambda = self.lambda_or(lambda, &x).reshape([-1, 1]);
        let (weight, step_size) = (self.weight.val(), self.step_size.value_sync());
        match self.implicit {
            None => convolutional_sparse_code2d(x, weight, lambda, step_size, self.options),
            Some(convergence) => {
                converged_convolutional_sparse_code2d(x, weight, lambda, step_size, self.options, convergence)
            }
        }
    }

    /// The mean over the values of each image of `(x − D∗c)²` `[b]`, for the codes of the λ of training.
    pub fn residual(&self, x: Tensor<4>) -> Tensor<1> {
        let [_, _, height, width] = x.dims();
        let codes = self.forward(x.clone(), None);
        let signal = convolve2d_adjoint(codes, self.weight.val(), self.options.placement, [height, width]);
        image_means((x - signal).powi_scalar(2))
    }

    /// λ of training.
    pub fn lambda(&self) -> f64 {
        self.lambda
    }

    /// λ for a batch: as in training, unless `lambda` says otherwise.
    fn lambda_or(&self, lambda: Option<&Tensor<1>>, x: &Tensor<4>) -> Tensor<1> {
        match lambda {
            Some(lambda) => lambda.clone(),
            None => Tensor::full([1], self.lambda, &x.device()),
        }
    }

    /// What is reported of the codes of `x [b, c, h, w]` for λ: of the first [`REPORTED`] images.
    fn report(&self, x: &Tensor<4>, codes: &Tensor<4>, lambda: &Tensor<1>) -> CodingReport {
        let count = REPORTED.min(codes.dims()[0]);
        let first = |values: &Tensor<4>| values.clone().without_autodiff().slice_dim(0, 0..count);
        let (x, codes) = (first(x), first(codes));
        let lambda = match lambda.dims() {
            [1] => lambda.clone(),
            _ => lambda.clone().slice_dim(0, 0..count),
        };
        let weight = self.weight.val().without_autodiff();
        let step_size = self.step_size.value_sync().without_autodiff();
        let [_, _, height, width] = codes.dims();
        let active = active_codes(&codes);
        CodingReport::Images(ImageCodes {
            steps: self.implicit.is_none().then_some(self.options.steps),
            residual: natural_residual(x, weight, lambda.without_autodiff(), step_size, codes, self.options),
            active,
            pixels: height * width,
        })
    }
}

impl Filter for ConvolutionalCoding {
    type Settings = CscConfig;

    fn new(
        csc: &CscConfig,
        input: [usize; 3],
        filters: usize,
        kernel: usize,
        stride: usize,
        init: &mut Initializer,
    ) -> Self {
        ConvolutionalCoding::new(input, filters, kernel, stride, csc, init)
    }

    fn filter(&self, x: Tensor<4>, sparsity: Option<&Tensor<1>>) -> (Tensor<4>, Option<CodingReport>) {
        let codes = self.forward(x.clone(), sparsity);
        let lambda = self.lambda_or(sparsity, &x);
        let report = self.report(&x, &codes, &lambda);
        (codes, Some(report))
    }

    fn summary(&self, name: &str, [_, height, width]: [usize; 3]) -> LayerSummary {
        let [atoms, channels, kernel, _] = self.weight.val().dims();
        let stride = self.options.placement.stride;
        let output = [atoms, height.div_ceil(stride), width.div_ceil(stride)];
        let parameters = atoms * channels * kernel * kernel;
        LayerSummary {
            name: name.into(),
            kind: format!("convolutional sparse coding {kernel}×{kernel}, stride {stride}"),
            output,
            parameters,
            // One convolution in the first step, D and its adjoint in each of the others.
            convolution: ((2 * self.options.steps - 1) * parameters * output[1] * output[2]) as u64,
            solver_iteration: 0,
        }
    }

    fn roles(&self, roles: &mut Roles) {
        let constraint = Constraint::UnitSphere;
        roles.set(
            &self.weight,
            Role {
                constraint,
                ..Role::DICTIONARY
            },
        );
    }

    fn coding_layer(&self, name: String, source: CodingSource) -> Option<CodingLayer> {
        let weight = self.weight.val();
        let device = weight.clone().without_autodiff().device();
        Some(CodingLayer {
            name,
            lambda1: Tensor::full([1], self.lambda, &device),
            ridge: self.options.mu,
            weight,
            placement: self.options.placement,
            unit: CodingUnit::Image,
            source,
        })
    }

    fn codes(&self) -> bool {
        true
    }

    fn sparsity(&self) -> Option<Sparsity> {
        Some(Sparsity::Lambda(self.lambda))
    }

    fn residual(&self, x: Tensor<4>) -> Option<Tensor<1>> {
        Some(ConvolutionalCoding::residual(self, x))
    }

    /// The step size follows the dictionary.
    fn refresh(self) -> Self {
        let (weight, placement) = (self.weight.val(), self.options.placement);
        step_size::follow(&self.step_size, &self.direction, weight, placement, self.sides);
        self
    }
}

/// How far codes `c [b, n, h', w']` are from the solution for `x [b, c, h, w]`: `ρ = ‖c − prox(c − t∇)‖ / ‖c‖` `[b]` with
/// the step size t, the gradient `∇ = Dᵀ(Dc − x) + μc` and the proximal map of `t·λ‖·‖₁`; 0 where both norms are.
fn natural_residual(
    x: Tensor<4>,
    weight: Tensor<4>,
    lambda: Tensor<1>,
    step_size: Tensor<1>,
    codes: Tensor<4>,
    options: ConvolutionalOptions,
) -> Tensor<1> {
    let [_, _, height, width] = x.dims();
    let signal = convolve2d_adjoint(codes.clone(), weight.clone(), options.placement, [height, width]);
    let gradient = convolve2d(signal - x, weight, options.placement) + codes.clone() * options.mu;
    let step: Tensor<4> = step_size.reshape([1, 1, 1, 1]);
    let threshold = lambda.reshape([-1, 1, 1, 1]) * step.clone();
    let moved = codes.clone() - gradient * step;
    let next = match options.non_negative {
        true => (moved - threshold).clamp_min(0.0),
        false => moved.clone().sign() * (moved.abs() - threshold).clamp_min(0.0),
    };
    relative_residual(codes, next)
}
