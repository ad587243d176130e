//! Mean subtraction and division against a two-pass computation in f64.

use scn_data::{DataError, ImageSet, Loader, MeanSubtraction, Normalization};
use serde_json::json;

use crate::files::small_set;

const SHAPE: [usize; 3] = [3, 4, 5];

fn normalized(set: &ImageSet, normalization: &Normalization) -> Vec<Vec<f32>> {
    let mut image = vec![0.0; set.shape().iter().product()];
    (0..set.count())
        .map(|position| {
            normalization.apply(set.image(position), &mut image);
            image.clone()
        })
        .collect()
}

/// Mean and standard deviation of values picked by (image, offset).
fn moments(images: &[Vec<f32>], keep: impl Fn(usize) -> bool) -> (f64, f64) {
    let values = || {
        images
            .iter()
            .flat_map(|image| image.iter().enumerate())
            .filter(|(i, _)| keep(*i))
            .map(|(_, &v)| f64::from(v))
    };
    let count = values().count() as f64;
    let mean = values().sum::<f64>() / count;
    (
        mean,
        (values().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt(),
    )
}

#[test]
fn channels_have_zero_mean_and_unit_deviation() {
    let set = small_set(97, SHAPE, 3);
    for divide in [false, true] {
        let normalization = Normalization::fit(&set, MeanSubtraction::PerChannel, divide);
        assert_eq!((normalization.mean().len(), normalization.deviation().len()), (3, 3));
        let images = normalized(&set, &normalization);
        for channel in 0..3 {
            let (mean, deviation) = moments(&images, |offset| offset / 20 == channel);
            assert!(mean.abs() < 1e-6, "mean {mean}");
            assert_eq!(divide, (deviation - 1.0).abs() < 1e-6, "deviation {deviation}");
        }
    }
}

#[test]
fn every_pixel_has_zero_mean() {
    let set = small_set(97, SHAPE, 3);
    let normalization = Normalization::fit(&set, MeanSubtraction::PerPixel, true);
    assert_eq!(normalization.mean().len(), 60);
    let images = normalized(&set, &normalization);
    for pixel in 0..60 {
        let (mean, _) = moments(&images, |offset| offset == pixel);
        assert!(mean.abs() < 1e-6, "pixel {pixel}: mean {mean}");
    }
    for channel in 0..3 {
        let (_, deviation) = moments(&images, |offset| offset / 20 == channel);
        assert!((deviation - 1.0).abs() < 1e-6, "deviation {deviation}");
    }
}

#[test]
fn no_mean_leaves_pixels_between_zero_and_one() {
    let set = ImageSet::new([1, 1, 3], 16, vec![0, 4, 16], vec![0]);
    let normalization = Normalization::fit(&set, MeanSubtraction::None, false);
    assert_eq!(normalized(&set, &normalization), [[0.0, 0.25, 1.0]]);
}

#[test]
fn a_constant_channel_is_divided_by_one() {
    let set = ImageSet::new([2, 1, 2], 255, vec![51, 51, 0, 255], vec![0]);
    let normalization = Normalization::fit(&set, MeanSubtraction::PerChannel, true);
    assert_eq!(normalization.deviation(), [1.0, 0.5]);
    assert_eq!(normalization.mean(), [0.2, 0.5]);
}

#[test]
fn only_the_training_set_counts() {
    let set = small_set(50, SHAPE, 5);
    let part = set.select(&[3, 8, 40]);
    let images: Vec<u8> = [3, 8, 40].into_iter().flat_map(|i| set.image(i).to_vec()).collect();
    let copy = ImageSet::new(SHAPE, 255, images, vec![0; 3]);
    for subtraction in [MeanSubtraction::PerChannel, MeanSubtraction::PerPixel] {
        let fit = |set| Normalization::fit(set, subtraction, true);
        assert_eq!(fit(&part), fit(&copy));
        assert_ne!(fit(&part), fit(&set));
    }
}

#[test]
fn statistics_of_other_images_are_refused() {
    let normalization = Normalization::fit(&small_set(4, [1, 8, 8], 2), MeanSubtraction::PerChannel, false);
    let error = Loader::evaluation(small_set(4, [1, 28, 28], 2), normalization, None, 2).unwrap_err();
    assert!(
        matches!(
            error,
            DataError::Shape {
                found: [1, 8, 8],
                expected: [1, 28, 28],
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn stored_statistics_come_back_and_are_checked() {
    for subtraction in [
        MeanSubtraction::None,
        MeanSubtraction::PerChannel,
        MeanSubtraction::PerPixel,
    ] {
        let normalization = Normalization::fit(&small_set(9, SHAPE, 3), subtraction, true);
        let stored = serde_json::to_value(&normalization).unwrap();
        assert_eq!(serde_json::from_value::<Normalization>(stored).unwrap(), normalization);
    }
    let stored = json!({ "shape": [1, 2, 2], "pixel_max": 255, "mean": [0.5], "deviation": [1.0] });
    assert!(serde_json::from_value::<Normalization>(stored.clone()).is_ok());
    let huge = usize::MAX;
    for (key, value) in [
        ("shape", json!([0, 2, 2])),
        ("shape", json!([1, huge, 2])),
        ("shape", json!([2, 2, 2])),
        ("pixel_max", json!(0)),
        ("mean", json!([0.5, 0.5])),
        ("deviation", json!([0.0])),
        ("deviation", json!([])),
    ] {
        let mut damaged = stored.clone();
        damaged[key] = value;
        let message = serde_json::from_value::<Normalization>(damaged)
            .unwrap_err()
            .to_string();
        assert!(message.contains("does not fit images of shape"), "{message}");
    }
}

#[test]
fn given_statistics_are_checked_as_stored_ones_are() {
    let mut values = vec![0.0; 4];
    let given = Normalization::given([2, 1, 2], 200, vec![0.25, 0.5], vec![0.5, 1.0]).unwrap();
    given.apply(&[0, 100, 100, 200], &mut values);
    assert_eq!(values, [-0.5, 0.5, 0.0, 0.5]);
    for (mean, deviation) in [(vec![0.5], vec![1.0; 2]), (vec![0.5; 2], vec![1.0, -1.0])] {
        let message = Normalization::given([2, 1, 2], 200, mean, deviation)
            .unwrap_err()
            .to_string();
        assert!(message.contains("does not fit images of shape [2, 1, 2]"), "{message}");
    }
}
