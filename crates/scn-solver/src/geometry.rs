//! The shape of a convolutional sparse-coding layer: which patch of the input belongs to which output pixel.

use crate::SolverError;

/// Input, kernel and output sizes of one sparse-coding layer with zero padding `kernel / 2`.
///
/// Tensors are row-major: `x [batch, channels, height, width]`, `weight [atoms, channels, kernel, kernel]`
/// (row `j` is atom `j`), codes `[batch, atoms, output_height, output_width]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvGeometry {
    /// Images.
    pub batch: usize,
    /// Input channels `c`.
    pub channels: usize,
    /// Input rows.
    pub height: usize,
    /// Input columns.
    pub width: usize,
    /// Atoms `n` of the dictionary.
    pub atoms: usize,
    /// Side of the window, odd.
    pub kernel: usize,
    /// Step between output pixels.
    pub stride: usize,
}

impl ConvGeometry {
    /// Reads the sizes off the shapes of `x [b, c, h, w]` and `weight [n, c, k, k]`.
    ///
    /// # Errors
    /// [`SolverError::Geometry`] where the channels differ, the window is not square and odd, or the stride is 0.
    pub fn new(x: [usize; 4], weight: [usize; 4], stride: usize) -> Result<Self, SolverError> {
        let [batch, channels, height, width] = x;
        let [atoms, weight_channels, kernel, kernel_width] = weight;
        let fail = |reason| {
            Err(SolverError::Geometry {
                x,
                weight,
                stride,
                reason,
            })
        };
        if channels != weight_channels {
            return fail("x and weight must have the same number of channels");
        }
        if kernel != kernel_width || kernel % 2 == 0 {
            return fail("the window must be square with an odd side");
        }
        if stride == 0 {
            return fail("the stride must be at least 1");
        }
        Ok(Self {
            batch,
            channels,
            height,
            width,
            atoms,
            kernel,
            stride,
        })
    }

    /// Zero padding on each side.
    pub fn padding(&self) -> usize {
        self.kernel / 2
    }

    /// Output rows.
    pub fn output_height(&self) -> usize {
        self.height.div_ceil(self.stride)
    }

    /// Output columns.
    pub fn output_width(&self) -> usize {
        self.width.div_ceil(self.stride)
    }

    /// Output pixels of one image.
    pub fn pixels(&self) -> usize {
        self.output_height() * self.output_width()
    }

    /// Length `m = c·k²` of a patch.
    pub fn patch(&self) -> usize {
        self.channels * self.kernel * self.kernel
    }

    /// # Panics
    /// Where the tensor `name` has not as many values as a layer of this geometry.
    #[track_caller]
    pub(crate) fn check(&self, name: &str, values: &[f32], expected: usize) {
        assert_eq!(
            values.len(),
            expected,
            "values of {name} (left) are not those of {self:?}"
        );
    }

    /// Shape of the codes.
    pub fn codes_shape(&self) -> [usize; 4] {
        [self.batch, self.atoms, self.output_height(), self.output_width()]
    }
}
