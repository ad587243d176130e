//! The convolutional sparse-coding layer of SDNet (Dai et al., arXiv:2210.12945, section 3).

use burn::module::{Module, Param, RunningState};
use burn::tensor::{Device, Tensor};
use scn_ops::{ConvolutionalOptions, convolutional_sparse_code2d, dictionary_norm};

use crate::initialization::Initializer;
use crate::{CscConfig, LayerSummary};

/// The step size is this share of `1/‖D‖²`, as in the authors' program.
const STEP: f64 = 0.9;
/// Steps of power iteration from a random start.
const FIRST_ITERATIONS: usize = 100;
/// The same from the last direction, after the dictionary has moved by one training step.
const ITERATIONS: usize = 10;

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
            stride,
        };
        let sides = [height, width];
        let weight = init.normal([atoms, channels, kernel, kernel], 1.0).map(projected);
        let start = init.normal([1, atoms, height.div_ceil(stride), width.div_ceil(stride)], 1.0);
        let (norm, direction) = dictionary_norm(weight.val(), start.val(), stride, sides, FIRST_ITERATIONS);
        let device = init.device();
        Self {
            weight,
            step_size: RunningState::new(like(device, step_size(norm))),
            direction: RunningState::new(like(device, direction)),
            lambda: csc.lambda,
            options,
            sides,
        }
    }

    /// Codes with the weight `lambda` of the 1-norm, `[1]` or one value for each image `[b]`.
    pub fn forward(&self, x: Tensor<4>, lambda: Tensor<1>) -> Tensor<4> {
        convolutional_sparse_code2d(x, self.weight.val(), lambda, self.step_size.value_sync(), self.options)
    }

    /// Codes with the λ that the network was trained with.
    pub fn forward_trained(&self, x: Tensor<4>) -> Tensor<4> {
        let lambda = Tensor::full([1], self.lambda, &x.device());
        self.forward(x, lambda)
    }

    /// After a training step: atoms of unit norm again, and the step size of the new dictionary.
    pub(crate) fn project(self) -> Self {
        let weight = self.weight.map(projected);
        let device = weight.val().device();
        let (norm, direction) = dictionary_norm(
            weight.val(),
            self.direction.value_sync(),
            self.options.stride,
            self.sides,
            ITERATIONS,
        );
        self.step_size.update(like(&device, step_size(norm)));
        self.direction.update(like(&device, direction));
        // An update waits to be averaged with those of other threads; until then a checkpoint would not see it.
        self.step_size.value_sync();
        self.direction.value_sync();
        Self { weight, ..self }
    }

    pub(crate) fn summary(&self, name: &str, [_, height, width]: [usize; 3]) -> LayerSummary {
        let [atoms, channels, kernel, _] = self.weight.val().dims();
        let stride = self.options.stride;
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
}

/// A tensor without autodiff, made one of `device`.
fn like<const D: usize>(device: &Device, tensor: Tensor<D>) -> Tensor<D> {
    if device.is_autodiff() {
        Tensor::from_inner(tensor)
    } else {
        tensor
    }
}

/// A parameter's value with [`unit_atoms`].
fn projected(weight: Tensor<4>) -> Tensor<4> {
    let device = weight.device();
    let weight = like(&device, unit_atoms(weight.without_autodiff()));
    if device.is_autodiff() {
        weight.require_grad()
    } else {
        weight
    }
}

/// Every atom divided by its norm; zero atoms stay.
fn unit_atoms(weight: Tensor<4>) -> Tensor<4> {
    let shape = weight.dims();
    let atoms: Tensor<2> = weight.reshape([shape[0] as i32, -1]);
    let norms = atoms.clone().powi_scalar(2).sum_dim(1).sqrt().clamp_min(1e-12);
    (atoms / norms).reshape(shape)
}

fn step_size(norm: Tensor<1>) -> Tensor<1> {
    norm.clamp_min(1e-12).recip() * STEP
}
