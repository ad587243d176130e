//! Values of options that several commands take.

use clap::builder::{RangedU64ValueParser, TypedValueParser};
use scn_data::Split;
use scn_train::DataConfig;

use crate::exit::Usage;

/// Accepts whole numbers from `least` to a million.
pub(crate) fn count(least: u64) -> impl TypedValueParser<Value = usize> {
    RangedU64ValueParser::<usize>::new().range(least..=1_000_000)
}

/// A length above 0, as in `0.03` or `8/255`.
pub(crate) fn length(text: &str) -> Result<f64, String> {
    let number = |text: &str| text.trim().parse::<f64>().ok();
    let value = match text.split_once('/') {
        Some((above, below)) => number(above).zip(number(below)).map(|(above, below)| above / below),
        None => number(text),
    };
    value
        .filter(|value| value.is_finite() && *value > 0.0)
        .ok_or_else(|| "expected a finite number above 0, as in 0.03 or 8/255".into())
}

/// Takes so many test images, if given.
pub(crate) fn limit_test(data: &mut DataConfig, images: Option<usize>) -> Result<(), Usage> {
    let Some(images) = images else { return Ok(()) };
    let available = data.dataset.info().images(Split::Test);
    if !(1..=available).contains(&images) {
        let message = format!("--test-images {images}: {} has {available} test images", data.dataset);
        return Err(Usage(format!("{message}: expected 1 to {available}")));
    }
    data.test_images = Some(images);
    Ok(())
}
