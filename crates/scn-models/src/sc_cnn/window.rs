//! The layer of sc-cnn: every window of its input is coded alone, unpadded and at stride 1 (Bowren, eq. 67 and figure 7).
//!
//! With the dictionary Φ and its atoms φⱼ a window i has the code `argmin_{a ≥ 0} ½‖i − Φa‖² + λᵀa`, which for orthonormal
//! atoms is `max(0, Φᵀi − λ)` (eqs. 33 and 45). With the number of non-zeros bounded by k in place of λ it is, for those,
//! the k largest of `max(0, Φᵀi)` (section 5.3, where codes may be negative).

use burn::module::{Module, Param};
use burn::tensor::activation::relu;
use burn::tensor::{Int, Tensor};
use scn_ops::{Padding, Placement, convolve2d, sparse_code2d};
use scn_solver::SolverOptions;

use super::{Dictionaries, Inference, ScCnnConfig};
use crate::initialization::{Initializer, like};
use crate::layers::{active_codes, gram, output_shape, patch_residual, relative_residual};
use crate::roles::constrained;
use crate::{CodingReport, Constraint, Group, ImageCodes, LayerSummary, Role, Roles};

/// Every window that lies in the image.
pub(super) const UNPADDED: Placement = Placement {
    stride: 1,
    padding: Padding::Zeros(0),
    dilation: 1,
};
/// Images of a batch whose closed forms are reported: the residual takes a product with the Gram matrix.
const REPORTED: usize = 1;

/// `[b, c, h, w]` to non-negative codes `[b, n, h − k + 1, w − k + 1]`.
#[derive(Module, Debug)]
pub struct WindowCoding {
    /// The dictionary, one atom a row: `[n, c, k, k]`.
    pub weight: Param<Tensor<4>>,
    /// λ, `[1]` or `[n]` where each atom has its own; absent where the number of non-zeros is bounded.
    pub lambda1: Option<Param<Tensor<1>>>,
    #[module(skip)]
    coder: Coder,
    #[module(skip)]
    dictionary_constraint: Constraint,
    #[module(skip)]
    prior_constraint: Constraint,
    learned: bool,
}

/// How codes are found.
#[derive(Clone, Copy, Debug)]
enum Coder {
    /// `max(0, Φᵀi − λ)`.
    Threshold,
    /// The so many largest of `max(0, Φᵀi)`.
    Largest(usize),
    /// The elastic net, solved.
    Solver(SolverOptions),
}

impl WindowCoding {
    /// The ridge λ₂ of what is solved; codes in closed form have none.
    pub(super) fn ridge(&self) -> f64 {
        match self.coder {
            Coder::Threshold | Coder::Largest(_) => 0.0,
            Coder::Solver(options) => options.lambda2,
        }
    }

    /// Orthonormal atoms next to random ones, or free ones of unit norm in random directions.
    pub(super) fn new(
        channels: usize,
        [atoms, kernel]: [usize; 2],
        keys: &ScCnnConfig,
        init: &mut Initializer,
    ) -> Self {
        let coder = match (keys.l0, keys.inference) {
            (Some(count), _) => Coder::Largest(count),
            (None, Inference::ClosedForm) => Coder::Threshold,
            (None, Inference::Full) => Coder::Solver(keys.solver.options()),
        };
        let (start, dictionary_constraint) = match keys.dictionaries {
            Dictionaries::Orthogonal => (Constraint::Orthonormal, Constraint::Orthonormal),
            Dictionaries::Free => (Constraint::UnitSphere, Constraint::Free),
        };
        // Below 0 the elastic net need not have a solution.
        let prior_constraint = match (keys.prior.minimum, coder) {
            (Some(minimum), _) => Constraint::AtLeast(minimum),
            (None, Coder::Solver(_)) => Constraint::NON_NEGATIVE,
            (None, Coder::Threshold | Coder::Largest(_)) => Constraint::Free,
        };
        let values = if keys.prior.per_atom { atoms } else { 1 };
        let lambda1 = || {
            let lambda1 = init.constant([values], keys.prior.initial);
            lambda1.set_require_grad(keys.prior.learned)
        };
        Self {
            lambda1: keys.l0.is_none().then(lambda1),
            weight: init
                .normal([atoms, channels, kernel, kernel], 1.0)
                .map(|weight| constrained(weight, start)),
            coder,
            dictionary_constraint,
            prior_constraint,
            learned: keys.prior.learned,
        }
    }

    /// Codes of `x [b, c, h, w]` and what is told of them; with λ times `factor`, `[1]` or one value for each image `[b]`,
    /// all above 0.
    pub fn forward(&self, x: Tensor<4>, factor: Option<&Tensor<1>>) -> (Tensor<4>, CodingReport) {
        let Some(factor) = factor else {
            return self.code(x);
        };
        // The problem is homogeneous: the codes of x with f·λ are f times those of x/f with λ.
        let factor = factor.clone().reshape([-1, 1, 1, 1]);
        let (codes, report) = self.code(x / factor.clone());
        (codes * factor, report)
    }

    fn code(&self, x: Tensor<4>) -> (Tensor<4>, CodingReport) {
        let lambda1 = self.lambda1();
        if let Coder::Solver(options) = self.coder {
            let (codes, info) = sparse_code2d(x, self.weight.val(), lambda1, UNPADDED, options);
            return (codes, CodingReport::Pixels(info));
        }
        let products = convolve2d(x, self.weight.val(), UNPADDED);
        let codes = self.coder.shrink(products.clone(), lambda1.clone());
        let report = self.report(products, &codes, lambda1);
        (codes, report)
    }

    /// Of closed forms: how many codes of all images are not 0, and for the products `Φᵀi [b, n, h', w']` of the first
    /// [`REPORTED`] images `ρ = ‖a − S(a − ∇)‖/‖a‖` with the gradient `∇ = ΦᵀΦa − Φᵀi` and the closed form S, which is the proximal map for a step of 1, the right one for
    /// orthonormal atoms.
    fn report(&self, products: Tensor<4>, codes: &Tensor<4>, lambda1: Tensor<1>) -> CodingReport {
        let [batch, atoms, height, width] = codes.dims();
        let count = REPORTED.min(batch);
        let first = |values: Tensor<4>| values.without_autodiff().slice_dim(0, 0..count);
        let active = active_codes(&codes.clone().without_autodiff());
        let (products, codes) = (first(products), first(codes.clone()));
        let gram = gram(&self.weight.val().without_autodiff()).reshape([atoms, atoms, 1, 1]);
        let gradient = convolve2d(codes.clone(), gram, 1) - products;
        let next = self.coder.shrink(codes.clone() - gradient, lambda1.without_autodiff());
        CodingReport::Images(ImageCodes {
            steps: Some(1),
            residual: relative_residual(codes, next),
            active,
            pixels: height * width,
        })
    }

    /// The mean over the values of all windows of an image of `(i − Φa)²` `[b]`, for the λ of training.
    pub fn residual(&self, x: Tensor<4>) -> Tensor<1> {
        let (codes, _) = self.forward(x.clone(), None);
        patch_residual(x, self.weight.val(), codes, UNPADDED)
    }

    /// λ, 0 where the codes have no prior.
    pub fn lambda1(&self) -> Tensor<1> {
        match &self.lambda1 {
            Some(lambda1) => lambda1.val(),
            None => {
                let device = self.weight.val().device();
                Tensor::zeros([1], &device)
            }
        }
    }

    pub(super) fn roles(&self, roles: &mut Roles) {
        let constraint = self.dictionary_constraint;
        roles.set(
            &self.weight,
            Role {
                constraint,
                ..Role::DICTIONARY
            },
        );
        if let Some(lambda1) = &self.lambda1 {
            let role = Role {
                group: Group::Sparsity,
                constraint: self.prior_constraint,
                frozen: !self.learned,
                ..Role::WEIGHT
            };
            roles.set(lambda1, role);
        }
    }

    pub(super) fn summary(&self, name: &str, input: [usize; 3]) -> LayerSummary {
        let [atoms, channels, kernel, _] = self.weight.val().dims();
        let output = output_shape(self.weight.val().dims(), UNPADDED, input);
        let (dictionary, pixels) = (atoms * channels * kernel * kernel, output[1] * output[2]);
        let learned = match &self.lambda1 {
            Some(lambda1) if self.learned => lambda1.val().dims()[0],
            Some(_) | None => 0,
        };
        let (coded, iteration) = match self.coder {
            Coder::Threshold => ("soft threshold".to_owned(), 0),
            Coder::Largest(count) => (format!("{count} largest"), 0),
            Coder::Solver(_) => ("elastic net".to_owned(), atoms * atoms * pixels),
        };
        LayerSummary {
            name: name.into(),
            kind: format!("windows {kernel}×{kernel}, {coded}"),
            output,
            parameters: dictionary + learned,
            convolution: (dictionary * pixels) as u64,
            solver_iteration: iteration as u64,
        }
    }
}

impl Coder {
    /// The closed form of products `Φᵀi [b, n, h, w]`, that of the elastic net for all coders with λ.
    fn shrink(self, products: Tensor<4>, lambda1: Tensor<1>) -> Tensor<4> {
        match self {
            Coder::Largest(count) => largest(products, count),
            Coder::Threshold | Coder::Solver(_) => relu(products - lambda1.reshape([1, -1, 1, 1])),
        }
    }
}

/// The `count` largest at each pixel of the non-negative part of `values [b, n, h, w]`, the others 0. Of equal ones as many
/// are kept as there is room for.
fn largest(values: Tensor<4>, count: usize) -> Tensor<4> {
    let positive = relu(values);
    let (device, atoms) = (positive.device(), positive.dims()[1]);
    let mut others = positive.clone().without_autodiff();
    let atom: Tensor<4, Int> = Tensor::<1, Int>::arange(0..atoms as i64, &others.device()).reshape([1, -1, 1, 1]);
    for _ in 0..count {
        let chosen = atom
            .clone()
            .expand(others.dims())
            .equal(others.clone().argmax(1).expand(others.dims()));
        others = others.mask_fill(chosen, -1.0);
    }
    positive * like(&device, others.lower_elem(0.0).float())
}
