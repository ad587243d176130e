//! The two number types of the crate, `f32` and `f64`, behind the arithmetic that the reference solvers need.

use std::fmt::Debug;
use std::ops::{Add, AddAssign, Div, Mul, Sub};

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// A floating-point number: `f32` or `f64`. Sealed.
pub trait Scalar:
    sealed::Sealed
    + Copy
    + Debug
    + Send
    + Sync
    + 'static
    + PartialOrd
    + Add<Output = Self>
    + AddAssign
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
{
    /// The number 0.
    const ZERO: Self;
    /// The distance from 1 to the next larger number.
    const EPSILON: f64;
    /// The largest k such that 2ᵏ and 2⁻ᵏ are both normal numbers.
    const LARGEST_EXPONENT: i32;

    /// Rounds to the nearest number of this type.
    fn from_f64(value: f64) -> Self;

    /// The same number in double precision.
    fn to_f64(self) -> f64;

    /// `max(0, self)`; NaN stays NaN, so that an overflow shows in the certificate.
    fn positive_part(self) -> Self {
        if self < Self::ZERO { Self::ZERO } else { self }
    }
}

impl Scalar for f32 {
    const ZERO: Self = 0.0;
    const EPSILON: f64 = f32::EPSILON as f64;
    const LARGEST_EXPONENT: i32 = 126;

    fn from_f64(value: f64) -> Self {
        value as f32
    }

    fn to_f64(self) -> f64 {
        f64::from(self)
    }
}

impl Scalar for f64 {
    const ZERO: Self = 0.0;
    const EPSILON: f64 = f64::EPSILON;
    const LARGEST_EXPONENT: i32 = 1022;

    fn from_f64(value: f64) -> Self {
        value
    }

    fn to_f64(self) -> f64 {
        self
    }
}
