//! Noise against the distributions it is said to have. Values may be off by 5 standard errors, which a right program
//! exceeds once in two million comparisons; the draws are fixed, so that a test fails always or never.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use scn_data::{Corruption, DataError, DatasetKind, ImageSet, Noise, Split, corrupt, read, split_validation};

use crate::files::small_set;

const SHAPE: [usize; 3] = [3, 32, 32];
const GAUSSIAN: [f64; 5] = [0.04, 0.06, 0.08, 0.09, 0.10];
const SHOT: [f64; 5] = [500.0, 250.0, 100.0, 75.0, 50.0];
const SPECKLE: [f64; 5] = [0.06, 0.1, 0.12, 0.16, 0.2];
const IMPULSE: [f64; 5] = [0.01, 0.02, 0.03, 0.05, 0.07];

fn corruption(noise: Noise, severity: usize) -> Corruption {
    Corruption::new(noise, severity as u8).unwrap()
}

fn pixels(set: &ImageSet) -> Vec<u8> {
    (0..set.count())
        .flat_map(|position| set.image(position).to_vec())
        .collect()
}

/// 40 images of 3072 equal pixels, corrupted.
fn corrupted(pixel: u8, pixel_max: u8, noise: Noise, severity: usize) -> Vec<u8> {
    let set = ImageSet::new(SHAPE, pixel_max, vec![pixel; 40 * 3072], vec![0; 40]);
    pixels(&corrupt(&set, corruption(noise, severity), 11))
}

fn mean_and_variance(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let count = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / count;
    (mean, values.map(|value| (value - mean).powi(2)).sum::<f64>() / count)
}

/// Check a found value against the expected one with its standard error.
fn expect(what: &str, found: f64, expected: f64, error: f64) {
    assert!(
        (found - expected).abs() <= 5.0 * error + 1e-9,
        "{what}: {found}, expected {expected} ± {error}"
    );
}

/// How many pixels have each value.
struct Histogram([u64; 256]);

impl Histogram {
    fn new(pixels: &[u8]) -> Self {
        let mut counts = [0; 256];
        pixels.iter().for_each(|&pixel| counts[usize::from(pixel)] += 1);
        Histogram(counts)
    }

    /// Check the share of the pixels in a range; what has probability 0 or 1 must happen never or always.
    fn expect_share(&self, what: &str, range: RangeInclusive<u8>, expected: f64) {
        let pixels = self.0.iter().sum::<u64>() as f64;
        let among = &self.0[usize::from(*range.start())..=usize::from(*range.end())];
        let error = (expected * (1.0 - expected) / pixels).sqrt();
        // Where few pixels are expected, their number is far from normal: allow one pixel more a standard error.
        let few = if error > 0.0 { 1.0 / pixels } else { 0.0 };
        expect(
            &format!("{what}, pixels {range:?}"),
            among.iter().sum::<u64>() as f64 / pixels,
            expected,
            error + few,
        );
    }
}

/// The normal distribution function (Abramowitz & Stegun, 7.1.26), off by less than 10⁻⁷.
fn normal_below(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.3275911 * x.abs() / 2f64.sqrt());
    let coefficients = [1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592];
    let tail = coefficients.into_iter().fold(0.0, |sum, a| (sum + a) * t) * (-x * x / 2.0).exp() / 2.0;
    if x < 0.0 { tail } else { 1.0 - tail }
}

/// Probabilities of 0, 1, … of a Poisson variable, each from its logarithm.
fn poisson(mean: f64) -> Vec<f64> {
    let mut log = -mean;
    (1..2000)
        .map(|next| {
            let probability = log.exp();
            log += (mean / f64::from(next)).ln();
            probability
        })
        .collect()
}

/// Check that pixels are `from + deviation·N(0, 1)`, cut off and rounded down: a pixel is at most `b < pixel_max` if
/// the value was below `b + 1`.
fn expect_normal(what: &str, pixels: &[u8], from: f64, deviation: f64, pixel_max: u8) {
    let found = Histogram::new(pixels);
    for bound in 0..pixel_max {
        let expected = normal_below((f64::from(bound) + 1.0 - from) / deviation);
        found.expect_share(what, 0..=bound, expected);
    }
}

#[test]
fn gaussian_noise_is_normal() {
    for severity in 1..=5 {
        for pixel in [0, 5, 128, 250, 255] {
            let found = corrupted(pixel, 255, Noise::Gaussian, severity);
            let deviation = 255.0 * GAUSSIAN[severity - 1];
            let what = format!("severity {severity}, pixel {pixel}");
            expect_normal(&what, &found, f64::from(pixel), deviation, 255);
            if pixel == 128 {
                // Rounding down takes half a grey level on average and adds the variance of a uniform one.
                let (mean, variance) = mean_and_variance(found.iter().map(|&pixel| f64::from(pixel)));
                let (expected, count) = (deviation * deviation + 1.0 / 12.0, found.len() as f64);
                expect(&what, mean, 127.5, (expected / count).sqrt());
                expect(&what, variance, expected, expected * (2.0 / count).sqrt());
            }
        }
    }
}

#[test]
fn speckle_noise_grows_with_the_pixel() {
    for severity in 1..=5 {
        for pixel in [5, 100, 250, 255] {
            let found = corrupted(pixel, 255, Noise::Speckle, severity);
            let deviation = f64::from(pixel) * SPECKLE[severity - 1];
            let what = format!("severity {severity}, pixel {pixel}");
            expect_normal(&what, &found, f64::from(pixel), deviation, 255);
        }
        assert!(
            corrupted(0, 255, Noise::Speckle, severity)
                .iter()
                .all(|&pixel| pixel == 0)
        );
    }
}

#[test]
fn shot_noise_is_poisson() {
    for severity in 1..=5 {
        let c = SHOT[severity - 1];
        for pixel in [1, 5, 51, 128, 250, 255] {
            let found = Histogram::new(&corrupted(pixel, 255, Noise::Shot, severity));
            let mut expected = BTreeMap::new();
            for (count, probability) in poisson(f64::from(pixel) / 255.0 * c).into_iter().enumerate() {
                let byte = ((count as f64 / c).min(1.0) * 255.0).floor() as u8;
                *expected.entry(byte).or_insert(0.0) += probability;
            }
            for byte in 0..=255 {
                let probability = expected.get(&byte).copied().unwrap_or(0.0);
                let what = format!("severity {severity}, pixel {pixel}");
                found.expect_share(&what, byte..=byte, probability);
            }
        }
        assert!(corrupted(0, 255, Noise::Shot, severity).iter().all(|&pixel| pixel == 0));
    }
}

#[test]
fn shot_noise_has_the_mean_and_variance_of_counts() {
    // From severity 2 on, different counts give different pixels, so that the counts can be recovered.
    for severity in 2..=5 {
        let c = SHOT[severity - 1];
        let counts: BTreeMap<u8, f64> = (0..c as u32)
            .map(|count| ((f64::from(count) / c * 255.0).floor() as u8, f64::from(count)))
            .collect();
        assert_eq!(counts.len(), c as usize);
        let found = corrupted(102, 255, Noise::Shot, severity);
        let (mean, variance) = mean_and_variance(found.iter().map(|pixel| counts[pixel]));
        let (expected, images) = (0.4 * c, found.len() as f64);
        expect("mean", mean, expected, (expected / images).sqrt());
        // The fourth central moment of a Poisson variable is 3λ² + λ.
        let error = ((2.0 * expected * expected + expected) / images).sqrt();
        expect("variance", variance, expected, error);
    }
}

#[test]
fn impulse_noise_is_salt_and_pepper_value_by_value() {
    for severity in 1..=5 {
        let c = IMPULSE[severity - 1];
        let found = corrupted(100, 255, Noise::Impulse, severity);
        let what = format!("severity {severity}");
        Histogram::new(&found).expect_share(&what, 0..=0, c / 2.0);
        Histogram::new(&found).expect_share(&what, 255..=255, c / 2.0);
        assert!(found.iter().all(|pixel| [0, 100, 255].contains(pixel)));
        // Channels draw apart: both are hit with probability c², not c.
        let both: Vec<u8> = found
            .chunks_exact(3072)
            .flat_map(|image| (0..1024).map(|i| u8::from(image[i] != 100 && image[1024 + i] != 100)))
            .collect();
        Histogram::new(&both).expect_share("both channels", 1..=1, c * c);
    }
}

#[test]
fn pixels_that_impulse_noise_misses_stay() {
    // Every largest value there is: dividing by it and multiplying again is not always the identity.
    for pixel_max in 1..=255 {
        let all: Vec<u8> = (0..=pixel_max).collect();
        let set = ImageSet::new([1, 1, all.len()], pixel_max, all.clone(), vec![0]);
        let found = pixels(&corrupt(&set, corruption(Noise::Impulse, 1), 0));
        let changed = |(pixel, from): (&u8, &u8)| pixel != from && ![0, pixel_max].contains(pixel);
        assert!(!found.iter().zip(&all).any(changed), "{pixel_max}");
    }
}

#[test]
fn pixels_are_measured_by_their_largest_value() {
    for severity in 1..=5 {
        let gaussian = corrupted(8, 16, Noise::Gaussian, severity);
        expect_normal("gaussian", &gaussian, 8.0, 16.0 * GAUSSIAN[severity - 1], 16);
        let speckle = corrupted(12, 16, Noise::Speckle, severity);
        expect_normal("speckle", &speckle, 12.0, 12.0 * SPECKLE[severity - 1], 16);
        let impulse = corrupted(8, 16, Noise::Impulse, severity);
        Histogram::new(&impulse).expect_share("impulse", 16..=16, IMPULSE[severity - 1] / 2.0);
        // Counts of c and more are white.
        let c = SHOT[severity - 1];
        let white = 1.0 - poisson(c)[..c as usize].iter().sum::<f64>();
        let shot = corrupted(16, 16, Noise::Shot, severity);
        Histogram::new(&shot).expect_share("shot", 16..=16, white);
        for pixels in [gaussian, speckle, impulse, shot] {
            assert!(pixels.iter().all(|&pixel| pixel <= 16));
        }
    }
}

#[test]
fn draws_never_change() {
    // Computed by a separate program with its own ChaCha8.
    let ramp: Vec<u8> = (0..16).map(|i| 17 * i).collect();
    let set = ImageSet::new([1, 4, 4], 255, ramp.repeat(10_000), vec![0; 10_000]).select(&[0, 9999]);
    let expected = [
        (
            Noise::Gaussian,
            5,
            [0, 55, 1, 62, 78, 72, 111, 133, 183, 131, 158, 209, 184, 184, 205, 255],
            [4, 11, 53, 49, 36, 73, 121, 100, 136, 186, 193, 215, 161, 189, 255, 255],
        ),
        (
            Noise::Shot,
            4,
            [0, 13, 17, 78, 51, 98, 88, 119, 149, 163, 197, 187, 210, 204, 207, 248],
            [0, 6, 30, 40, 61, 119, 78, 105, 153, 125, 193, 210, 210, 227, 207, 255],
        ),
        (
            Noise::Speckle,
            3,
            [0, 20, 39, 50, 65, 81, 111, 99, 118, 132, 148, 180, 240, 208, 255, 255],
            [0, 19, 31, 45, 68, 83, 95, 113, 110, 149, 175, 184, 160, 188, 250, 255],
        ),
    ];
    for (noise, severity, first, last) in expected {
        let found = corrupt(&set, corruption(noise, severity), 7);
        assert_eq!((found.image(0), found.image(1)), (&first[..], &last[..]), "{noise}");
    }

    let grey = ImageSet::new([3, 8, 8], 255, vec![128; 192], vec![0]);
    let found = pixels(&corrupt(&grey, corruption(Noise::Impulse, 3), 7));
    let hit: Vec<(usize, u8)> = found
        .into_iter()
        .enumerate()
        .filter(|&(_, pixel)| pixel != 128)
        .collect();
    assert_eq!(hit, [(33, 0), (56, 255), (94, 0), (95, 255)]);

    let digits = ImageSet::new([1, 1, 17], 16, (0..=16).collect::<Vec<u8>>().repeat(4), vec![0; 4]).select(&[3]);
    let found = pixels(&corrupt(&digits, corruption(Noise::Gaussian, 5), u64::MAX));
    assert_eq!(found, [0, 2, 1, 3, 2, 5, 6, 9, 9, 6, 12, 10, 9, 14, 14, 16, 13]);
}

#[test]
fn an_image_gets_its_noise_in_every_set() {
    let set = small_set(50, [3, 4, 5], 7);
    for noise in Noise::ALL {
        let whole = corrupt(&set, corruption(noise, 5), 3);
        assert_eq!((whole.count(), whole.shape(), whole.pixel_max()), (50, [3, 4, 5], 255));
        assert_ne!(pixels(&whole), pixels(&set), "{noise}");
        // Out of order, and one image twice.
        let positions = [49, 3, 17, 3];
        let part = corrupt(&set.select(&positions), corruption(noise, 5), 3);
        assert_eq!(part.count(), 4);
        for (position, from) in positions.into_iter().enumerate() {
            assert_eq!(part.image(position), whole.image(from), "{noise}");
            assert_eq!(
                (part.label(position), part.record(position)),
                (set.label(from), from as u32)
            );
        }
        // A part of a part still knows its records.
        let again = part.select(&[2, 0]);
        assert_eq!((again.record(0), again.record(1)), (17, 49));
        assert_eq!((again.image(0), again.label(1)), (whole.image(17), set.label(49)));
    }
}

#[test]
fn noise_depends_on_seed_severity_noise_and_record() {
    let set = ImageSet::new(SHAPE, 255, vec![128; 2 * 3072], vec![0; 2]);
    let mut seen = Vec::new();
    for noise in Noise::ALL {
        for severity in 1..=5 {
            for seed in [0, 1] {
                let found = corrupt(&set, corruption(noise, severity), seed);
                assert_eq!(
                    pixels(&found),
                    pixels(&corrupt(&set, corruption(noise, severity), seed))
                );
                seen.extend([found.image(0).to_vec(), found.image(1).to_vec()]);
            }
        }
    }
    assert_eq!(seen.len(), 80);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 80);
}

#[test]
fn real_images_lose_more_by_higher_severities() {
    let train = read(DatasetKind::Digits, Split::Train, "".as_ref()).unwrap();
    let (_, digits) = split_validation(&train, 300, 0).unwrap();
    let digits = digits.unwrap();
    for noise in Noise::ALL {
        let mut last = 0.0;
        for severity in 1..=5 {
            let found = corrupt(&digits, corruption(noise, severity), 0);
            for position in 0..digits.count() {
                assert_eq!(
                    (found.label(position), found.record(position)),
                    (digits.label(position), digits.record(position))
                );
            }
            let (before, after) = (pixels(&digits), pixels(&found));
            assert!(after.iter().all(|&pixel| pixel <= 16));
            let difference = before.iter().zip(&after).map(|(&a, &b)| f64::from(a) - f64::from(b));
            let loss = difference.map(|difference| difference * difference).sum();
            assert!(loss > last, "{noise} of severity {severity}: {loss} after {last}");
            last = loss;
        }
    }
}

#[test]
fn noises_are_named() {
    let names = ["gaussian", "shot", "speckle", "impulse"];
    for (noise, name) in Noise::ALL.into_iter().zip(names) {
        assert_eq!((noise.name(), noise.to_string().as_str()), (name, name));
        assert_eq!(name.parse::<Noise>().unwrap(), noise);
        assert_eq!(serde_json::to_string(&noise).unwrap(), format!("{name:?}"));
    }
    let error = "Gaussian".parse::<Noise>().unwrap_err();
    assert!(matches!(&error, DataError::UnknownNoise { name, .. } if name == "Gaussian"));
    assert_eq!(
        error.to_string(),
        "there is no noise \"Gaussian\": choose one of gaussian, shot, speckle, impulse"
    );
}

#[test]
fn severities_are_1_to_5() {
    for severity in 1..=5 {
        let corruption = Corruption::new(Noise::Shot, severity).unwrap();
        assert_eq!((corruption.noise, corruption.severity), (Noise::Shot, severity));
    }
    for severity in [0, 6, 255] {
        assert_eq!(
            Corruption::new(Noise::Shot, severity).unwrap_err().to_string(),
            format!("a corruption of severity {severity} does not exist: choose 1 (weakest) to 5 (strongest)")
        );
    }
}
