//! Signals of a model, and noise of bounded local energy.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::dictionary::Dictionary;
use super::model::{Model, below, normal, sign};
use crate::theory::norms::{Maps, Patch, patch_energy, stripe_norm};

/// The purpose of a stream that dictionaries are drawn from; the densities are those of the others.
pub(super) const DICTIONARIES: u64 = 0;

/// How many non-zeros the deepest code has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Density {
    /// So few in each stripe that the theorems apply.
    Sparse = 1,
    /// Too many.
    Dense = 2,
}

/// A signal with its codes and noise.
#[derive(Clone, Debug)]
pub(super) struct Signal {
    /// Γ₁, Γ₂, …
    pub codes: Vec<Vec<f64>>,
    /// X = D₁Γ₁.
    pub clean: Vec<f64>,
    /// X + E.
    pub noisy: Vec<f64>,
    /// ε₀.
    pub noise: f64,
}

/// The random numbers of one purpose.
pub(super) fn stream_of(words: [u64; 4]) -> ChaCha8Rng {
    let mut key = [0; 32];
    for (bytes, word) in key.as_chunks_mut::<8>().0.iter_mut().zip(words) {
        *bytes = word.to_le_bytes();
    }
    ChaCha8Rng::from_seed(key)
}

/// The random numbers of one signal.
pub(super) fn stream(seed: u64, model: usize, density: Density, signal: usize) -> ChaCha8Rng {
    stream_of([seed, model as u64, density as u64, signal as u64])
}

/// A patch of a layer's codes, or of the signal before the first: a window of the layer that codes them.
pub(super) fn patch_before(layer: Option<&Dictionary>) -> Patch {
    layer.map_or(Patch::Whole, |layer| Patch::Window {
        kernel: layer.shape()[2],
        dilation: 1,
    })
}

impl Signal {
    /// Draws a signal with noise of `ε₀ = noise`.
    pub fn draw(model: &Model, density: Density, noise: f64, random: &mut ChaCha8Rng) -> Self {
        let deepest = &model.layers[model.layers.len() - 1];
        let mut codes = vec![deepest_code(model, deepest, density, random)];
        for layer in model.layers.iter().skip(1).rev() {
            let next = layer.synthesize(&codes[codes.len() - 1]);
            codes.push(next);
        }
        codes.reverse();
        let first = &model.layers[0];
        let clean = first.synthesize(&codes[0]);
        let white = normal(clean.len(), random);
        let maps = Maps {
            values: &white,
            shape: first.signal_shape(),
        };
        let scale = noise / patch_energy(maps, patch_before(Some(first)));
        let noisy = clean.iter().zip(&white).map(|(clean, white)| clean + scale * white);
        Self {
            noisy: noisy.collect(),
            codes,
            clean,
            noise,
        }
    }
}

/// Magnitudes from 0.95 to 1.05 at random places. A sparse code has as many non-zeros as find a place.
fn deepest_code(model: &Model, deepest: &Dictionary, density: Density, random: &mut ChaCha8Rng) -> Vec<f64> {
    let shape = deepest.code_shape();
    let mut code = vec![0.0; shape.iter().product()];
    let (tries, most) = match density {
        Density::Sparse => model.plan.sparse,
        Density::Dense => (model.plan.dense, usize::MAX),
    };
    for _ in 0..tries {
        let place = below(random, code.len());
        let magnitude = 0.95 + 0.1 * below(random, 1 << 32) as f64 / (1u64 << 32) as f64;
        let before = std::mem::replace(&mut code[place], sign(random) * magnitude);
        let values = &code;
        if most < usize::MAX && stripe_norm(Maps { values, shape }, deepest.overlap()) > most {
            code[place] = before;
        }
    }
    code
}
