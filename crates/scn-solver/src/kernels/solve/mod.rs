//! The systems of a tile of pixels: [`quadratic`] is their matrix Q, [`coordinate_descent`] and [`fista`] minimise the
//! forward problem, [`active_sets`] (by [`cholesky`]) and [`gauss_seidel`] solve the backward system, and [`stopping`]
//! ends an iteration. [`sweeps`] is what coordinate descent and Gauss–Seidel have in common, [`scaling`] what keeps
//! their squares in range.

pub(super) mod active_sets;
pub(super) mod cholesky;
pub(super) mod coordinate_descent;
pub(super) mod fista;
pub(super) mod gauss_seidel;
pub(super) mod quadratic;
pub(super) mod scaling;
pub(super) mod stopping;
pub(super) mod sweeps;
