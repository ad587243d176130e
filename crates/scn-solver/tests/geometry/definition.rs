//! A layer by its definition: windows are counted and placed one by one.

use scn_solver::{ConvGeometry, Padding, Placement};

/// A layer in numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Layer {
    pub batch: usize,
    pub channels: usize,
    pub height: usize,
    pub width: usize,
    pub atoms: usize,
    pub kernel: usize,
    pub stride: usize,
    pub padding: usize,
    pub dilation: usize,
}

/// A product of the convolution: flat places in the input, the weight and the output.
pub struct Product {
    pub input: usize,
    pub weight: usize,
    pub output: usize,
}

impl Layer {
    pub fn placement(&self) -> Placement {
        Placement {
            stride: self.stride,
            padding: Padding::Zeros(self.padding),
            dilation: self.dilation,
        }
    }

    pub fn geometry(&self) -> ConvGeometry {
        let x = [self.batch, self.channels, self.height, self.width];
        let weight = [self.atoms, self.channels, self.kernel, self.kernel];
        ConvGeometry::new(x, weight, self.placement()).unwrap()
    }

    /// Rows, or columns, that a window spans.
    pub fn span(&self) -> usize {
        self.dilation * (self.kernel - 1) + 1
    }

    /// Windows along a side.
    pub fn windows(&self, side: usize) -> usize {
        let ends = (0..).map(|window| window * self.stride + self.span());
        ends.take_while(|&end| end <= side + 2 * self.padding).count()
    }

    pub fn output(&self) -> [usize; 2] {
        [self.windows(self.height), self.windows(self.width)]
    }

    pub fn input_length(&self) -> usize {
        self.batch * self.channels * self.height * self.width
    }

    pub fn weight_length(&self) -> usize {
        self.atoms * self.patch()
    }

    pub fn output_length(&self) -> usize {
        self.batch * self.atoms * self.output()[0] * self.output()[1]
    }

    pub fn patch(&self) -> usize {
        self.channels * self.kernel * self.kernel
    }

    /// The input value of place `i` of the patch of an output pixel, `None` in the padding.
    pub fn place(&self, image: usize, [row, column]: [usize; 2], i: usize) -> Option<usize> {
        let k = self.kernel;
        let (channel, down, right) = (i / (k * k), i / k % k, i % k);
        let inside = |window: usize, place: usize, side: usize| {
            let at = (window * self.stride + place * self.dilation) as i64 - self.padding as i64;
            (0..side as i64).contains(&at).then_some(at as usize)
        };
        let y = inside(row, down, self.height)?;
        let x = inside(column, right, self.width)?;
        Some(((image * self.channels + channel) * self.height + y) * self.width + x)
    }

    /// Every product of the convolution.
    pub fn for_each_product(&self, mut visit: impl FnMut(Product)) {
        let [rows, columns] = self.output();
        for output in 0..self.output_length() {
            let (column, row) = (output % columns, output / columns % rows);
            let (atom, image) = (
                output / columns / rows % self.atoms,
                output / columns / rows / self.atoms,
            );
            for i in 0..self.patch() {
                if let Some(input) = self.place(image, [row, column], i) {
                    let weight = atom * self.patch() + i;
                    visit(Product { input, weight, output });
                }
            }
        }
    }

    /// The patches `[b·h'·w', c·k²]`.
    pub fn patches(&self, x: &[f64]) -> Vec<f64> {
        let [rows, columns] = self.output();
        let pixels = rows * columns;
        (0..self.batch * pixels * self.patch())
            .map(|index| {
                let (pixel, i) = (index / self.patch(), index % self.patch());
                let (image, row, column) = (pixel / pixels, pixel % pixels / columns, pixel % columns);
                self.place(image, [row, column], i).map_or(0.0, |input| x[input])
            })
            .collect()
    }
}
