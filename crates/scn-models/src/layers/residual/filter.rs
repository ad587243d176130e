//! What stands in the place of a convolution: the convolution, or a layer that codes by the same filters.

use burn::module::{Module, ModuleDisplay};
use burn::tensor::Tensor;

use crate::initialization::Initializer;
use crate::layers::{Convolution, SparseCoding2d};
use crate::{CodingLayer, CodingReport, CodingSource, Lambda1Config, LayerSummary, Roles, SolverConfig, Sparsity};

/// A layer from `[b, c, h, w]` to `[b, n, ⌈h/stride⌉, ⌈w/stride⌉]`.
pub trait Filter: Module + ModuleDisplay {
    /// What it is built by besides shapes.
    type Settings;

    /// For inputs `[channels, height, width]`.
    fn new(
        settings: &Self::Settings,
        input: [usize; 3],
        filters: usize,
        kernel: usize,
        stride: usize,
        init: &mut Initializer,
    ) -> Self;

    /// Of `x [b, c, h, w]`, coded as sparsely as `sparsity` says (see [`crate::Pass`]), and what the codes report.
    fn filter(&self, x: Tensor<4>, sparsity: Option<&Tensor<1>>) -> (Tensor<4>, Option<CodingReport>);

    /// Layer, shape and arithmetic on inputs `[channels, height, width]`.
    fn summary(&self, name: &str, input: [usize; 3]) -> LayerSummary;

    /// Adds the roles of its parameters that are more than weights.
    fn roles(&self, _roles: &mut Roles) {}

    /// What is told of it, by this name and of this source, where its output is codes.
    fn coding_layer(&self, _name: String, _source: CodingSource) -> Option<CodingLayer> {
        None
    }

    /// Whether its output is sparse as it is, so that no rectifier follows.
    fn codes(&self) -> bool {
        false
    }

    /// As [`crate::Network::sparsity`].
    fn sparsity(&self) -> Option<Sparsity> {
        None
    }

    /// As [`crate::Network::residual`].
    fn residual(&self, _x: Tensor<4>) -> Option<Tensor<1>> {
        None
    }

    /// As [`crate::Network::refresh`].
    #[must_use]
    fn refresh(self) -> Self {
        self
    }
}

impl Filter for Convolution {
    type Settings = ();

    fn new(
        _: &(),
        [channels, ..]: [usize; 3],
        filters: usize,
        kernel: usize,
        stride: usize,
        init: &mut Initializer,
    ) -> Self {
        Convolution::new(channels, filters, kernel, stride, init)
    }

    fn filter(&self, x: Tensor<4>, _: Option<&Tensor<1>>) -> (Tensor<4>, Option<CodingReport>) {
        (self.forward(x), None)
    }

    fn summary(&self, name: &str, input: [usize; 3]) -> LayerSummary {
        Convolution::summary(self, name, input)
    }
}

impl Filter for SparseCoding2d {
    type Settings = (SolverConfig, Lambda1Config);

    fn new(
        (solver, lambda1): &Self::Settings,
        [channels, ..]: [usize; 3],
        filters: usize,
        kernel: usize,
        stride: usize,
        init: &mut Initializer,
    ) -> Self {
        SparseCoding2d::new(channels, filters, kernel, stride, lambda1, solver.options(), init)
    }

    fn filter(&self, x: Tensor<4>, sparsity: Option<&Tensor<1>>) -> (Tensor<4>, Option<CodingReport>) {
        let (codes, info) = self.forward(x, None, sparsity);
        (codes, Some(CodingReport::Pixels(info)))
    }

    fn summary(&self, name: &str, input: [usize; 3]) -> LayerSummary {
        SparseCoding2d::summary(self, name, input)
    }

    fn roles(&self, roles: &mut Roles) {
        SparseCoding2d::roles(self, roles);
    }

    fn coding_layer(&self, name: String, source: CodingSource) -> Option<CodingLayer> {
        Some(SparseCoding2d::coding_layer(self, name, source))
    }

    fn codes(&self) -> bool {
        true
    }

    fn sparsity(&self) -> Option<Sparsity> {
        Some(Sparsity::Factor)
    }

    fn residual(&self, x: Tensor<4>) -> Option<Tensor<1>> {
        Some(SparseCoding2d::residual(self, x, None))
    }
}
