//! Patches of folders and datasets, and how they are whitened.

use std::fs;
use std::path::Path;

use scn_data::{
    Color, DataError, DatasetKind, Draw, PatchShape, PatchSource, Pool, Split, Whitening, WhiteningKind, read,
};

/// Writes a PNG whose pixel at (x, y) is `color(x, y)`.
fn picture(path: &Path, width: u32, height: u32, color: impl Fn(u32, u32) -> [u8; 3]) {
    let picture = image::RgbImage::from_fn(width, height, |x, y| image::Rgb(color(x, y)));
    picture.save(path).unwrap();
}

fn shape(side: usize, color: Color) -> PatchShape {
    PatchShape { side, color }
}

#[test]
fn patches_are_windows_of_the_images_at_every_place() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("below")).unwrap();
    picture(&folder.path().join("a.png"), 5, 4, |x, y| [(10 * y + x) as u8, 100, 0]);
    picture(&folder.path().join("below/b.PNG"), 3, 3, |x, y| {
        [(100 + 10 * y + x) as u8, 100, 0]
    });
    fs::write(folder.path().join("README.txt"), "no image").unwrap();
    let source = PatchSource::folder(folder.path(), shape(2, Color::Rgb)).unwrap();
    assert_eq!(source.count(), 2);
    let pool = Pool::load(&source, WhiteningKind::None, 0, 0).unwrap();
    let patches = pool.draw(Draw::Start, 4000, 7);
    let mut counts = std::collections::BTreeMap::new();
    for patch in patches.chunks_exact(12) {
        let pixels: Vec<u8> = patch.iter().map(|value| (255.0 * value).round() as u8).collect();
        let first = pixels[0];
        assert_eq!(pixels[..4], [first, first + 1, first + 10, first + 11]);
        assert_eq!(pixels[4..], [100, 100, 100, 100, 0, 0, 0, 0]);
        *counts.entry(first).or_insert(0) += 1;
    }
    let places = [0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23, 100, 101, 110, 111];
    assert_eq!(counts.keys().copied().collect::<Vec<_>>(), places);
    // 250 are expected at each place, with a deviation of 15.
    assert!(counts.values().all(|count| (175..325).contains(count)), "{counts:?}");
}

#[test]
fn grey_patches_are_the_luma_of_colours() {
    let folder = tempfile::tempdir().unwrap();
    picture(&folder.path().join("a.png"), 2, 1, |x, _| [200 * x as u8, 100, 50]);
    let source = PatchSource::folder(folder.path(), shape(1, Color::Grey)).unwrap();
    let pool = Pool::load(&source, WhiteningKind::None, 0, 0).unwrap();
    for value in pool.draw(Draw::Start, 20, 0) {
        let luma = |red: f32| (0.299 * red + 0.587 * 100.0 + 0.114 * 50.0) / 255.0;
        assert!(
            (value - luma(0.0)).abs() < 1e-6 || (value - luma(200.0)).abs() < 1e-6,
            "{value}"
        );
    }
}

#[test]
fn draws_depend_on_seed_purpose_epoch_and_batch() {
    let set = read(DatasetKind::Digits, Split::Train, Path::new("nowhere")).unwrap();
    let source = PatchSource::dataset(set, shape(3, Color::Grey));
    let pool = Pool::load(&source, WhiteningKind::Zca, 0, 0).unwrap();
    let batch = |epoch, batch| Draw::Batch { epoch, batch };
    let draws = [
        (Draw::Statistics, 0),
        (Draw::Start, 0),
        (Draw::Evaluation, 0),
        (batch(0, 0), 0),
        (batch(0, 1), 0),
        (batch(1, 0), 0),
        (batch(0, 0), 1),
    ];
    for (i, &(draw, seed)) in draws.iter().enumerate() {
        assert_eq!(pool.draw(draw, 30, seed), pool.draw(draw, 30, seed));
        for &(other, other_seed) in &draws[..i] {
            assert_ne!(
                pool.draw(draw, 30, seed),
                pool.draw(other, 30, other_seed),
                "{draw:?} {other:?}"
            );
        }
    }
    // A longer draw goes on with a shorter one.
    assert_eq!(pool.draw(batch(0, 0), 50, 0)[..270], pool.draw(batch(0, 0), 30, 0));
}

#[test]
fn empty_folders_small_images_constant_images_and_no_images_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let open = |side| PatchSource::folder(folder.path(), shape(side, Color::Grey));
    let message = open(3).unwrap_err().to_string();
    assert!(
        message.contains("no images in this folder") && message.contains(".png"),
        "{message}"
    );
    assert!(matches!(
        PatchSource::folder(&folder.path().join("none"), shape(3, Color::Grey)),
        Err(DataError::Io { .. })
    ));
    picture(&folder.path().join("small.png"), 9, 2, |x, _| [x as u8; 3]);
    let message = open(3).unwrap_err().to_string();
    assert!(
        message.contains("small.png: 2×9 pixels") && message.contains("3×3"),
        "{message}"
    );
    picture(&folder.path().join("flat.png"), 8, 8, |_, _| [9; 3]);
    let source = open(2).unwrap();
    let message = Pool::load(&source, WhiteningKind::None, 0, 0).unwrap_err().to_string();
    assert!(
        message.contains("flat.png") && message.contains("the same"),
        "{message}"
    );
    fs::write(folder.path().join("broken.jpg"), "no JPEG").unwrap();
    let message = open(2).unwrap_err().to_string();
    assert!(message.contains("broken.jpg: cannot be read as an image"), "{message}");
    // The header promises pixels that are not there.
    fs::remove_file(folder.path().join("broken.jpg")).unwrap();
    fs::remove_file(folder.path().join("flat.png")).unwrap();
    let whole = fs::read(folder.path().join("small.png")).unwrap();
    fs::write(folder.path().join("cut.png"), &whole[..whole.len() - 20]).unwrap();
    let source = open(2).unwrap();
    assert!(matches!(
        Pool::load(&source, WhiteningKind::None, 0, 0),
        Err(DataError::Image { .. })
    ));
}

#[test]
fn the_fingerprint_of_a_folder_is_that_of_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    let fingerprint = || {
        let source = PatchSource::folder(folder.path(), shape(2, Color::Grey)).unwrap();
        source.fingerprint().unwrap()
    };
    picture(&path, 4, 4, |x, _| [x as u8; 3]);
    let first = fingerprint();
    assert_eq!(fingerprint(), first);
    picture(&path, 4, 4, |x, y| [(x + y) as u8; 3]);
    assert_ne!(fingerprint(), first);
}

/// `W(x − mean)` of every patch, in double precision.
fn whitened(whitening: &Whitening, sample: &[f32]) -> Vec<Vec<f64>> {
    let m = whitening.mean.len();
    let apply = |patch: &[f32]| {
        let row = |row: &[f32]| -> f64 {
            let terms = row.iter().zip(patch.iter().zip(&whitening.mean));
            terms.map(|(w, (x, mean))| f64::from(*w) * f64::from(x - mean)).sum()
        };
        whitening.matrix.chunks_exact(m).map(row).collect()
    };
    sample.chunks_exact(m).map(apply).collect()
}

fn covariance(patches: &[Vec<f64>], i: usize, j: usize) -> f64 {
    patches.iter().map(|patch| patch[i] * patch[j]).sum::<f64>() / patches.len() as f64
}

fn digits(side: usize, count: usize) -> Vec<f32> {
    let set = read(DatasetKind::Digits, Split::Train, Path::new("nowhere")).unwrap();
    let source = PatchSource::dataset(set, shape(side, Color::Grey));
    Pool::load(&source, WhiteningKind::Zca, 0, 0)
        .unwrap()
        .draw(Draw::Statistics, count, 0)
}

#[test]
fn whitened_patches_have_the_identity_for_their_covariance() {
    let sample = digits(4, 3000);
    for (kind, components, p) in [
        (WhiteningKind::Zca, None, 16),
        (WhiteningKind::Pca, None, 16),
        (WhiteningKind::Pca, Some(7), 7),
    ] {
        let whitening = Whitening::fit(kind, &sample, 16, 1e-9, components).unwrap();
        assert_eq!(whitening.dimension(), p);
        let patches = whitened(&whitening, &sample);
        for (i, j) in (0..p).flat_map(|i| (0..p).map(move |j| (i, j))) {
            let expected = f64::from(i == j);
            assert!((covariance(&patches, i, j) - expected).abs() < 1e-3, "{kind:?} {i} {j}");
        }
        // The basis turns whitened patches into images and nothing else.
        for (i, j) in (0..p).flat_map(|i| (0..p).map(move |j| (i, j))) {
            let product: f32 = (0..16)
                .map(|row| whitening.basis[row * p + i] * whitening.basis[row * p + j])
                .sum();
            assert!((product - f32::from(u8::from(i == j))).abs() < 1e-5);
        }
    }
    let zca = Whitening::fit(WhiteningKind::Zca, &sample, 16, 1e-9, None).unwrap();
    let asymmetry = (0..256).map(|at| (zca.matrix[at] - zca.matrix[at % 16 * 16 + at / 16]).abs());
    assert!(asymmetry.fold(0.0, f32::max) < 1e-3 * zca.matrix.iter().fold(0.0, |a, b| f32::max(a, *b)));
    // Components in order of variance: the projection keeps the most.
    let pca = Whitening::fit(WhiteningKind::Pca, &sample, 16, 1e-9, Some(7)).unwrap();
    let norms: Vec<f32> = pca
        .matrix
        .chunks_exact(16)
        .map(|row| row.iter().map(|w| w * w).sum())
        .collect();
    assert!(norms.is_sorted(), "{norms:?}");
}

#[test]
fn patches_that_are_all_the_same_have_nothing_to_whiten() {
    let same = [[0.25, 0.5]; 10].concat();
    for &kind in WhiteningKind::ALL {
        let refused = Whitening::fit(kind, &same, 2, 1e-5, None);
        assert!(matches!(refused, Err(DataError::NoVariance { values: 2 })), "{kind:?}");
    }
}
