//! What a forward pass returns.

use std::fmt;
use std::sync::{Arc, OnceLock};

use burn::tensor::{Device, Gradients, Tensor, TensorData};
use scn_ops::{SolverInfo, solve_sums};
use scn_solver::SolverOptions;

/// Logits and what the coding layers report.
#[derive(Debug)]
pub struct Output {
    /// `[b, classes]`.
    pub logits: Tensor<2>,
    /// In the order of [`crate::Network::reporting`].
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
            backward: Backward::default(),
        }
    }
}

/// A backward pass of a network's own.
type OwnBackward = Box<dyn FnOnce(Tensor<1>) -> Gradients>;

/// How the gradients of a loss on the logits are taken: by the graph of the forward pass, or as the network says that
/// made it. An equilibrium's exact gradient, for one, takes a solve with passes through one step before the gradients
/// of the parameters are known. The default is the graph's.
#[derive(Default)]
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

/// What a layer tells that solves: of its codes, or of its equilibria.
#[derive(Debug)]
pub enum CodingReport {
    /// A problem for each output pixel, as the layers of an SCN have.
    Pixels(SolverInfo),
    /// A problem for each image, as the layers of an SDNet have.
    Images(ImageCodes),
    /// An equilibrium for each image, which is not sparse.
    Equilibria(Equilibria),
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

/// What is told of the equilibria of a batch.
#[derive(Debug)]
pub struct Equilibria {
    /// The fixed points, an image each.
    pub forward: Solves,
    /// The linear systems of the backward pass, once it was made.
    pub backward: Arc<OnceLock<Solves>>,
    /// Where sums of them are to lie.
    pub device: Device,
}

/// How solves of many images ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Solves {
    /// Iterations of each image.
    pub iterations: Vec<usize>,
    /// The relative residual of each image.
    pub residuals: Vec<f64>,
    /// The residual that was asked for.
    pub tolerance: f64,
}

impl Solves {
    /// Iterations, residuals, the largest residual, and how many are above the tolerance, as [`solve_sums`] has them.
    fn sums(&self) -> [f64; SOLVE_SUMS] {
        [
            self.iterations.iter().sum::<usize>() as f64,
            self.residuals.iter().sum(),
            self.residuals.iter().copied().fold(0.0, f64::max),
            self.residuals
                .iter()
                .filter(|&&residual| residual > self.tolerance)
                .count() as f64,
        ]
    }
}

/// A report summed over the images that it is of.
#[derive(Debug)]
pub struct CodingSums {
    /// Images that they are of.
    pub images: usize,
    /// Codes of each atom: the output pixels of the images. An equilibrium is one place.
    pub places: u64,
    /// Atoms; none where there are no codes.
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
            CodingReport::Equilibria(Equilibria {
                forward,
                backward,
                device,
            }) => {
                let backward = backward.get().map_or([f64::NAN; SOLVE_SUMS], Solves::sums);
                let values = [forward.sums(), backward].concat();
                let values: Vec<f32> = values.into_iter().map(|value| value as f32).collect();
                CodingSums {
                    images: forward.residuals.len(),
                    places: forward.residuals.len() as u64,
                    atoms: 0,
                    values: Tensor::from_data(TensorData::from(values.as_slice()), &device),
                }
            }
        }
    }
}

/// Of forward solves, and again of backward ones.
const SOLVE_SUMS: usize = CodingSums::FIXED / 2;
