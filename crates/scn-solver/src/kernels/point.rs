//! Where a step of FISTA is taken from (Beck & Teboulle, 2009): beyond the last codes by a part of their last change. Steps
//! form it where they read it; it is not written.

use std::ops::Range;

/// `γ + factor·(γ − previous)`, or γ alone.
#[derive(Clone, Copy, Debug)]
pub struct Point<'a> {
    /// γ.
    pub codes: &'a [f32],
    /// What lies before them.
    pub momentum: Option<Momentum<'a>>,
}

/// The last change of codes, and how much of it is added once more.
#[derive(Clone, Copy, Debug)]
pub struct Momentum<'a> {
    /// The codes before the last, as many.
    pub previous: &'a [f32],
    /// How far beyond the last.
    pub factor: f32,
}

impl<'a> From<&'a [f32]> for Point<'a> {
    fn from(codes: &'a [f32]) -> Self {
        Self { codes, momentum: None }
    }
}

impl Momentum<'_> {
    /// The point beyond one code.
    #[inline(always)]
    pub(super) fn beyond(&self, code: f32, previous: f32) -> f32 {
        code + (code - previous) * self.factor
    }
}

impl<'a> Point<'a> {
    /// A range of its values, in `scratch` where they lie nowhere.
    #[inline(always)]
    pub(super) fn values<'s>(&self, range: Range<usize>, scratch: &'s mut Vec<f32>) -> &'s [f32]
    where
        'a: 's,
    {
        let codes = &self.codes[range.clone()];
        match &self.momentum {
            None => codes,
            Some(momentum) => {
                scratch.resize(codes.len(), 0.0);
                let pairs = codes.iter().zip(&momentum.previous[range]);
                for (value, (&code, &previous)) in scratch.iter_mut().zip(pairs) {
                    *value = momentum.beyond(code, previous);
                }
                scratch
            }
        }
    }

    /// # Panics
    /// Where the values before are not as many.
    pub(super) fn check(&self) {
        if let Some(momentum) = &self.momentum {
            assert_eq!(
                self.codes.len(),
                momentum.previous.len(),
                "values of the codes (left) and of those before (right)"
            );
        }
    }
}
