//! What a value may be.

/// The values that a key takes, and how messages call them.
pub struct Range<T> {
    expected: String,
    allows: Box<dyn Fn(&T) -> bool>,
}

impl<T> Range<T> {
    /// In words, as they follow "expected".
    pub fn expected(&self) -> &str {
        &self.expected
    }

    /// Whether it holds the value.
    pub fn allows(&self, value: &T) -> bool {
        (self.allows)(value)
    }
}

/// A whole number without a sign.
pub trait Whole: Copy + 'static {
    /// The same number.
    fn wide(self) -> u64;
}

impl Whole for usize {
    fn wide(self) -> u64 {
        self as u64
    }
}

impl Whole for u64 {
    fn wide(self) -> u64 {
        self
    }
}

/// Any other range: what is expected, in words, and what is allowed.
pub fn range<T>(expected: impl Into<String>, allows: impl Fn(&T) -> bool + 'static) -> Range<T> {
    Range {
        expected: expected.into(),
        allows: Box::new(allows),
    }
}

/// Whole numbers from `least` to `most`.
pub fn whole<T: Whole>(least: u64, most: u64) -> Range<T> {
    range(format!("a whole number from {least} to {most}"), move |number: &T| {
        (least..=most).contains(&number.wide())
    })
}

/// Whole numbers from `least` on.
pub fn at_least<T: Whole>(least: u64) -> Range<T> {
    range(format!("a whole number, at least {least}"), move |number: &T| {
        number.wide() >= least
    })
}

/// Finite numbers from `least` on.
pub fn finite_at_least(least: f64) -> Range<f64> {
    range(format!("a finite number, at least {least}"), move |number: &f64| {
        number.is_finite() && *number >= least
    })
}

/// Finite numbers above 0.
pub fn positive() -> Range<f64> {
    range("a finite number above 0", |number: &f64| {
        number.is_finite() && *number > 0.0
    })
}

/// Numbers from 0 to below 1.
pub fn below_one() -> Range<f64> {
    range("a number from 0 to below 1", |number: &f64| (0.0..1.0).contains(number))
}

/// Numbers between 0 and 1, neither of them.
pub fn between_zero_and_one() -> Range<f64> {
    range("a number above 0 and below 1", |number: &f64| {
        *number > 0.0 && *number < 1.0
    })
}
