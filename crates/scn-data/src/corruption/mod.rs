//! The noise corruptions of CIFAR-10-C (Hendrycks & Dietterich, "Benchmarking neural network robustness to common
//! corruptions and perturbations", ICLR 2019, arXiv:1903.12261). Formulas and severities are those of the authors'
//! program, `ImageNet-C/create_c/make_cifar_c.py` of github.com/hendrycks/robustness; the draws are this crate's own.

pub(crate) mod cifar10_c;

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::error::DataError;
use crate::image_set::ImageSet;
use crate::random::{Purpose, normal, stream, uniform};

/// A kind of noise, named on the command line as by [`Noise::name`]. It takes a value x of an image, 0 to 1, to
/// another; c is the constant of the severity. Every value of every channel draws for itself.
///
/// The numbers are part of what a seed means: never change or reuse them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Noise {
    /// x + N(0, c²).
    Gaussian = 0,
    /// Poisson(x·c) / c.
    Shot = 1,
    /// x + x·N(0, c²).
    Speckle = 2,
    /// With probability c, 0 or 1 with equal chances ("salt and pepper").
    Impulse = 3,
}

impl Noise {
    /// Every noise.
    pub const ALL: [Noise; 4] = [Noise::Gaussian, Noise::Shot, Noise::Speckle, Noise::Impulse];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Noise::Gaussian => "gaussian",
            Noise::Shot => "shot",
            Noise::Speckle => "speckle",
            Noise::Impulse => "impulse",
        }
    }

    /// The constants of severities 1 to 5.
    fn constants(self) -> [f64; 5] {
        match self {
            Noise::Gaussian => [0.04, 0.06, 0.08, 0.09, 0.10],
            Noise::Shot => [500.0, 250.0, 100.0, 75.0, 50.0],
            Noise::Speckle => [0.06, 0.1, 0.12, 0.16, 0.2],
            Noise::Impulse => [0.01, 0.02, 0.03, 0.05, 0.07],
        }
    }
}

impl fmt::Display for Noise {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Noise {
    type Err = DataError;

    /// # Errors
    /// [`DataError::UnknownNoise`].
    fn from_str(name: &str) -> Result<Self, DataError> {
        Self::ALL
            .into_iter()
            .find(|noise| noise.name() == name)
            .ok_or_else(|| DataError::UnknownNoise {
                name: name.to_owned(),
                known: Self::ALL.map(Self::name).join(", "),
            })
    }
}

/// A noise and how much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Corruption {
    /// The kind of noise.
    pub noise: Noise,
    /// How much of it, 1 to 5.
    pub severity: u8,
}

impl Corruption {
    /// The severities there are.
    pub const SEVERITIES: RangeInclusive<u8> = 1..=5;

    /// A noise of a severity.
    ///
    /// # Errors
    /// [`DataError::Severity`] unless the severity is 1 to 5.
    pub fn new(noise: Noise, severity: u8) -> Result<Self, DataError> {
        if Self::SEVERITIES.contains(&severity) {
            Ok(Corruption { noise, severity })
        } else {
            Err(DataError::Severity {
                severity,
                known: Self::SEVERITIES,
            })
        }
    }

    /// The severity as an index, 0 to 4.
    ///
    /// # Panics
    /// If the severity was set to none of the five after [`Corruption::new`] had checked it.
    pub(crate) fn index(self) -> usize {
        assert!(Self::SEVERITIES.contains(&self.severity), "severity {}", self.severity);
        usize::from(self.severity - 1)
    }
}

/// The images with noise, cut off at 0 and at the largest pixel value, and rounded down as the authors' program does.
/// Labels, records and order stay. What becomes of an image depends on its pixels, its record, the corruption and the
/// seed, not on the other images of the set.
///
/// # Panics
/// If the severity was set to none of the five after [`Corruption::new`] had checked it.
pub fn corrupt(images: &ImageSet, corruption: Corruption, seed: u64) -> ImageSet {
    let change = change(corruption, images.pixel_max());
    let address = ((corruption.noise as u64) << 8) | u64::from(corruption.severity);
    images.map_images(|record, pixels| {
        let mut random = stream(seed, Purpose::Corruption, address, u64::from(record));
        for pixel in pixels {
            *pixel = change(*pixel, &mut random);
        }
    })
}

/// Makes another pixel of a pixel.
type Change = dyn Fn(u8, &mut ChaCha8Rng) -> u8;

/// What happens to a pixel `0..=pixel_max`.
///
/// Logarithm, cosine and exponential may differ in their last bit between platforms. That changes a pixel whose value
/// is within about 10⁻¹³ of a whole number: hardly one in 10¹².
fn change(corruption: Corruption, pixel_max: u8) -> Box<Change> {
    let c = corruption.noise.constants()[corruption.index()];
    let max = f64::from(pixel_max);
    let value = move |pixel: u8| f64::from(pixel) / max;
    // `as` drops the fraction, like numpy's conversion to uint8.
    let pixel = move |value: f64| (value.clamp(0.0, 1.0) * max) as u8;
    match corruption.noise {
        Noise::Gaussian => Box::new(move |from, random| pixel(value(from) + c * normal(random))),
        Noise::Speckle => Box::new(move |from, random| {
            let x = value(from);
            pixel(x + x * (c * normal(random)))
        }),
        Noise::Impulse => Box::new(move |from, random| {
            let drawn = uniform(random);
            if drawn < c / 2.0 {
                pixel_max
            } else if drawn < c {
                0
            } else {
                from
            }
        }),
        Noise::Shot => {
            // Counts are drawn by inversion: one look-up, exact to 2⁻⁵³, which suits the few means there are. Counts
            // of c and more are cut off at 1, so the table ends there.
            let tables: Vec<Vec<f64>> = (0..=pixel_max)
                .map(|from| cumulative_poisson(value(from) * c, c as usize))
                .collect();
            Box::new(move |from, random| {
                let drawn = uniform(random);
                let count = tables[usize::from(from)].partition_point(|&probability| probability <= drawn);
                pixel(count as f64 / c)
            })
        }
    }
}

/// The probabilities that a Poisson variable is at most 0, 1, … `counts − 1`. The mean must be below 700, where the
/// exponential would vanish.
fn cumulative_poisson(mean: f64, counts: usize) -> Vec<f64> {
    let mut probability = (-mean).exp();
    let mut sum = 0.0;
    (1..=counts)
        .map(|next| {
            sum += probability;
            probability *= mean / next as f64;
            sum
        })
        .collect()
}
