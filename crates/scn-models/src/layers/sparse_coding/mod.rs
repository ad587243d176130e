//! A sparse-coding layer with its dictionary and sparsity weight (Sun, Nasrabadi & Tran, arXiv:1701.08349, eq. 1).

mod lambda1;
mod solver;

pub use lambda1::Lambda1Config;
pub use solver::{SolverConfig, SolverMethod};

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use scn_ops::{Normalization, Placement, SolverInfo, convolve2d, normalized_sparse_code2d, sparse_code2d};
use scn_solver::SolverOptions;

use super::{image_means, output_shape};
use crate::initialization::{Initializer, like};
use crate::{CodingLayer, CodingSource, CodingUnit, Constraint, Group, LayerSummary, Role, Roles};

/// `[b, c, h, w]` to non-negative codes `[b, n, h', w']`; where the placement is a number, `⌈h/stride⌉` and `⌈w/stride⌉`.
#[derive(Module, Debug)]
pub struct SparseCoding2d {
    /// The dictionary, one atom a row: `[n, c, k, k]`.
    pub weight: Param<Tensor<4>>,
    /// λ₁: `[1]`, or `[n]` where each atom has its own.
    pub lambda1: Param<Tensor<1>>,
    learned: bool,
    #[module(skip)]
    placement: Placement,
    #[module(skip)]
    options: SolverOptions,
}

impl SparseCoding2d {
    /// A dictionary from N(0, 1/m²) with `m = c·k²`, as in the authors' program.
    pub(crate) fn new(
        channels: usize,
        atoms: usize,
        kernel: usize,
        placement: impl Into<Placement>,
        lambda1: &Lambda1Config,
        options: SolverOptions,
        init: &mut Initializer,
    ) -> Self {
        let patch = channels * kernel * kernel;
        Self {
            weight: init.normal([atoms, channels, kernel, kernel], 1.0 / patch as f64),
            lambda1: init
                .constant([if lambda1.per_atom { atoms } else { 1 }], lambda1.initial)
                .set_require_grad(lambda1.learned),
            learned: lambda1.learned,
            placement: placement.into(),
            options,
        }
    }

    /// Codes of `x [b, c, h, w]`, normalised first where there is a normalisation, and what the solves report; with λ₁
    /// times `factor`, `[1]` or one value for each image `[b]`, all above 0.
    pub fn forward(
        &self,
        x: Tensor<4>,
        normalization: Option<Normalization>,
        factor: Option<&Tensor<1>>,
    ) -> (Tensor<4>, SolverInfo) {
        let (weight, lambda1) = (self.weight.val(), self.lambda1.val());
        let Some(factor) = factor else {
            return match normalization {
                Some(normalization) => {
                    normalized_sparse_code2d(x, normalization, weight, lambda1, self.placement, self.options)
                }
                None => sparse_code2d(x, weight, lambda1, self.placement, self.options),
            };
        };
        // The problem is homogeneous: the codes of x with f·λ₁ are f times those of x/f with λ₁.
        let factor = factor.clone().reshape([-1, 1, 1, 1]);
        let x = normalized(x, normalization) / factor.clone();
        let (codes, info) = sparse_code2d(x, weight, lambda1, self.placement, self.options);
        (codes * factor, info)
    }

    /// The mean over the values of all patches `x_p` of an image of `(x_p − Dα_p)²` `[b]`, for the codes α of the λ₁ of
    /// training.
    pub fn residual(&self, x: Tensor<4>, normalization: Option<Normalization>) -> Tensor<1> {
        let x = normalized(x, normalization);
        let (codes, _) = self.forward(x.clone(), None, None);
        patch_residual(x, self.weight.val(), codes, self.placement)
    }

    /// Where the windows lie.
    pub fn placement(&self) -> Placement {
        self.placement
    }

    /// What the solves depend on besides tensors.
    pub fn options(&self) -> SolverOptions {
        self.options
    }

    /// What is told of it in a network.
    pub(crate) fn coding_layer(&self, name: String, source: CodingSource) -> CodingLayer {
        CodingLayer {
            name,
            lambda1: self.lambda1.val(),
            ridge: self.options.lambda2,
            weight: self.weight.val(),
            placement: self.placement,
            unit: CodingUnit::Window,
            source,
        }
    }

    pub(crate) fn roles(&self, roles: &mut Roles) {
        let role = Role {
            group: Group::Sparsity,
            constraint: Constraint::NON_NEGATIVE,
            frozen: !self.learned,
            ..Role::WEIGHT
        };
        roles.set(&self.lambda1, role);
        roles.set(&self.weight, Role::DICTIONARY);
    }

    pub(crate) fn summary(&self, name: &str, input: [usize; 3]) -> LayerSummary {
        let [atoms, channels, kernel, _] = self.weight.val().dims();
        let output = output_shape(self.weight.val().dims(), self.placement, input);
        let (dictionary, pixels) = (atoms * channels * kernel * kernel, output[1] * output[2]);
        // The tensor does not know: without autodiff none requires a gradient.
        let learned = if self.learned { self.lambda1.val().dims()[0] } else { 0 };
        LayerSummary {
            name: name.into(),
            kind: format!("sparse coding {kernel}×{kernel}, {}", self.placement),
            output,
            parameters: dictionary + learned,
            convolution: (dictionary * pixels) as u64,
            solver_iteration: (atoms * atoms * pixels) as u64,
        }
    }
}

/// The mean over the values of all patches `x_p` of an image of `(x_p − Dα_p)²` `[b]`, for `x [b, c, h, w]`,
/// `weight [n, c, k, k]` and codes α `[b, n, h', w']`.
pub(crate) fn patch_residual(
    x: Tensor<4>,
    weight: Tensor<4>,
    codes: Tensor<4>,
    placement: impl Into<Placement>,
) -> Tensor<1> {
    let placement = placement.into();
    let [atoms, channels, kernel, _] = weight.dims();
    // ‖x_p − Dα‖² = ‖x_p‖² − αᵀ(2Dᵀx_p − DᵀDα), by convolutions: with ones, with D, and 1×1 with DᵀD.
    let ones = Tensor::ones([1, channels, kernel, kernel], &x.device());
    let squares = convolve2d(x.clone().powi_scalar(2), ones, placement);
    let gram = gram(&weight).reshape([atoms, atoms, 1, 1]);
    let correlations = convolve2d(x, weight, placement);
    let fitted = codes.clone() * (correlations * 2.0 - convolve2d(codes, gram, 1));
    let squares = squares - fitted.sum_dim(1);
    image_means(squares) / (channels * kernel * kernel) as f64
}

/// `DᵀD [n, n]` of `weight [n, c, k, k]`.
pub(crate) fn gram(weight: &Tensor<4>) -> Tensor<2> {
    let rows: Tensor<2> = weight.clone().reshape([weight.dims()[0] as i32, -1]);
    rows.clone().matmul(rows.transpose())
}

/// `x [b, c, h, w]` with the normalisation carried out.
fn normalized(x: Tensor<4>, normalization: Option<Normalization>) -> Tensor<4> {
    let Some(Normalization {
        mean,
        variance,
        epsilon,
        ..
    }) = normalization
    else {
        return x;
    };
    let device = x.device();
    let channels = |values: Tensor<1>| like(&device, values.reshape([1, -1, 1, 1]));
    (x - channels(mean)) * channels((variance + epsilon).sqrt().recip())
}
