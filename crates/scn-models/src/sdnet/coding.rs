//! The convolutional sparse-coding layer of SDNet (Dai et al., arXiv:2210.12945, section 3).

use burn::module::{Module, Param, RunningState};
use burn::tensor::Tensor;
use scn_ops::{
    Convergence, ConvolutionalOptions, converged_convolutional_sparse_code2d, convolutional_sparse_code2d, convolve2d,
    convolve2d_adjoint, dictionary_norm,
};

use super::CscConfig;
use crate::initialization::{Initializer, like};
use crate::layers::residual::Filter;
use crate::layers::{image_means, relative_change};
use crate::roles::constrained;
use crate::{CodingReport, Constraint, ImageCodes, LayerSummary, Role, Roles, Sparsity};

/// The step size is this share of `1/‖D‖²`, as in the authors' program.
const STEP: f64 = 0.9;
/// Steps of power iteration from the last direction, after the dictionary has moved by one training step.
const ITERATIONS: usize = 10;
/// From a random start as many rounds of these steps, at most.
const FIRST_ROUNDS: usize = 20;
/// Fewer where a round has changed the norm by no more than this share of it.
const SETTLED: f64 = 1e-4;
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
        let start = init.normal([1, atoms, height.div_ceil(stride), width.div_ceil(stride)], 1.0);
        let (norm, direction) = match init.is_empty() {
            true => (
                Tensor::zeros([1], &init.device().clone().inner()),
                start.val().without_autodiff(),
            ),
            false => settled_norm(weight.val(), start.val(), stride, sides),
        };
        let device = init.device();
        Self {
            weight,
            step_size: RunningState::new(like(device, step_size(norm))),
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
        let lambda = self.lambda_or(lambda, &x);
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
        let [_, atoms, height, width] = codes.dims();
        let active = codes.clone().not_equal_elem(0.0).float().sum_dim(3).sum_dim(2);
        CodingReport::Images(ImageCodes {
            steps: self.implicit.is_none().then_some(self.options.steps),
            residual: natural_residual(x, weight, lambda.without_autodiff(), step_size, codes, self.options),
            active: active.reshape([count, atoms]),
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
                ..Role::WEIGHT
            },
        );
    }

    fn lambda1(&self) -> Option<Tensor<1>> {
        let device = self.weight.val().without_autodiff().device();
        Some(Tensor::full([1], self.lambda, &device))
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
        let weight = self.weight.val();
        let device = weight.device();
        let (norm, direction) = dictionary_norm(
            weight,
            self.direction.value_sync(),
            self.options.placement,
            self.sides,
            ITERATIONS,
        );
        self.step_size.update(like(&device, step_size(norm)));
        self.direction.update(like(&device, direction));
        // An update waits to be averaged with those of other threads; until then a checkpoint would not see it.
        self.step_size.value_sync();
        self.direction.value_sync();
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
    relative_change(codes, next)
}

/// [`dictionary_norm`] from a random start, until it has settled.
fn settled_norm(
    weight: Tensor<4>,
    mut direction: Tensor<4>,
    stride: usize,
    sides: [usize; 2],
) -> (Tensor<1>, Tensor<4>) {
    let mut last = 0.0;
    for _ in 1..FIRST_ROUNDS {
        let (norm, next) = dictionary_norm(weight.clone(), direction, stride, sides, ITERATIONS);
        direction = next;
        let value = norm.into_data().iter::<f64>().next().unwrap_or_default();
        if (value - last).abs() <= SETTLED * value {
            break;
        }
        last = value;
    }
    dictionary_norm(weight, direction, stride, sides, ITERATIONS)
}

fn step_size(norm: Tensor<1>) -> Tensor<1> {
    norm.clamp_min(1e-12).recip() * STEP
}
