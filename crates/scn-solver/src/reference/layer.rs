//! The convolutional sparse-coding layer and its gradients, pixel by pixel: the code of every output pixel is the
//! non-negative elastic net (Sun, Nasrabadi & Tran, arXiv:1701.08349, eq. 1) of the `c·k²` input values in the window
//! around it. This is the reference that the fast kernels are compared with.

use super::implicit::{self, Accumulator};
use super::solve::{self, solve_validated};
use super::{Dictionary, Scalar, Scratch};
use crate::{ConvGeometry, SolveInfo, SolverError, SolverOptions, validation};

/// The codes of a layer with their certificates.
#[derive(Clone, Debug, PartialEq)]
pub struct Solution<T> {
    /// Codes `[batch, atoms, output_height, output_width]`.
    pub codes: Vec<T>,
    /// Iterations and ρ of every pixel `[batch, output_height, output_width]`.
    pub info: Vec<SolveInfo>,
}

/// The gradients of a layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradients<T> {
    /// `∂L/∂x [batch, channels, height, width]`.
    pub x: Vec<T>,
    /// `∂L/∂weight [atoms, channels, kernel, kernel]`.
    pub weight: Vec<T>,
    /// `∂L/∂λ₁ [atoms]`; its sum is the gradient of one λ₁ for all atoms.
    pub lambda1: Vec<T>,
    /// `∂L/∂λ₂`.
    pub lambda2: T,
    /// Sweeps and relative residual of every pixel's linear system `[batch, output_height, output_width]`.
    pub info: Vec<SolveInfo>,
}

/// Encodes `x [b, c, h, w]` with `weight [n, c, k, k]` (row `j` is atom `j`), the stride, padding and dilation of
/// `geometry`, `lambda1 [n]` and `options.lambda2` (SCN eq. 1).
///
/// # Errors
/// [`SolverError::NotFinite`] and [`SolverError::Negative`] for the values that [`super::solve`] and
/// [`Dictionary::new`] refuse.
///
/// # Panics
/// Where a slice does not have the length that `geometry` gives it.
pub fn forward<T: Scalar>(
    geometry: &ConvGeometry,
    x: &[T],
    weight: &[T],
    lambda1: &[T],
    options: &SolverOptions,
) -> Result<Solution<T>, SolverError> {
    assert_length(geometry, "x", x.len(), input_length(geometry));
    assert_length(geometry, "lambda1", lambda1.len(), geometry.atoms);
    let dictionary = dictionary(geometry, weight, options.lambda2)?;
    solve::validate(lambda1, x, &options.forward)?;
    let mut scratch = Scratch::new(&dictionary);
    let mut patch = vec![T::ZERO; geometry.patch()];
    let mut code = vec![T::ZERO; geometry.atoms];
    let mut codes = vec![T::ZERO; codes_length(geometry)];
    let mut info = Vec::with_capacity(geometry.batch * geometry.pixels());
    for pixel in pixels(geometry) {
        pixel.gather_patch(geometry, x, &mut patch);
        info.push(solve_validated(
            &dictionary,
            lambda1,
            &patch,
            &options.forward,
            &mut code,
            &mut scratch,
        )?);
        for j in 0..geometry.atoms {
            codes[pixel.code(geometry, j)] = code[j];
        }
    }
    Ok(Solution { codes, info })
}

/// The gradients of [`forward`] by implicit differentiation ([`super::implicit_gradients`]) for the optimal
/// `codes` and `grad_codes = ∂L/∂codes`, both `[b, n, ho, wo]`.
///
/// # Errors
/// [`SolverError::NotFinite`] for NaN or infinity in any argument; [`SolverError::Negative`] for codes, λ₂, the ridge
/// or the tolerance below 0.
///
/// # Panics
/// Where a slice does not have the length that `geometry` gives it.
pub fn backward<T: Scalar>(
    geometry: &ConvGeometry,
    x: &[T],
    weight: &[T],
    codes: &[T],
    grad_codes: &[T],
    options: &SolverOptions,
) -> Result<Gradients<T>, SolverError> {
    assert_length(geometry, "x", x.len(), input_length(geometry));
    assert_length(geometry, "codes", codes.len(), codes_length(geometry));
    assert_length(geometry, "grad_codes", grad_codes.len(), codes_length(geometry));
    let dictionary = dictionary(geometry, weight, options.lambda2)?;
    implicit::validate(x, codes, grad_codes, &options.backward)?;
    let (m, n) = (geometry.patch(), geometry.atoms);
    let mut scratch = Scratch::new(&dictionary);
    let mut gradients = Accumulator::new(&dictionary);
    let (mut patch, mut grad_patch) = (vec![T::ZERO; m], vec![T::ZERO; m]);
    let (mut code, mut grad_code) = (vec![T::ZERO; n], vec![T::ZERO; n]);
    let mut grad_x = vec![T::ZERO; x.len()];
    let mut info = Vec::with_capacity(geometry.batch * geometry.pixels());
    for pixel in pixels(geometry) {
        pixel.gather_patch(geometry, x, &mut patch);
        for j in 0..n {
            code[j] = codes[pixel.code(geometry, j)];
            grad_code[j] = grad_codes[pixel.code(geometry, j)];
        }
        info.push(gradients.add(
            &patch,
            &code,
            &grad_code,
            &options.backward,
            &mut grad_patch,
            &mut scratch,
        ));
        pixel.scatter_patch(geometry, &grad_patch, &mut grad_x);
    }
    let Accumulator {
        grad_dictionary,
        grad_lambda1,
        grad_lambda2,
        ..
    } = gradients;
    let weight = transpose(&grad_dictionary, [m, n]);
    Ok(Gradients {
        x: grad_x,
        weight,
        lambda1: grad_lambda1,
        lambda2: grad_lambda2,
        info,
    })
}

/// An output pixel.
#[derive(Clone, Copy)]
struct Pixel {
    image: usize,
    row: usize,
    column: usize,
}

impl Pixel {
    /// Flat index of the code of atom `j`.
    fn code(self, geometry: &ConvGeometry, j: usize) -> usize {
        ((self.image * geometry.atoms + j) * geometry.output_height() + self.row) * geometry.output_width()
            + self.column
    }

    /// Flat index into the input of each value of the patch, in the order (channel, row, column) of the window;
    /// `None` where the window hangs over the border.
    fn window(self, geometry: &ConvGeometry) -> impl Iterator<Item = Option<usize>> {
        let ConvGeometry {
            channels,
            height,
            width,
            kernel,
            stride,
            padding,
            dilation,
            ..
        } = *geometry;
        (0..channels * kernel * kernel).map(move |index| {
            let (channel, ky, kx) = (index / (kernel * kernel), index / kernel % kernel, index % kernel);
            let inside = |position: usize, side: usize| position.checked_sub(padding).filter(|&place| place < side);
            let y = inside(self.row * stride + ky * dilation, height)?;
            let x = inside(self.column * stride + kx * dilation, width)?;
            Some(((self.image * channels + channel) * height + y) * width + x)
        })
    }

    fn gather_patch<T: Scalar>(self, geometry: &ConvGeometry, x: &[T], patch: &mut [T]) {
        for (value, source) in patch.iter_mut().zip(self.window(geometry)) {
            *value = source.map_or(T::ZERO, |source| x[source]);
        }
    }

    fn scatter_patch<T: Scalar>(self, geometry: &ConvGeometry, patch: &[T], x: &mut [T]) {
        for (&value, target) in patch.iter().zip(self.window(geometry)) {
            if let Some(target) = target {
                x[target] += value;
            }
        }
    }
}

/// All output pixels in the order `[batch, output_height, output_width]`.
fn pixels(geometry: &ConvGeometry) -> impl Iterator<Item = Pixel> + use<> {
    let (width, pixels) = (geometry.output_width(), geometry.pixels());
    (0..geometry.batch * pixels).map(move |index| Pixel {
        image: index / pixels,
        row: index % pixels / width,
        column: index % width,
    })
}

/// `D [m, n]` of `weight [n, c, k, k]`.
fn dictionary<T: Scalar>(geometry: &ConvGeometry, weight: &[T], lambda2: f64) -> Result<Dictionary<T>, SolverError> {
    let (m, n) = (geometry.patch(), geometry.atoms);
    assert_length(geometry, "weight", weight.len(), n * m);
    validation::finite("weight", weight)?;
    Dictionary::new(&transpose(weight, [n, m]), [m, n], lambda2)
}

fn transpose<T: Scalar>(matrix: &[T], [rows, columns]: [usize; 2]) -> Vec<T> {
    (0..rows * columns)
        .map(|index| matrix[index % rows * columns + index / rows])
        .collect()
}

fn input_length(geometry: &ConvGeometry) -> usize {
    geometry.batch * geometry.channels * geometry.height * geometry.width
}

fn codes_length(geometry: &ConvGeometry) -> usize {
    geometry.codes_shape().iter().product()
}

fn assert_length(geometry: &ConvGeometry, name: &str, length: usize, expected: usize) {
    assert_eq!(
        length, expected,
        "{name} has {length} values, not {expected}: the layer is {geometry:?}"
    );
}
