//! The keys of ML-CSC networks.

use super::Pursuit;

/// Most atoms of a layer, and the largest side of a window, stride and pooling: bounds on what a typing mistake can
/// allocate.
const MAX_ATOMS: usize = 4096;
const MAX_SIDE: usize = 31;

scn_keys::names! {
    /// Where step sizes come from, `model.step_size`.
    pub enum StepSize {
        /// One a layer is learned, from 1; what a step subtracts from codes is the threshold as it is learned.
        Learned = "learned",
        /// 0.9/‖D‖², as the dictionary moves; a step subtracts its size times the threshold.
        Norm = "norm",
    }
}

scn_keys::table! {
    /// The keys of ML-CSC networks.
    pub struct MlCscConfig {
        /// ML-CSC: how codes are found; `thresholding` makes the first estimate only, `basis-pursuit` solves each layer.
        pub pursuit: Pursuit = default(Pursuit::MlIsta),
        /// Iterations after the first estimate of the codes; with 0 the network is feed-forward.
        pub unfoldings: usize = default(1).within(whole(0, 1000)),
        /// ML-CSC: the dictionaries from the image on, each [atoms, kernel, stride, padding].
        pub layers: Vec<[usize; 4]> = default(vec![[16, 4, 2, 1], [64, 4, 2, 1]]).within(range(
            format!(
                "a list of [atoms, kernel, stride, padding], at least one, with 1 to {MAX_ATOMS} atoms, a kernel and a \
                 stride from 1 to {MAX_SIDE} and a padding smaller than the kernel"
            ),
            |layers: &Vec<[usize; 4]>| {
                let allowed = |&[atoms, kernel, stride, padding]: &[usize; 4]| {
                    (1..=MAX_ATOMS).contains(&atoms)
                        && [kernel, stride].iter().all(|side| (1..=MAX_SIDE).contains(side))
                        && padding < kernel
                };
                !layers.is_empty() && layers.iter().all(allowed)
            },
        )),
        /// ML-CSC: convolutions with ReLU between the deepest codes and the classifier, each [filters, kernel, padding, pooling].
        pub convolutions: Vec<[usize; 4]> = default(Vec::new()).within(range(
            format!(
                "a list of [filters, kernel, padding, pooling] with 1 to {MAX_ATOMS} filters, a kernel and a side of the \
                 max pooling from 1 to {MAX_SIDE} and a padding smaller than the kernel"
            ),
            |convolutions: &Vec<[usize; 4]>| {
                convolutions.iter().all(|&[filters, kernel, padding, pooling]| {
                    (1..=MAX_ATOMS).contains(&filters)
                        && [kernel, pooling].iter().all(|side| (1..=MAX_SIDE).contains(side))
                        && padding < kernel
                })
            },
        )),
        /// ML-CSC: whether codes are non-negative.
        pub non_negative: bool = default(true),
        /// ML-CSC: whether the size of steps is learned, or follows from the norm of the dictionary.
        pub step_size: StepSize = default(StepSize::Learned),
        /// The thresholds of the codes.
        pub threshold: ThresholdConfig = table(),
        /// Solves to convergence.
        pub basis_pursuit: BasisPursuitConfig = table(),
    }
}

scn_keys::table! {
    /// The thresholds of the codes, `model.threshold`.
    #[derive(Copy)]
    pub struct ThresholdConfig {
        /// ML-CSC: the threshold before training; the biases of the published networks are thresholds of the other sign.
        pub initial: Option<f64> = unset("the minimum; 0 without one").within(range("a finite number", |threshold: &f64| {
            threshold.is_finite()
        })),
        /// ML-CSC: one threshold for each atom, not for each layer.
        pub per_atom: bool = default(true),
        /// ML-CSC: whether training changes thresholds.
        pub learned: bool = default(true),
        /// ML-CSC: the least that training may make of a threshold, so that a sparse prior is kept.
        pub minimum: Option<f64> = unset("none, of either sign; 0 for signed codes and basis pursuit")
            .within(finite_at_least(0.0)),
    }
}

impl ThresholdConfig {
    /// The threshold before training.
    pub(super) fn first(&self) -> f64 {
        self.initial.or(self.minimum).unwrap_or(0.0)
    }
}

scn_keys::table! {
    /// Solves to convergence, `model.basis_pursuit`.
    #[derive(Copy)]
    pub struct BasisPursuitConfig {
        /// ML-CSC: basis pursuit solves codes to this relative residual and differentiates them there.
        pub tolerance: f64 = default(1e-4).within(finite_at_least(0.0)),
        /// ML-CSC: iterations after which such a solve stops anyway, forward and backward.
        pub max_iterations: usize = default(500).within(whole(1, 1_000_000)),
        /// ML-CSC: the ridge of the elastic net, which makes codes of any dictionary unique.
        pub mu: f64 = default(0.0).within(finite_at_least(0.0)),
    }
}
