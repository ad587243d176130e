//! The pursuits of a multi-layer model: layer by layer (layered thresholding and layered basis pursuit: Papyan, Romano &
//! Elad, arXiv:1607.08194) or all layers at once (ML-ISTA, ML-FISTA and ML-LISTA: Sulam, Aberdam, Beck & Elad,
//! arXiv:1806.00701, algorithms 1 and 2).

use burn::tensor::Tensor;
use scn_ops::{Acceleration, proximal_gradient};

use super::step::Step;

scn_keys::names! {
    /// How the codes of all layers are found, `model.pursuit`.
    pub enum Pursuit {
        /// One step from 0 in each layer.
        Thresholding = "thresholding",
        /// More steps of ISTA in a layer before the next.
        Ista = "ista",
        /// The same by FISTA.
        Fista = "fista",
        /// In every iteration the signals of all codes from the deepest one, then a step in each layer.
        MlIsta = "ml-ista",
        /// The same, from an extrapolated deepest code.
        MlFista = "ml-fista",
        /// That of ML-ISTA with encoders of their own that are learned.
        MlLista = "ml-lista",
        /// Each layer to convergence before the next.
        BasisPursuit = "basis-pursuit",
    }
}

impl Pursuit {
    /// The codes of all layers of `x [b, c, h, w]`, each the signal of the next: `[b, n, h', w']`.
    pub(super) fn codes(self, steps: &[Step], x: &Tensor<4>, unfoldings: usize) -> Vec<Tensor<4>> {
        match self {
            Pursuit::Thresholding | Pursuit::BasisPursuit => layered(steps, x, 0, Acceleration::None),
            Pursuit::Ista => layered(steps, x, unfoldings, Acceleration::None),
            Pursuit::Fista => layered(steps, x, unfoldings, Acceleration::Nesterov),
            Pursuit::MlIsta | Pursuit::MlLista => multi_layer(steps, x, unfoldings, Acceleration::None),
            Pursuit::MlFista => multi_layer(steps, x, unfoldings, Acceleration::Nesterov),
        }
    }

    /// Whether unfoldings have a part in it.
    pub(super) fn unfolds(self) -> bool {
        match self {
            Pursuit::Thresholding | Pursuit::BasisPursuit => false,
            Pursuit::Ista | Pursuit::Fista | Pursuit::MlIsta | Pursuit::MlFista | Pursuit::MlLista => true,
        }
    }
}

/// Each layer after so many iterations behind the first estimate.
fn layered(steps: &[Step], x: &Tensor<4>, iterations: usize, acceleration: Acceleration) -> Vec<Tensor<4>> {
    let mut codes = Vec::with_capacity(steps.len());
    for step in steps {
        let signal = codes.last().unwrap_or(x).clone();
        let first = step.first(signal.clone());
        let next = |point| step.step(signal.clone(), point);
        codes.push(proximal_gradient(first, iterations, acceleration, next));
    }
    codes
}

/// All layers after so many iterations behind the first estimate. The deepest codes are those that iterate: all others
/// follow from them.
fn multi_layer(steps: &[Step], x: &Tensor<4>, iterations: usize, acceleration: Acceleration) -> Vec<Tensor<4>> {
    let mut codes = layered(steps, x, 0, Acceleration::None);
    let Some(first) = codes.last().cloned() else {
        return codes;
    };
    proximal_gradient(first, iterations, acceleration, |point| {
        let points = points(steps, &codes, point.values());
        for (layer, step) in steps.iter().enumerate() {
            let point = points[layer].clone();
            codes[layer] = match layer.checked_sub(1) {
                None => step.step(x.clone(), point),
                // The point before a layer is the signal of the layer's own.
                Some(before) => step.step_of_signal(codes[before].clone(), point, points[before].clone()),
            };
        }
        codes[steps.len() - 1].clone()
    });
    codes
}

/// The points that the steps of all layers are taken from: on the way down from the deepest one, each the signal of the
/// next. `codes` have their shapes.
fn points(steps: &[Step], codes: &[Tensor<4>], deepest: Tensor<4>) -> Vec<Tensor<4>> {
    let mut points = vec![deepest];
    for layer in (1..steps.len()).rev() {
        let [_, _, height, width] = codes[layer - 1].dims();
        let signal = steps[layer].signal(points[points.len() - 1].clone(), [height, width]);
        points.push(signal);
    }
    points.reverse();
    points
}
