//! A sparse-coding layer with its dictionary and sparsity weight (Sun, Nasrabadi & Tran, arXiv:1701.08349, eq. 1).

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use scn_ops::{Normalization, SolverInfo, normalized_sparse_code2d};
use scn_solver::SolverOptions;

use crate::initialization::Initializer;
use crate::{Lambda1Config, LayerSummary};

/// `[b, c, h, w]` to non-negative codes `[b, n, ⌈h/stride⌉, ⌈w/stride⌉]`.
#[derive(Module, Debug)]
pub struct SparseCoding2d {
    /// The dictionary, one atom a row: `[n, c, k, k]`.
    pub weight: Param<Tensor<4>>,
    /// λ₁: `[1]`, or `[n]` where each atom has its own.
    pub lambda1: Param<Tensor<1>>,
    learned: bool,
    stride: usize,
    #[module(skip)]
    options: SolverOptions,
}

impl SparseCoding2d {
    /// A dictionary from N(0, 1/m²) with `m = c·k²`, as in the authors' program.
    pub(crate) fn new(
        channels: usize,
        atoms: usize,
        kernel: usize,
        stride: usize,
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
            stride,
            options,
        }
    }

    /// Codes of the normalised `[b, c, h, w]` and what the solves report.
    pub fn forward(&self, x: Tensor<4>, normalization: Normalization) -> (Tensor<4>, SolverInfo) {
        let (weight, lambda1) = (self.weight.val(), self.lambda1.val());
        normalized_sparse_code2d(x, normalization, weight, lambda1, self.stride, self.options)
    }

    /// Step between output pixels.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// What the solves depend on besides tensors.
    pub fn options(&self) -> SolverOptions {
        self.options
    }

    pub(crate) fn summary(&self, name: &str, [_, height, width]: [usize; 3]) -> LayerSummary {
        let [atoms, channels, kernel, _] = self.weight.val().dims();
        let output = [atoms, height.div_ceil(self.stride), width.div_ceil(self.stride)];
        let (dictionary, pixels) = (atoms * channels * kernel * kernel, output[1] * output[2]);
        // The tensor does not know: without autodiff none requires a gradient.
        let learned = if self.learned { self.lambda1.val().dims()[0] } else { 0 };
        LayerSummary {
            name: name.into(),
            kind: format!("sparse coding {kernel}×{kernel}, stride {}", self.stride),
            output,
            parameters: dictionary + learned,
            convolution: (dictionary * pixels) as u64,
            solver_iteration: (atoms * atoms * pixels) as u64,
        }
    }
}
