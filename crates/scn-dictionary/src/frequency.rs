//! The spatial frequencies of atoms, by their two-dimensional discrete Fourier transforms.

use std::f64::consts::TAU;

/// Half the Nyquist frequency, in cycles a pixel.
pub const HIGH: f64 = 0.25;

/// What an atom's energy says of its frequencies; all channels count alike.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spectrum {
    /// The mean radial frequency, weighted by energy, in cycles a pixel; 0 for a zero atom.
    pub frequency: f64,
    /// The part of the energy above [`HIGH`]; 0 for a zero atom.
    pub high: f64,
}

impl Spectrum {
    /// Of an atom `[c, k, k]`.
    ///
    /// # Panics
    /// Where the atom is not made of squares of this side.
    pub fn of(atom: &[f32], side: usize) -> Self {
        assert!(
            side > 0 && atom.len().is_multiple_of(side * side),
            "channels of {side}×{side}"
        );
        let angle = |index: usize| (TAU * index as f64 / side as f64).sin_cos();
        let waves: Vec<(f64, f64)> = (0..side).map(angle).collect();
        let radius = |index: usize| index.min(side - index) as f64 / side as f64;
        let (mut energy, mut weighted, mut high) = (0.0, 0.0, 0.0);
        for channel in atom.chunks_exact(side * side) {
            let rows: Vec<Vec<(f64, f64)>> = channel
                .chunks_exact(side)
                .map(|row| transform(row.iter().map(|&value| (f64::from(value), 0.0)), &waves))
                .collect();
            for u in 0..side {
                let column = transform(rows.iter().map(|row| row[u]), &waves);
                for (v, (re, im)) in column.into_iter().enumerate() {
                    let (power, frequency) = (re * re + im * im, radius(u).hypot(radius(v)));
                    energy += power;
                    weighted += power * frequency;
                    high += if frequency > HIGH { power } else { 0.0 };
                }
            }
        }
        let part = |sum: f64| if energy > 0.0 { sum / energy } else { 0.0 };
        Self {
            frequency: part(weighted),
            high: part(high),
        }
    }

    /// Whether more than half of the energy lies above [`HIGH`].
    pub fn is_high(&self) -> bool {
        self.high > 0.5
    }

    /// Those of atoms `weight [n, c, k, k]`.
    pub fn of_all(weight: &[f32], channels: usize, side: usize) -> Vec<Self> {
        let atoms = weight.chunks_exact(channels * side * side);
        atoms.map(|atom| Self::of(atom, side)).collect()
    }

    /// The share of those that are high.
    pub fn high_share(spectra: &[Self]) -> f64 {
        let high = spectra.iter().filter(|spectrum| spectrum.is_high()).count();
        high as f64 / spectra.len().max(1) as f64
    }
}

/// `Σ_x value(x)·e^{−2πi·ux/k}` for every u; `waves` are the sines and cosines of `2πj/k`.
fn transform(values: impl Iterator<Item = (f64, f64)> + Clone, waves: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let coefficient = |u: usize| {
        values.clone().enumerate().fold((0.0, 0.0), |(re, im), (x, (a, b))| {
            let (sin, cos) = waves[u * x % waves.len()];
            (re + a * cos + b * sin, im + b * cos - a * sin)
        })
    };
    (0..waves.len()).map(coefficient).collect()
}
