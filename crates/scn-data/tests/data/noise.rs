//! Noise in the shape of a dataset.

use scn_data::{DatasetKind, noise};

#[test]
fn noise_has_the_shape_of_the_dataset_and_depends_on_the_seed() {
    for kind in DatasetKind::ALL {
        let (info, set) = (kind.info(), noise(kind, 200, 3));
        assert_eq!(
            (set.count(), set.shape(), set.pixel_max()),
            (200, info.shape, info.pixel_max)
        );
        assert!((0..200).all(|image| usize::from(set.label(image)) < kind.classes()));
        let pixels: Vec<u8> = (0..200).flat_map(|image| set.image(image).to_vec()).collect();
        assert_eq!(pixels.iter().max(), Some(&info.pixel_max));
        let mean = pixels.iter().map(|&pixel| f64::from(pixel)).sum::<f64>() / pixels.len() as f64;
        let half = f64::from(info.pixel_max) / 2.0;
        assert!((mean / half - 1.0).abs() < 0.05, "{kind}: mean {mean}");
        assert_eq!(set.image(7), noise(kind, 200, 3).image(7));
        assert_ne!(set.image(7), noise(kind, 200, 4).image(7));
    }
}
