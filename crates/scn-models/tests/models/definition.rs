//! Convolutions by their definition, in f64.

use burn::tensor::Tensor;

use crate::common::values;

/// `[c, h, w]` values of one image.
#[derive(Clone, Debug, PartialEq)]
pub struct Planes {
    pub shape: [usize; 3],
    pub values: Vec<f64>,
}

impl Planes {
    pub fn of(image: &Tensor<4>) -> Self {
        let [one, channels, height, width] = image.dims();
        assert_eq!(one, 1, "one image");
        Self {
            shape: [channels, height, width],
            values: values(image),
        }
    }

    pub fn zeros(shape: [usize; 3]) -> Self {
        Self {
            shape,
            values: vec![0.0; shape.iter().product()],
        }
    }

    /// `f(channel, value)` of every value.
    pub fn map(&self, f: impl Fn(usize, f64) -> f64) -> Self {
        let plane = self.shape[1] * self.shape[2];
        let mapped = self.values.iter().enumerate().map(|(i, &value)| f(i / plane, value));
        Self {
            shape: self.shape,
            values: mapped.collect(),
        }
    }

    /// `self + factor·other`.
    pub fn plus(&self, factor: f64, other: &Self) -> Self {
        assert_eq!(self.shape, other.shape);
        let sums = self.values.iter().zip(&other.values).map(|(a, b)| a + factor * b);
        Self {
            shape: self.shape,
            values: sums.collect(),
        }
    }

    /// Channels `from..to`.
    pub fn channels(&self, from: usize, to: usize) -> Self {
        let [_, height, width] = self.shape;
        Self {
            shape: [to - from, height, width],
            values: self.values[from * height * width..to * height * width].to_vec(),
        }
    }

    /// The channels of both.
    pub fn joined(&self, other: &Self) -> Self {
        let [channels, height, width] = self.shape;
        Self {
            shape: [channels + other.shape[0], height, width],
            values: [self.values.clone(), other.values.clone()].concat(),
        }
    }

    pub fn rectified(&self) -> Self {
        self.map(|_, value| value.max(0.0))
    }

    pub fn norm(&self) -> f64 {
        self.values.iter().map(|value| value * value).sum::<f64>().sqrt()
    }
}

/// A convolution with `weight [n, c, k, k]`, k odd, with zeros around images.
pub struct Filters {
    pub shape: [usize; 4],
    pub values: Vec<f64>,
    pub stride: usize,
    pub dilation: usize,
}

impl Filters {
    pub fn of(weight: &Tensor<4>, stride: usize, dilation: usize) -> Self {
        Self {
            shape: weight.dims(),
            values: values(weight),
            stride,
            dilation,
        }
    }

    /// Calls `visit(code, pixel, weight)` with the places of all products.
    fn products(&self, [channels, height, width]: [usize; 3], mut visit: impl FnMut(usize, usize, f64)) {
        let [atoms, inputs, kernel, _] = self.shape;
        assert_eq!(channels, inputs);
        let [rows, columns] = [height, width].map(|side| side.div_ceil(self.stride));
        for (i, &weight) in self.values.iter().enumerate() {
            let (atom, channel) = (i / (inputs * kernel * kernel), i / (kernel * kernel) % inputs);
            let (u, v) = (i / kernel % kernel, i % kernel);
            for (row, column) in (0..rows * columns).map(|pixel| (pixel / columns, pixel % columns)) {
                let y = (row * self.stride + u * self.dilation).wrapping_sub(kernel / 2 * self.dilation);
                let x = (column * self.stride + v * self.dilation).wrapping_sub(kernel / 2 * self.dilation);
                if y < height && x < width {
                    let code = (atom * rows + row) * columns + column;
                    visit(code, (channel * height + y) * width + x, weight);
                }
            }
        }
        assert!(atoms > 0);
    }

    /// Dᵀx.
    pub fn analyze(&self, x: &Planes) -> Planes {
        let [_, height, width] = x.shape;
        let [rows, columns] = [height, width].map(|side| side.div_ceil(self.stride));
        let mut codes = Planes::zeros([self.shape[0], rows, columns]);
        self.products(x.shape, |code, pixel, weight| {
            codes.values[code] += weight * x.values[pixel]
        });
        codes
    }

    /// Dγ, of a signal of this shape.
    pub fn synthesize(&self, codes: &Planes, shape: [usize; 3]) -> Planes {
        let mut x = Planes::zeros(shape);
        self.products(shape, |code, pixel, weight| {
            x.values[pixel] += weight * codes.values[code]
        });
        x
    }
}

/// Asserts values to a tolerance relative to the largest.
#[track_caller]
pub fn assert_near(what: &str, found: &Planes, expected: &Planes, tolerance: f64) {
    assert_eq!(found.shape, expected.shape, "{what}");
    let largest = expected
        .values
        .iter()
        .fold(0.0, |largest: f64, value| largest.max(value.abs()));
    assert!(largest > 0.0, "{what}: nothing is expected");
    for (found, expected) in found.values.iter().zip(&expected.values) {
        assert!(
            (found - expected).abs() <= tolerance * largest,
            "{what}: {found}, expected {expected}"
        );
    }
}
