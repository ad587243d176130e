//! The proximal gradient method: ISTA, and FISTA, which extrapolates (Beck & Teboulle, 2009).

use burn::tensor::Tensor;

use crate::proximal::extrapolate;

/// Where a step is taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acceleration {
    /// The last codes: ISTA.
    None,
    /// A point beyond them, by [`momentum`]: FISTA.
    Nesterov,
}

/// The codes `[b, n, h', w']` after so many iterations from those of the first step, each of which makes the next codes of
/// the point that `step` is given.
pub fn proximal_gradient(
    first: Tensor<4>,
    iterations: usize,
    acceleration: Acceleration,
    mut step: impl FnMut(Tensor<4>) -> Tensor<4>,
) -> Tensor<4> {
    let (mut codes, mut previous) = (first.clone(), first);
    for factor in momentum(acceleration).take(iterations) {
        let point = extrapolated(&codes, previous, factor);
        previous = codes;
        codes = step(point);
    }
    codes
}

/// How far the steps behind the first are taken beyond the last codes, in units of the last change; FISTA starts from 0.
pub(crate) fn momentum(acceleration: Acceleration) -> impl Iterator<Item = f64> {
    std::iter::successors(Some((0.0, 1.0f64)), move |&(_, last)| {
        let next = (1.0 + (1.0 + 4.0 * last * last).sqrt()) / 2.0;
        let factor = match acceleration {
            Acceleration::None => 0.0,
            Acceleration::Nesterov => (last - 1.0) / next,
        };
        Some((factor, next))
    })
    .skip(1)
    .map(|(factor, _)| factor)
}

/// The point that a step is taken from.
pub(crate) fn extrapolated(codes: &Tensor<4>, previous: Tensor<4>, factor: f64) -> Tensor<4> {
    match factor == 0.0 {
        true => codes.clone(),
        false => extrapolate(codes.clone(), previous, factor),
    }
}
