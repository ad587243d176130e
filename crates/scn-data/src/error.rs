//! Errors of the data crate.

use std::io;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use crate::dataset::DatasetInfo;

/// Why data could not be read or prepared. Every message says what was found, what was expected and what to do;
/// causes of the operating system are in [`std::error::Error::source`].
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A dataset name that is none.
    #[error("there is no dataset {name:?}: choose one of {known}")]
    UnknownDataset {
        /// The name given.
        name: String,
        /// Every name.
        known: String,
    },
    /// A name of noise that is none.
    #[error("there is no noise {name:?}: choose one of {known}")]
    UnknownNoise {
        /// The name given.
        name: String,
        /// Every name.
        known: String,
    },
    /// A severity that no corruption has.
    #[error(
        "a corruption of severity {severity} does not exist: choose {} (weakest) to {} (strongest)",
        known.start(),
        known.end()
    )]
    Severity {
        /// The severity asked for.
        severity: u8,
        /// The severities there are.
        known: RangeInclusive<u8>,
    },
    /// The data directory does not exist or is no directory.
    #[error(
        "{dataset}: the data directory {} {problem}: set data.dir to the directory that holds the datasets, or {}",
        path.display(),
        dataset.fetch
    )]
    NoDirectory {
        /// The dataset looked for.
        dataset: &'static DatasetInfo,
        /// The directory searched.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A file that is in none of the places where it may lie.
    #[error(
        "{dataset}: no file {} in {}: {}, or set data.dir to the directory that holds the datasets",
        names.join(" or "),
        directories.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" or "),
        dataset.fetch
    )]
    Missing {
        /// The dataset looked for.
        dataset: &'static DatasetInfo,
        /// The names the file may have.
        names: &'static [&'static str],
        /// The directories searched.
        directories: Vec<PathBuf>,
    },
    /// A directory, socket or the like where a file should be.
    #[error("{dataset}: {} is not a regular file: move it away and {}", path.display(), dataset.fetch)]
    NotAFile {
        /// The dataset being read.
        dataset: &'static DatasetInfo,
        /// What is no file.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot {action} {}: check that it exists and that you may read it", path.display())]
    Io {
        /// The path concerned.
        path: PathBuf,
        /// What was tried, as a verb.
        action: &'static str,
        /// The cause.
        source: io::Error,
    },
    /// A file of the wrong length: truncated, with bytes after its end, or another file.
    #[error(
        "{dataset}: {} holds {}{found} bytes{}, expected {expected}: the file is {}; {} again",
        path.display(),
        if *ends { "" } else { "at least " },
        if *compressed { " after decompression" } else { "" },
        if found < expected { "truncated or foreign" } else { "foreign or has bytes after its end" },
        dataset.fetch
    )]
    Size {
        /// The dataset being read.
        dataset: &'static DatasetInfo,
        /// The file.
        path: PathBuf,
        /// Its bytes, decompressed, or as many of them as were read.
        found: u64,
        /// Whether it ends after these bytes; what goes on for long is not read to its end.
        ends: bool,
        /// The bytes of the official file, decompressed.
        expected: u64,
        /// Whether the file is compressed.
        compressed: bool,
    },
    /// A file that starts unlike the official one.
    #[error(
        "{dataset}: {} starts with {found}, expected {expected}: the file is damaged or belongs to another dataset; {} again",
        path.display(),
        dataset.fetch
    )]
    Header {
        /// The dataset being read.
        dataset: &'static DatasetInfo,
        /// The file.
        path: PathBuf,
        /// How it starts.
        found: String,
        /// How the official file starts.
        expected: String,
    },
    /// A label that is none of the dataset's classes.
    #[error(
        "{dataset}: {}, record {record}: label {label} is not in {smallest}..={largest}: the file is damaged or belongs to another dataset; {} again",
        path.display(),
        dataset.fetch
    )]
    Label {
        /// The dataset being read.
        dataset: &'static DatasetInfo,
        /// The file.
        path: PathBuf,
        /// Index of the record in this file.
        record: usize,
        /// The label as in the file.
        label: u8,
        /// Smallest label of the format.
        smallest: u8,
        /// Largest label of the format.
        largest: u8,
    },
    /// A gzip stream that does not decompress.
    #[error("{dataset}: {} does not decompress, it is truncated or damaged: {} again", path.display(), dataset.fetch)]
    Gzip {
        /// The dataset being read.
        dataset: &'static DatasetInfo,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A folder or a file that is not in its one place.
    #[error(
        "{dataset}: {} does not exist: {}, or set data.dir to the directory that holds the datasets",
        path.display(),
        dataset.fetch
    )]
    Absent {
        /// The dataset looked for.
        dataset: &'static DatasetInfo,
        /// Where the folder or file was looked for.
        path: PathBuf,
    },
    /// A `.npy` file that is not what the official one is.
    #[error(
        "{dataset}: {} {found}, expected {expected}: the file is damaged or foreign; {} again",
        path.display(),
        dataset.fetch
    )]
    Npy {
        /// The dataset being read.
        dataset: &'static DatasetInfo,
        /// The file.
        path: PathBuf,
        /// What it is or holds, as a verb and its object.
        found: String,
        /// What the official file is or holds.
        expected: String,
    },
    /// A validation set that leaves nothing to train on.
    #[error("{requested} validation images out of {available} training images leave none to train on: choose 0 to {}", available - 1)]
    Validation {
        /// Images asked for.
        requested: usize,
        /// Images there are.
        available: usize,
    },
    /// A limit of 0 or beyond the set.
    #[error("cannot limit a set of {available} images to {requested}: choose 1 to {available}, or leave the limit out")]
    Limit {
        /// Images asked for.
        requested: usize,
        /// Images there are.
        available: usize,
    },
    /// A shift that could move the whole image out of view.
    #[error("a shift of {shift} pixels does not fit images of {height}×{width}: choose 0 to {}", height.min(width) - 1)]
    Shift {
        /// The shift asked for, pixels.
        shift: usize,
        /// Height after cropping.
        height: usize,
        /// Width after cropping.
        width: usize,
    },
    /// A crop that is empty or larger than the image.
    #[error("a crop of {crop}×{crop} pixels does not fit images of {height}×{width}: choose 1 to {}", height.min(width))]
    Crop {
        /// The side asked for, pixels.
        crop: usize,
        /// Image height.
        height: usize,
        /// Image width.
        width: usize,
    },
    /// A square cut out that is empty or larger than the image.
    #[error("a cutout of {side}×{side} pixels does not fit images of {height}×{width}: choose 1 to {}", height.min(width))]
    Cutout {
        /// The side asked for, pixels.
        side: usize,
        /// Height after cropping.
        height: usize,
        /// Width after cropping.
        width: usize,
    },
    /// A batch size that gives no batches.
    #[error(
        "batches of {batch_size} images{} make no batch out of {images} images: choose 1 to {images}",
        if *drop_last { ", the last partial one dropped," } else { "" }
    )]
    BatchSize {
        /// The batch size asked for.
        batch_size: usize,
        /// Images there are.
        images: usize,
        /// Whether partial batches are dropped.
        drop_last: bool,
    },
    /// Statistics that belong to images of another kind.
    #[error(
        "the normalization was computed on images of shape {found:?} with pixels 0..={found_max}, \
         these have shape {expected:?} and pixels 0..={expected_max}: evaluate on the dataset the model was trained on"
    )]
    Shape {
        /// Shape `[c, h, w]` of the statistics.
        found: [usize; 3],
        /// Largest pixel value of the statistics.
        found_max: u8,
        /// Shape `[c, h, w]` of the images.
        expected: [usize; 3],
        /// Largest pixel value of the images.
        expected_max: u8,
    },
    /// Given or stored statistics that are not whole.
    #[error(
        "a normalization with {means} means, {deviations} deviations and pixels 0..={pixel_max} does not fit images of shape {shape:?}: \
         expected {} or {} finite means and {} finite deviations above 0",
        shape[0],
        shape[0].saturating_mul(shape[1]).saturating_mul(shape[2]),
        shape[0]
    )]
    Statistics {
        /// Shape `[c, h, w]` they claim.
        shape: [usize; 3],
        /// Largest pixel value they claim.
        pixel_max: u8,
        /// Number of means.
        means: usize,
        /// Number of deviations.
        deviations: usize,
    },
    /// A folder without images.
    #[error("{}: there are no images in this folder, nor in those below it: expected files {extensions}", path.display())]
    NoImages {
        /// The folder.
        path: PathBuf,
        /// The extensions of the files that are read.
        extensions: String,
    },
    /// A file that cannot be decoded.
    #[error("{}: cannot be read as an image: convert it to PNG or JPEG, or take it out of the folder", path.display())]
    Image {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: image::ImageError,
    },
    /// An image that no patch fits into.
    #[error(
        "{}: {height}×{width} pixels are fewer than the {side}×{side} of a patch: take a smaller dictionary.patch, or this \
         image out of the folder",
        path.display()
    )]
    SmallImage {
        /// The file.
        path: PathBuf,
        /// Its rows.
        height: usize,
        /// Its columns.
        width: usize,
        /// Side of a patch.
        side: usize,
    },
    /// An image that has nothing to learn from.
    #[error("{}: all of its pixels are the same: take this image out of the folder", .0.display())]
    ConstantImage(PathBuf),
    /// Patches that do not differ.
    #[error("all patches of {values} values are the same: there is nothing to learn from such images")]
    NoVariance {
        /// Values of a patch.
        values: usize,
    },
    /// A covariance whose eigenvalues were not found.
    #[error("the eigenvalues of the covariance of patches of {values} values were not found: take smaller patches")]
    Eigenvalues {
        /// Values of a patch.
        values: usize,
    },
}
