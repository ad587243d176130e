//! What a forward pass returns.

use std::fmt;

use burn::tensor::{Gradients, Tensor};
use scn_ops::{SolverInfo, solve_sums};
use scn_solver::SolverOptions;

/// Logits and what the coding layers report.
#[derive(Debug)]
pub struct Output {
    /// `[b, classes]`.
    pub logits: Tensor<2>,
    /// One per coding layer, in the order of [`crate::Network::coding_layers`].
    pub codes: Vec<CodingReport>,
    /// How gradients are taken.
    pub backward: Backward,
}

impl Output {
    /// Of a network whose gradients are those of the loss.
    pub fn new(logits: Tensor<2>, codes: Vec<CodingReport>) -> Self {
        Self {
            logits,
            codes,
            backward: Backward(None),
        }
    }
}

/// A backward pass of a network's own.
type OwnBackward = Box<dyn FnOnce(Tensor<1>) -> Gradients>;

/// How the gradients of a loss on the logits are taken: by the graph of the forward pass, or as the network says that
/// made it. An equilibrium's exact gradient, for one, takes a solve with passes through one step before the gradients
/// of the parameters are known.
pub struct Backward(Option<OwnBackward>);

impl Backward {
    /// A backward pass that the forward pass made. It is given the loss `[1]`, on the graph of the logits, and returns
    /// the gradients of all parameters.
    pub fn own(backward: impl FnOnce(Tensor<1>) -> Gradients + 'static) -> Self {
        Self(Some(Box::new(backward)))
    }

    /// The gradients of the loss `[1]`.
    pub fn gradients(self, loss: Tensor<1>) -> Gradients {
        match self.0 {
            Some(own) => own(loss),
            None => loss.backward(),
        }
    }
}

impl fmt::Debug for Backward {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.0 {
            Some(_) => "Backward::own",
            None => "Backward",
        })
    }
}

/// What a coding layer tells of its codes.
#[derive(Debug)]
pub enum CodingReport {
    /// A problem for each output pixel, as the layers of an SCN have.
    Pixels(SolverInfo),
    /// A problem for each image, as the layers of an SDNet have.
    Images(ImageCodes),
}

/// What is told of codes of whole images, from some of a batch.
#[derive(Debug)]
pub struct ImageCodes {
    /// Steps of the solver; `None` where it stopped by a tolerance of its own.
    pub steps: Option<usize>,
    /// The relative residual ρ of the optimality conditions of each image, or of the first ones, `[s']`.
    pub residual: Tensor<1>,
    /// How many codes of each atom are not 0 in each image, `[s, n]`.
    pub active: Tensor<2>,
    /// Output pixels of an image.
    pub pixels: usize,
}

/// A report summed over the images that it is of.
#[derive(Debug)]
pub struct CodingSums {
    /// Images that they are of.
    pub images: usize,
    /// Codes of each atom: the output pixels of the images.
    pub places: u64,
    /// Atoms.
    pub atoms: usize,
    /// On the device, `[FIXED + atoms]`: iterations (NaN where they are not known), residuals ρ and the largest ρ of all
    /// places, and how many solves ended at their cap, above the tolerance; the same of the systems of the backward pass,
    /// NaN where there was none; then how many codes of each atom are not 0.
    pub values: Tensor<1>,
}

impl CodingSums {
    /// Values before those of the atoms.
    pub const FIXED: usize = 8;
}

impl CodingReport {
    /// Its sums. Where an image is one problem, each of its places counts its steps and the mean ρ.
    pub fn sums(self) -> CodingSums {
        match self {
            CodingReport::Pixels(info) => {
                let [batch, _, height, width] = info.solves.dims();
                let device = info.active.device();
                let SolverOptions { forward, backward, .. } = info.options;
                let backward = match info.backward.get() {
                    Some(solves) => solve_sums(solves, backward.max_iterations, backward.tolerance),
                    None => Tensor::full([SOLVE_SUMS], f64::NAN, &device),
                };
                let parts = vec![
                    solve_sums(info.solves, forward.max_iterations, forward.tolerance),
                    backward,
                    info.active.clone().sum_dim(0).reshape([-1]),
                ];
                CodingSums {
                    images: batch,
                    places: (batch * height * width) as u64,
                    atoms: info.active.dims()[1],
                    values: Tensor::cat(parts, 0),
                }
            }
            CodingReport::Images(ImageCodes {
                steps,
                residual,
                active,
                pixels,
            }) => {
                let [images, atoms] = active.dims();
                let places = images * pixels;
                let iterations = steps.map_or(f64::NAN, |steps| (steps * places) as f64);
                let parts = vec![
                    Tensor::full([1], iterations, &active.device()),
                    residual.clone().mean() * places as f64,
                    residual.max(),
                    Tensor::zeros([1], &active.device()),
                    Tensor::full([SOLVE_SUMS], f64::NAN, &active.device()),
                    active.sum_dim(0).reshape([-1]),
                ];
                CodingSums {
                    images,
                    places: places as u64,
                    atoms,
                    values: Tensor::cat(parts, 0),
                }
            }
        }
    }
}

/// Of forward solves, and again of backward ones.
const SOLVE_SUMS: usize = CodingSums::FIXED / 2;
