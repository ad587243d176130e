//! Values of options that several commands take.

use clap::builder::{RangedU64ValueParser, TypedValueParser};

/// Accepts whole numbers from `least` to a million.
pub(crate) fn count(least: u64) -> impl TypedValueParser<Value = usize> {
    RangedU64ValueParser::<usize>::new().range(least..=1_000_000)
}
