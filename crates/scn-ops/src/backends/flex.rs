//! The CPU: burn's flex backend with the tile kernels of the solver crate.

use burn::backend::tensor::FloatTensor;
use burn::backend::{BackendTensor, DispatchTensorKind, Flex, TensorMetadata};
use burn::tensor::{Shape, TensorData};
use scn_solver::{ConvGeometry, SimdLevel, SolverError, SolverOptions, kernels};

use super::autodiff::without_gradients;
use super::{ToTensor, solves_shape};
use crate::{
    Accelerated, BackwardReport, BatchNorm, BatchNormVjp, Convolution, ConvolutionVjp, Proximal, ProximalVjp,
    SparseCoding, SparseCodingVjp, Statistics,
};

fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> FloatTensor<Flex> {
    FloatTensor::<Flex>::from_data(TensorData::new(values, shape))
}

/// A gradient of the input, empty where there is none.
fn optional(values: Option<Vec<f32>>, geometry: &ConvGeometry) -> FloatTensor<Flex> {
    let shape = geometry.input_shape();
    match values {
        Some(values) => tensor(values, shape),
        None => tensor(Vec::new(), [0, shape[1], shape[2], shape[3]]),
    }
}

fn normalization<'a>(
    mean: &'a FloatTensor<Flex>,
    scale: &'a FloatTensor<Flex>,
    statistics: Statistics,
) -> kernels::Normalization<'a> {
    kernels::Normalization {
        mean: mean.storage(),
        scale: scale.storage(),
        of_batch: statistics == Statistics::Batch,
    }
}

without_gradients!(Flex);

impl ToTensor for Flex {
    fn kind(tensor: BackendTensor<Self>) -> DispatchTensorKind {
        DispatchTensorKind::Flex(tensor)
    }
}

/// What stands for the codes of a problem that the kernels refuse for its values: numbers that are not finite, as those of
/// a pixel that is not. A loss made of them ends a training with its own words.
fn unsolved(geometry: &ConvGeometry, error: &SolverError) -> kernels::Solution {
    tracing::warn!("a sparse-coding layer has no codes: {error}");
    kernels::Solution {
        codes: vec![f32::NAN; geometry.codes_shape().iter().product()],
        solves: report(geometry),
        active: vec![0.0; geometry.batch * geometry.atoms],
    }
}

/// What is reported of solves that were not made: no iterations, and residuals that are not finite.
fn report(geometry: &ConvGeometry) -> Vec<f32> {
    let pixels = geometry.pixels();
    [vec![0.0; pixels], vec![f32::NAN; pixels]]
        .concat()
        .repeat(geometry.batch)
}

/// [`unsolved`] for the gradients.
fn underivable(geometry: &ConvGeometry, wants_x: bool, error: &SolverError) -> kernels::Gradients {
    tracing::warn!("a sparse-coding layer has no gradients: {error}");
    let ConvGeometry {
        batch,
        channels,
        height,
        width,
        atoms,
        ..
    } = *geometry;
    kernels::Gradients {
        x: wants_x.then(|| vec![f32::NAN; batch * channels * height * width]),
        weight: vec![f32::NAN; atoms * geometry.patch()],
        lambda1: vec![f32::NAN; atoms],
        lambda2: f32::NAN,
        solves: report(geometry),
    }
}

impl SparseCoding for Flex {
    fn sparse_code2d(
        x: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        lambda1: FloatTensor<Self>,
        geometry: ConvGeometry,
        options: SolverOptions,
        statistics: Statistics,
        _: BackwardReport,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let (x, weight, lambda1) = (x.to_contiguous(), weight.to_contiguous(), lambda1.to_contiguous());
        let (mean, scale) = (mean.to_contiguous(), scale.to_contiguous());
        let solution = kernels::forward(
            &geometry,
            x.storage(),
            Some(normalization(&mean, &scale, statistics)),
            weight.storage(),
            lambda1.storage(),
            &options,
            SimdLevel::detect(),
        );
        let solution = solution.unwrap_or_else(|error| unsolved(&geometry, &error));
        (
            tensor(solution.codes, geometry.codes_shape()),
            tensor(solution.solves, solves_shape(&geometry)),
            tensor(solution.active, [geometry.batch, geometry.atoms]),
        )
    }
}

impl SparseCodingVjp for Flex {
    fn sparse_code2d_vjp(
        x: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        codes: FloatTensor<Self>,
        grad_codes: FloatTensor<Self>,
        geometry: ConvGeometry,
        options: SolverOptions,
        statistics: Statistics,
        wants_x: bool,
    ) -> (
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
    ) {
        let (x, weight) = (x.to_contiguous(), weight.to_contiguous());
        let (codes, grad_codes) = (codes.to_contiguous(), grad_codes.to_contiguous());
        let (mean, scale) = (mean.to_contiguous(), scale.to_contiguous());
        let gradients = kernels::backward(
            &geometry,
            x.storage(),
            Some(normalization(&mean, &scale, statistics)),
            weight.storage(),
            codes.storage(),
            grad_codes.storage(),
            &options,
            wants_x,
            SimdLevel::detect(),
        );
        let gradients = gradients.unwrap_or_else(|error| underivable(&geometry, wants_x, &error));
        (
            optional(gradients.x, &geometry),
            tensor(gradients.weight, weight.shape()),
            tensor(gradients.lambda1, [geometry.atoms]),
            tensor(vec![gradients.lambda2], [1]),
            tensor(gradients.solves, solves_shape(&geometry)),
        )
    }

    fn solve_sums(solves: FloatTensor<Self>, max_iterations: usize, tolerance: f64) -> FloatTensor<Self> {
        let [_, _, height, width] = solves.shape().dims();
        let solves = solves.to_contiguous();
        let kernels::SolveSums {
            iterations,
            residuals,
            largest,
            capped,
        } = kernels::solve_sums(solves.storage(), height * width, max_iterations, tolerance);
        let sums = [iterations, residuals, largest, capped as f64].map(|sum| sum as f32);
        tensor(sums.to_vec(), [sums.len()])
    }
}

impl Convolution for Flex {
    fn convolve2d(x: FloatTensor<Self>, weight: FloatTensor<Self>, geometry: ConvGeometry) -> FloatTensor<Self> {
        let (x, weight) = (x.to_contiguous(), weight.to_contiguous());
        let output = kernels::convolution(&geometry, x.storage(), weight.storage(), SimdLevel::detect());
        tensor(output, geometry.codes_shape())
    }

    fn convolve2d_adjoint(
        values: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        geometry: ConvGeometry,
    ) -> FloatTensor<Self> {
        let (values, weight) = (values.to_contiguous(), weight.to_contiguous());
        let output = kernels::convolution_adjoint(&geometry, values.storage(), weight.storage(), SimdLevel::detect());
        tensor(output, geometry.input_shape())
    }
}

impl ConvolutionVjp for Flex {
    fn convolve2d_weight_gradient(
        x: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        geometry: ConvGeometry,
    ) -> FloatTensor<Self> {
        let (x, grad) = (x.to_contiguous(), grad.to_contiguous());
        let gradient =
            kernels::convolution_weight_gradient(&geometry, x.storage(), grad.storage(), SimdLevel::detect());
        tensor(gradient, geometry.weight_shape())
    }
}

impl Proximal for Flex {
    fn proximal_ascent(
        residual: FloatTensor<Self>,
        codes: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        step_size: FloatTensor<Self>,
        threshold: FloatTensor<Self>,
        geometry: ConvGeometry,
        non_negative: bool,
    ) -> FloatTensor<Self> {
        let (residual, codes) = (residual.to_contiguous(), codes.to_contiguous());
        let (weight, threshold) = (weight.to_contiguous(), threshold.to_contiguous());
        let step_size = step_size.to_contiguous();
        let given = codes.shape().dims() == geometry.codes_shape();
        let next = kernels::proximal_ascent(
            &geometry,
            residual.storage(),
            given.then(|| codes.storage().into()),
            weight.storage(),
            step_size.storage()[0],
            thresholds(&threshold),
            non_negative,
            SimdLevel::detect(),
        );
        tensor(next, geometry.codes_shape())
    }

    fn signal_residual(
        x: FloatTensor<Self>,
        codes: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        geometry: ConvGeometry,
    ) -> FloatTensor<Self> {
        let (x, codes, weight) = (x.to_contiguous(), codes.to_contiguous(), weight.to_contiguous());
        let level = SimdLevel::detect();
        let residual =
            kernels::signal_residual(&geometry, x.storage(), codes.storage().into(), weight.storage(), level);
        tensor(residual, geometry.input_shape())
    }

    fn extrapolate(codes: FloatTensor<Self>, previous: FloatTensor<Self>, factor: f64) -> FloatTensor<Self> {
        let (codes, previous) = (codes.to_contiguous(), previous.to_contiguous());
        let values = kernels::extrapolated(point(&codes, &previous, factor), SimdLevel::detect());
        tensor(values, codes.shape())
    }
}

impl Accelerated for Flex {
    fn accelerated_step(
        x: FloatTensor<Self>,
        codes: FloatTensor<Self>,
        previous: FloatTensor<Self>,
        factor: f64,
        weight: FloatTensor<Self>,
        step_size: FloatTensor<Self>,
        threshold: FloatTensor<Self>,
        geometry: ConvGeometry,
        non_negative: bool,
    ) -> FloatTensor<Self> {
        let [x, codes, previous, weight] = [x, codes, previous, weight].map(|tensor| tensor.to_contiguous());
        let (threshold, step_size) = (threshold.to_contiguous(), step_size.to_contiguous());
        let (point, level) = (point(&codes, &previous, factor), SimdLevel::detect());
        let residual = kernels::signal_residual(&geometry, x.storage(), point, weight.storage(), level);
        let next = kernels::proximal_ascent(
            &geometry,
            &residual,
            Some(point),
            weight.storage(),
            step_size.storage()[0],
            thresholds(&threshold),
            non_negative,
            level,
        );
        tensor(next, geometry.codes_shape())
    }
}

/// The point beyond contiguous codes.
fn point<'a>(codes: &'a FloatTensor<Flex>, previous: &'a FloatTensor<Flex>, factor: f64) -> kernels::Point<'a> {
    let (previous, factor) = (previous.storage(), factor as f32);
    kernels::Point {
        codes: codes.storage(),
        momentum: Some(kernels::Momentum { previous, factor }),
    }
}

/// Contiguous thresholds `[rows, columns]`.
fn thresholds(threshold: &FloatTensor<Flex>) -> kernels::Thresholds<'_> {
    let [rows, columns] = threshold.shape().dims();
    kernels::Thresholds {
        values: threshold.storage(),
        rows,
        columns,
    }
}

impl ProximalVjp for Flex {
    fn proximal_gate(grad: FloatTensor<Self>, codes: FloatTensor<Self>) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let [batch, atoms, height, width] = codes.shape().dims();
        let (grad, codes) = (grad.to_contiguous(), codes.to_contiguous());
        let level = SimdLevel::detect();
        let (gated, mut sums) = kernels::proximal_gate(grad.storage(), codes.storage(), height * width, level);
        sums.resize(batch * atoms, 0.0);
        (tensor(gated, codes.shape()), tensor(sums, [batch, atoms]))
    }
}

/// `1/√(variance + ε)`.
fn inverse_deviation(variance: &[f32], epsilon: f64) -> Vec<f32> {
    let inverse = |&variance: &f32| (1.0 / (f64::from(variance) + epsilon).sqrt()) as f32;
    variance.iter().map(inverse).collect()
}

impl BatchNorm for Flex {
    fn normalize_batch(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let [_, channels, height, width] = x.shape().dims();
        let (x, weight, bias) = (x.to_contiguous(), weight.to_contiguous(), bias.to_contiguous());
        let (pixels, level) = (height * width, SimdLevel::detect());
        let (mean, variance) = kernels::moments(x.storage(), channels, pixels, level);
        let scale = inverse_deviation(&variance, epsilon);
        let output = kernels::normalize(
            x.storage(),
            pixels,
            &mean,
            &scale,
            weight.storage(),
            bias.storage(),
            level,
        );
        (
            tensor(output, x.shape()),
            tensor(mean, [channels]),
            tensor(variance, [channels]),
        )
    }
}

impl BatchNormVjp for Flex {
    fn normalize_batch_vjp(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        epsilon: f64,
        grad: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let [_, channels, height, width] = x.shape().dims();
        let (x, weight, grad) = (x.to_contiguous(), weight.to_contiguous(), grad.to_contiguous());
        let (mean, variance) = (mean.to_contiguous(), variance.to_contiguous());
        let scale = inverse_deviation(variance.storage(), epsilon);
        let (grad_x, grad_weight, grad_bias) = kernels::normalize_backward(
            x.storage(),
            height * width,
            mean.storage(),
            &scale,
            weight.storage(),
            grad.storage(),
            SimdLevel::detect(),
        );
        (
            tensor(grad_x, x.shape()),
            tensor(grad_weight, [channels]),
            tensor(grad_bias, [channels]),
        )
    }

    fn normalize(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        let [_, _, height, width] = x.shape().dims();
        let (x, weight, bias) = (x.to_contiguous(), weight.to_contiguous(), bias.to_contiguous());
        let (mean, variance) = (mean.to_contiguous(), variance.to_contiguous());
        let output = kernels::normalize(
            x.storage(),
            height * width,
            mean.storage(),
            &inverse_deviation(variance.storage(), epsilon),
            weight.storage(),
            bias.storage(),
            SimdLevel::detect(),
        );
        tensor(output, x.shape())
    }

    fn channel_moments(x: FloatTensor<Self>) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let [_, channels, height, width] = x.shape().dims();
        let x = x.to_contiguous();
        let (mean, variance) = kernels::moments(x.storage(), channels, height * width, SimdLevel::detect());
        (tensor(mean, [channels]), tensor(variance, [channels]))
    }
}
