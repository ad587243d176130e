//! Multi-layer models: `X = D₁Γ₁, Γ₁ = D₂Γ₂, …`.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;
use rand_distr::{Distribution, StandardNormal};

use super::dictionary::Dictionary;
use super::signal::{DICTIONARIES, stream_of};

/// A model before its dictionaries are drawn.
#[derive(Debug)]
pub struct Plan {
    /// Its name in reports.
    pub name: &'static str,
    /// What it is.
    pub doc: &'static str,
    /// From the signal on.
    pub layers: &'static [LayerPlan],
    /// Channels of the signal.
    pub channels: usize,
    /// Rows and columns of the deepest code.
    pub code: [usize; 2],
    /// Non-zeros of a sparse deepest code, and how many of them a stripe may hold.
    pub sparse: (usize, usize),
    /// Non-zeros of a dense one.
    pub dense: usize,
}

/// A layer of a model.
#[derive(Debug)]
pub struct LayerPlan {
    /// n.
    pub atoms: usize,
    /// k.
    pub kernel: usize,
    /// Rows and columns from one atom to the next.
    pub stride: usize,
    /// What the atoms are.
    pub kind: AtomKind,
}

/// What atoms are.
#[derive(Debug)]
pub enum AtomKind {
    /// Any two have this correlation at one position: the worst that a coherence allows. At most `ck² − 1` atoms.
    Equiangular(f64),
    /// The unit vectors of the window and the Walsh functions on it, an overcomplete union of two orthogonal bases. `2ck²`
    /// atoms, where `ck²` is a power of two.
    SpikesAndWalsh,
    /// Independent normal values: nearly orthogonal where windows are wide.
    Normal,
    /// Two non-zeros: one in a channel that no other atom has, one in a channel that all share. Where the latter meet, atoms
    /// have this correlation. Fewer atoms than the code has channels.
    Molecules(f64),
}

/// The models that are simulated.
pub const MODELS: &[Plan] = &[
    Plan {
        name: "blocks",
        doc: "equiangular atoms side by side (stride = kernel), then molecules of two of them",
        layers: &[
            LayerPlan {
                atoms: 24,
                kernel: 5,
                stride: 5,
                kind: AtomKind::Equiangular(0.03),
            },
            LayerPlan {
                atoms: 12,
                kernel: 3,
                stride: 1,
                kind: AtomKind::Molecules(0.12),
            },
        ],
        channels: 1,
        code: [6, 5],
        sparse: (4, 2),
        dense: 60,
    },
    Plan {
        name: "spikes-and-walsh",
        doc: "an overcomplete union of two bases (stride = kernel), then molecules",
        layers: &[
            LayerPlan {
                atoms: 128,
                kernel: 8,
                stride: 8,
                kind: AtomKind::SpikesAndWalsh,
            },
            LayerPlan {
                atoms: 40,
                kernel: 2,
                stride: 1,
                kind: AtomKind::Molecules(0.15),
            },
        ],
        channels: 1,
        code: [1, 2],
        sparse: (3, 2),
        dense: 100,
    },
    Plan {
        name: "wide",
        doc: "wide overlapping atoms of independent normal values, then molecules",
        layers: &[
            LayerPlan {
                atoms: 8,
                kernel: 20,
                stride: 10,
                kind: AtomKind::Normal,
            },
            LayerPlan {
                atoms: 6,
                kernel: 2,
                stride: 1,
                kind: AtomKind::Molecules(0.12),
            },
        ],
        channels: 3,
        code: [5, 4],
        sparse: (3, 1),
        dense: 40,
    },
    Plan {
        name: "three-layers",
        doc: "equiangular atoms, molecules, and molecules of molecules",
        layers: &[
            LayerPlan {
                atoms: 24,
                kernel: 5,
                stride: 5,
                kind: AtomKind::Equiangular(0.03),
            },
            LayerPlan {
                atoms: 16,
                kernel: 2,
                stride: 1,
                kind: AtomKind::Molecules(0.1),
            },
            LayerPlan {
                atoms: 8,
                kernel: 2,
                stride: 1,
                kind: AtomKind::Molecules(0.1),
            },
        ],
        channels: 1,
        code: [3, 4],
        sparse: (3, 1),
        dense: 40,
    },
];

/// A model with its dictionaries.
#[derive(Debug)]
pub struct Model {
    /// What it was made by.
    pub plan: &'static Plan,
    /// From the signal on.
    pub layers: Vec<Dictionary>,
}

impl Model {
    /// Draws the dictionaries of the model at `index`, by `seed`.
    pub fn new(plan: &'static Plan, seed: u64, index: usize) -> Self {
        let mut random = stream_of([seed, index as u64, DICTIONARIES, 0]);
        // A layer's signal is the code of the one before: sizes follow from the deepest.
        let mut code = plan.code;
        let mut codes = Vec::with_capacity(plan.layers.len());
        for layer in plan.layers.iter().rev() {
            codes.push(code);
            code = code.map(|side| (side - 1) * layer.stride + layer.kernel);
        }
        let mut channels = plan.channels;
        let layers = plan.layers.iter().zip(codes.into_iter().rev()).map(|(layer, code)| {
            let shape = [layer.atoms, channels, layer.kernel, layer.kernel];
            channels = layer.atoms;
            Dictionary::new(&layer.kind.draw(shape, &mut random), shape, layer.stride, code)
        });
        Self {
            plan,
            layers: layers.collect(),
        }
    }
}

impl AtomKind {
    /// Atoms `[n, c, k, k]`.
    fn draw(&self, shape: [usize; 4], random: &mut ChaCha8Rng) -> Vec<f64> {
        let [count, channels, kernel, _] = shape;
        let size = channels * kernel * kernel;
        match *self {
            AtomKind::Normal => normal(count * size, random),
            AtomKind::Equiangular(coherence) => {
                assert!(count < size, "{count} equiangular atoms of {size} values");
                let basis = orthonormal(count + 1, size, random);
                let (own, common) = ((1.0 - coherence).sqrt(), coherence.sqrt());
                let atom = |index: usize| {
                    let sign = sign(random);
                    let values = basis[index + 1].iter().zip(&basis[0]);
                    values
                        .map(|(one, shared)| sign * (own * one + common * shared))
                        .collect::<Vec<_>>()
                };
                (0..count).flat_map(atom).collect()
            }
            AtomKind::SpikesAndWalsh => {
                assert!(
                    size.is_power_of_two() && count == 2 * size,
                    "{count} spikes and Walsh functions on {size} values"
                );
                let spike = |atom: usize, place: usize| f64::from(atom == place);
                let walsh = |atom: usize, place: usize| match (atom & place).count_ones() % 2 {
                    0 => 1.0,
                    _ => -1.0,
                };
                let value = |index: usize| match (index / size, index % size) {
                    (atom, place) if atom < size => spike(atom, place),
                    (atom, place) => walsh(atom - size, place),
                };
                (0..count * size).map(value).collect()
            }
            AtomKind::Molecules(coherence) => {
                assert!(count < channels, "{count} molecules of {channels} atoms");
                let places = kernel * kernel;
                let mut weight = vec![0.0; count * size];
                for (atom, values) in weight.chunks_exact_mut(size).enumerate() {
                    let private = atom * places + below(random, places);
                    let shared = (channels - 1) * places + below(random, places);
                    values[private] = sign(random) * (1.0 - coherence).sqrt();
                    values[shared] = sign(random) * coherence.sqrt();
                }
                weight
            }
        }
    }
}

/// Independent values of N(0, 1).
pub(super) fn normal(count: usize, random: &mut ChaCha8Rng) -> Vec<f64> {
    (0..count).map(|_| StandardNormal.sample(random)).collect()
}

/// A whole number below `bound`; the bias, `bound/2⁶⁴`, is beyond measuring.
pub(super) fn below(random: &mut ChaCha8Rng, bound: usize) -> usize {
    ((u128::from(random.next_u64()) * bound as u128) >> 64) as usize
}

/// 1 or −1.
pub(super) fn sign(random: &mut ChaCha8Rng) -> f64 {
    match below(random, 2) {
        0 => 1.0,
        _ => -1.0,
    }
}

/// Orthonormal vectors of random directions (Gram & Schmidt, each twice).
fn orthonormal(count: usize, size: usize, random: &mut ChaCha8Rng) -> Vec<Vec<f64>> {
    let dot = |one: &[f64], other: &[f64]| one.iter().zip(other).map(|(one, other)| one * other).sum::<f64>();
    let mut basis: Vec<Vec<f64>> = Vec::with_capacity(count);
    for _ in 0..count {
        let mut vector = normal(size, random);
        for _ in 0..2 {
            for known in &basis {
                let share = dot(&vector, known);
                vector
                    .iter_mut()
                    .zip(known)
                    .for_each(|(value, known)| *value -= share * known);
            }
            let norm = dot(&vector, &vector).sqrt();
            vector.iter_mut().for_each(|value| *value /= norm);
        }
        basis.push(vector);
    }
    basis
}
