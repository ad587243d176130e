//! Adversarial images, against a network as it is and against the choice of its sparsity.

mod descent;
mod study;

pub use descent::{Attack, Norm, Perturbation, PixelScale};
pub use study::{Report, Row, Step, study};
