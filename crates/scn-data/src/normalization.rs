//! Mean subtraction and division: `(pixel / pixel_max − mean) / deviation`.
//!
//! Pixels are first scaled to 0..1 by the largest value of their format. The authors' program subtracts the mean of
//! raw 0..255 pixels and divides by nothing; the batch norm in front of every layer takes out the difference.

use serde::{Deserialize, Serialize};

use crate::error::DataError;
use crate::image_set::ImageSet;

scn_keys::names! {
    /// Which mean is subtracted.
    pub enum MeanSubtraction {
        /// None: pixels stay in 0..1.
        None = "none",
        /// One mean a channel.
        PerChannel = "per-channel",
        /// One mean for every channel, row and column.
        PerPixel = "per-pixel",
    }
}

/// The statistics of a training set, applied to every image of the experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct Normalization {
    parts: Parts,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    shape: [usize; 3],
    pixel_max: u8,
    mean: Vec<f32>,
    deviation: Vec<f32>,
}

impl Normalization {
    /// Compute the mean, and with `divide` the standard deviation of each channel, of a training set, exactly: the
    /// sums are integers. The deviation is that of the channel's pixels about the channel's mean, after
    /// [`MeanSubtraction::PerPixel`] about each pixel's own mean; where it is 0 the channel is divided by 1.
    pub fn fit(train: &ImageSet, subtraction: MeanSubtraction, divide: bool) -> Self {
        let shape = train.shape();
        let plane = shape[1] * shape[2];
        let sums = PixelSums::of(train);
        let images = train.count() as u128;
        let pixel_max = f64::from(train.pixel_max());
        let mean_of = |sums: &[u64]| {
            let count = images * sums.len() as u128;
            (sums.iter().sum::<u64>() as f64 / count as f64 / pixel_max) as f32
        };
        let mean = match subtraction {
            MeanSubtraction::None => vec![0.0; shape[0]],
            MeanSubtraction::PerChannel => sums.values.chunks_exact(plane).map(mean_of).collect(),
            MeanSubtraction::PerPixel => sums.values.chunks_exact(1).map(mean_of).collect(),
        };
        let deviation_of = |(sums, squares): (&[u64], &[u64])| {
            let square_sum = u128::from(squares.iter().sum::<u64>());
            // n² · variance = n Σv² − (Σv)², an integer; per pixel it is summed over the pixels of the plane.
            let (scatter, count) = if subtraction == MeanSubtraction::PerPixel {
                let own_means: u128 = sums.iter().map(|&sum| u128::from(sum).pow(2)).sum();
                (images * square_sum - own_means, images * images * plane as u128)
            } else {
                let count = images * plane as u128;
                (
                    count * square_sum - u128::from(sums.iter().sum::<u64>()).pow(2),
                    count * count,
                )
            };
            if scatter == 0 {
                1.0
            } else {
                ((scatter as f64 / count as f64).sqrt() / pixel_max) as f32
            }
        };
        let deviation = if divide {
            sums.values
                .chunks_exact(plane)
                .zip(sums.squares.chunks_exact(plane))
                .map(deviation_of)
                .collect()
        } else {
            vec![1.0; shape[0]]
        };
        Normalization {
            parts: Parts {
                shape,
                pixel_max: train.pixel_max(),
                mean,
                deviation,
            },
        }
    }

    /// Statistics that are known, such as a published program's, in units of the largest pixel value: a mean for each
    /// channel or for each channel, row and column, and a divisor for each channel.
    ///
    /// # Errors
    /// [`DataError::Statistics`] where they do not fit images `[c, h, w]` of this shape.
    pub fn given(shape: [usize; 3], pixel_max: u8, mean: Vec<f32>, deviation: Vec<f32>) -> Result<Self, DataError> {
        Parts {
            shape,
            pixel_max,
            mean,
            deviation,
        }
        .try_into()
    }

    /// Shape `[c, h, w]` of the images.
    pub fn shape(&self) -> [usize; 3] {
        self.parts.shape
    }

    /// The mean subtracted: `c` values or `[c, h, w]`, in units of the largest pixel value.
    pub fn mean(&self) -> &[f32] {
        &self.parts.mean
    }

    /// The divisor of each channel, `c` values, in units of the largest pixel value.
    pub fn deviation(&self) -> &[f32] {
        &self.parts.deviation
    }

    /// Check that the statistics fit these images.
    ///
    /// # Errors
    /// [`DataError::Shape`].
    pub fn check(&self, images: &ImageSet) -> Result<(), DataError> {
        let Parts { shape, pixel_max, .. } = self.parts;
        if (shape, pixel_max) == (images.shape(), images.pixel_max()) {
            return Ok(());
        }
        let (expected, expected_max) = (images.shape(), images.pixel_max());
        Err(DataError::Shape {
            found: shape,
            found_max: pixel_max,
            expected,
            expected_max,
        })
    }

    /// Normalise one image: pixels `[c, h, w]` to values `[c, h, w]`.
    ///
    /// # Panics
    /// If `pixels` or `values` has not the length of the shape.
    pub fn apply(&self, pixels: &[u8], values: &mut [f32]) {
        let Parts {
            shape,
            pixel_max,
            ref mean,
            ref deviation,
        } = self.parts;
        let length = shape.iter().product::<usize>();
        assert_eq!(
            (pixels.len(), values.len()),
            (length, length),
            "pixels and values of an image {shape:?}"
        );
        let scale = 1.0 / f32::from(pixel_max);
        let plane = shape[1] * shape[2];
        let planes = pixels.chunks_exact(plane).zip(values.chunks_exact_mut(plane));
        // Either the mean of the channel or the means of its pixels.
        for (((pixels, values), mean), deviation) in planes.zip(mean.chunks_exact(mean.len() / shape[0])).zip(deviation)
        {
            let inverse = 1.0 / deviation;
            if let &[mean] = mean {
                for (value, &pixel) in values.iter_mut().zip(pixels) {
                    *value = (f32::from(pixel) * scale - mean) * inverse;
                }
            } else {
                for ((value, &pixel), mean) in values.iter_mut().zip(pixels).zip(mean) {
                    *value = (f32::from(pixel) * scale - mean) * inverse;
                }
            }
        }
    }
}

impl From<Normalization> for Parts {
    fn from(normalization: Normalization) -> Self {
        normalization.parts
    }
}

impl TryFrom<Parts> for Normalization {
    type Error = DataError;

    fn try_from(parts: Parts) -> Result<Self, DataError> {
        let [channels, height, width] = parts.shape;
        let pixels = channels.checked_mul(height).and_then(|rows| rows.checked_mul(width));
        let whole = pixels.is_some_and(|pixels| {
            pixels > 0
                && parts.pixel_max > 0
                && (parts.mean.len() == channels || parts.mean.len() == pixels)
                && parts.deviation.len() == channels
                && parts.mean.iter().all(|mean| mean.is_finite())
                && parts
                    .deviation
                    .iter()
                    .all(|&deviation| deviation.is_finite() && deviation > 0.0)
        });
        if whole {
            return Ok(Normalization { parts });
        }
        let (means, deviations) = (parts.mean.len(), parts.deviation.len());
        Err(DataError::Statistics {
            shape: parts.shape,
            pixel_max: parts.pixel_max,
            means,
            deviations,
        })
    }
}

/// Sums over the images of the values of each pixel `[c, h, w]` and of their squares.
struct PixelSums {
    values: Vec<u64>,
    squares: Vec<u64>,
}

impl PixelSums {
    fn of(set: &ImageSet) -> Self {
        let pixels = set.shape().iter().product();
        let mut sums = PixelSums {
            values: vec![0; pixels],
            squares: vec![0; pixels],
        };
        for position in 0..set.count() {
            let image = set.image(position);
            for ((value, square), &pixel) in sums.values.iter_mut().zip(&mut sums.squares).zip(image) {
                *value += u64::from(pixel);
                *square += u64::from(pixel) * u64::from(pixel);
            }
        }
        sums
    }
}
