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

/// What a step is taken from: `γ + factor·(γ − previous)`, or γ alone.
#[derive(Clone, Debug)]
pub struct Point {
    /// γ `[b, n, h', w']`.
    pub(crate) codes: Tensor<4>,
    /// The codes before them, of the same shape, and the factor.
    pub(crate) momentum: Option<(Tensor<4>, f64)>,
}

impl From<Tensor<4>> for Point {
    fn from(codes: Tensor<4>) -> Self {
        Self { codes, momentum: None }
    }
}

impl Point {
    /// The point beyond `codes`, which are of one shape with those before.
    pub(crate) fn beyond(codes: Tensor<4>, previous: Tensor<4>, factor: f64) -> Self {
        Self {
            codes,
            momentum: (factor != 0.0).then_some((previous, factor)),
        }
    }

    /// Its values `[b, n, h', w']`. [`crate::ProximalStep::step`] does without them where it can.
    pub fn values(self) -> Tensor<4> {
        match self.momentum {
            None => self.codes,
            Some((previous, factor)) => extrapolate(self.codes, previous, factor),
        }
    }
}

/// The codes `[b, n, h', w']` after so many iterations from those of the first step, each of which makes the next codes of
/// the point that `step` is given.
pub fn proximal_gradient(
    first: Tensor<4>,
    iterations: usize,
    acceleration: Acceleration,
    mut step: impl FnMut(Point) -> Tensor<4>,
) -> Tensor<4> {
    let (mut codes, mut previous) = (first.clone(), first);
    for factor in momentum(acceleration).take(iterations) {
        let next = step(Point::beyond(codes.clone(), previous, factor));
        previous = std::mem::replace(&mut codes, next);
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
