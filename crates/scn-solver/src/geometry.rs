//! The shape of a convolutional layer: which patch of the input belongs to which output pixel. Output pixel `(i, j)` sees
//! the input at rows `s·i − p + d·u` and columns `s·j − p + d·v` for the places `u, v = 0 … k−1` of its window, with stride
//! s, padding p and dilation d (Dumoulin & Visin, arXiv:1603.07285).

use std::fmt;

use crate::SolverError;

/// Zeros around an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Padding {
    /// `dilation·(k − 1)/2` on each side, for windows of odd side k: every output pixel is the middle of its window, and
    /// a side becomes `⌈side/stride⌉`.
    Same,
    /// So many rows above and below, and columns left and right.
    Zeros(usize),
}

/// How the windows of a layer are laid over an image. A number alone is a stride with [`Padding::Same`] and without
/// dilation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Placement {
    /// Rows and columns from one window to the next, at least 1.
    pub stride: usize,
    /// Zeros around the image.
    pub padding: Padding,
    /// Rows and columns from one place of a window to the next, at least 1.
    pub dilation: usize,
}

impl Placement {
    /// Windows around every `stride`-th pixel, without dilation.
    pub const fn same(stride: usize) -> Self {
        Self {
            stride,
            padding: Padding::Same,
            dilation: 1,
        }
    }
}

impl From<usize> for Placement {
    fn from(stride: usize) -> Self {
        Self::same(stride)
    }
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "stride {}", self.stride)?;
        match self.padding {
            Padding::Same if self.dilation == 1 => Ok(()),
            Padding::Same => write!(f, " with dilation {}", self.dilation),
            Padding::Zeros(zeros) => write!(f, " with padding {zeros} and dilation {}", self.dilation),
        }
    }
}

/// Input, kernel and output sizes of one layer.
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
    /// Side `k` of the window, in places.
    pub kernel: usize,
    /// Rows and columns from one window to the next.
    pub stride: usize,
    /// Zeros on each side of the image.
    pub padding: usize,
    /// Rows and columns from one place of a window to the next.
    pub dilation: usize,
}

impl ConvGeometry {
    /// Reads the sizes off the shapes of `x [b, c, h, w]` and `weight [n, c, k, k]`. Images without pixels have no output
    /// pixels.
    ///
    /// # Errors
    /// [`SolverError::Geometry`] where the channels differ, the window is not square, or of an even side where the padding
    /// is to be [`Padding::Same`], stride or dilation are 0, or the sizes overflow;
    /// [`SolverError::WindowTooLarge`] where the window does not fit into the image with its padding.
    pub fn new(x: [usize; 4], weight: [usize; 4], placement: impl Into<Placement>) -> Result<Self, SolverError> {
        let placement = placement.into();
        let [batch, channels, height, width] = x;
        let [atoms, weight_channels, kernel, kernel_width] = weight;
        let fail = |reason| SolverError::Geometry {
            x,
            weight,
            placement,
            reason,
        };
        if channels != weight_channels {
            return Err(fail("x and weight must have the same number of channels"));
        }
        let Placement { stride, dilation, .. } = placement;
        match placement.padding {
            Padding::Same if kernel != kernel_width || kernel % 2 == 0 => {
                return Err(fail("the window must be square with an odd side"));
            }
            Padding::Zeros(_) if kernel != kernel_width || kernel == 0 => {
                return Err(fail("the window must be square with a side of at least 1"));
            }
            Padding::Same | Padding::Zeros(_) => {}
        }
        if stride == 0 {
            return Err(fail("the stride must be at least 1"));
        }
        if dilation == 0 {
            return Err(fail("the dilation must be at least 1"));
        }
        let overflow = || fail("the layer has more values than can be addressed");
        let reach = dilation.checked_mul(kernel - 1).ok_or_else(overflow)?;
        let padding = match placement.padding {
            Padding::Same => reach / 2,
            Padding::Zeros(zeros) => zeros,
        };
        let padded = |side: usize| side.checked_add(padding.checked_mul(2)?);
        let (Some(rows), Some(columns)) = (padded(height), padded(width)) else {
            return Err(overflow());
        };
        // The image once for each column of the window, the output, the dictionary and the way to the window after the last.
        let sizes = [
            [batch, channels, kernel, rows, columns],
            [batch, atoms, 1, rows, columns],
            [atoms, channels, 1, kernel, kernel],
            [1, 1, 1, 1, stride.saturating_add(rows.max(columns))],
        ];
        let addressable = |size: &[usize; 5]| {
            let bytes = size
                .iter()
                .try_fold(size_of::<f64>(), |values, &n| values.checked_mul(n));
            bytes.is_some_and(|bytes| isize::try_from(bytes).is_ok())
        };
        if !sizes.iter().all(addressable) {
            return Err(overflow());
        }
        if height > 0 && width > 0 && rows.min(columns) <= reach {
            return Err(SolverError::WindowTooLarge {
                x,
                weight,
                placement,
                span: reach.saturating_add(1),
                needed: (reach + 1 - height.min(width)).div_ceil(2),
            });
        }
        Ok(Self {
            batch,
            channels,
            height,
            width,
            atoms,
            kernel,
            stride,
            padding,
            dilation,
        })
    }

    /// Rows, and columns, from the first to the last that a window sees: `dilation·(k − 1) + 1`.
    pub fn span(&self) -> usize {
        self.dilation * (self.kernel - 1) + 1
    }

    /// Output rows.
    pub fn output_height(&self) -> usize {
        self.output_side(self.height)
    }

    /// Output columns.
    pub fn output_width(&self) -> usize {
        self.output_side(self.width)
    }

    /// `⌊(side + 2·padding − span)/stride⌋ + 1`, or 0 without pixels.
    fn output_side(&self, side: usize) -> usize {
        match (side + 2 * self.padding).checked_sub(self.span()) {
            Some(beyond_first) if side > 0 => beyond_first / self.stride + 1,
            _ => 0,
        }
    }

    /// Output pixels of one image.
    pub fn pixels(&self) -> usize {
        self.output_height() * self.output_width()
    }

    /// Length `m = c·k²` of a patch.
    pub fn patch(&self) -> usize {
        self.channels * self.kernel * self.kernel
    }

    /// Shape of the input.
    pub fn input_shape(&self) -> [usize; 4] {
        [self.batch, self.channels, self.height, self.width]
    }

    /// Shape of the dictionary.
    pub fn weight_shape(&self) -> [usize; 4] {
        [self.atoms, self.channels, self.kernel, self.kernel]
    }

    /// Shape of the codes.
    pub fn codes_shape(&self) -> [usize; 4] {
        [self.batch, self.atoms, self.output_height(), self.output_width()]
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
}
