//! What a dataset is: its images, its classes, its files and its downloads, as plain data.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The official division of a dataset. What an experiment trains, validates and tests on is made of these two by
/// [`crate::split_validation`] and [`crate::limit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Split {
    /// Training images; a validation set is taken from these.
    Train,
    /// Test images.
    Test,
}

/// What is known about a dataset.
#[derive(Debug)]
pub struct DatasetInfo {
    /// The name in experiment files and on the command line.
    pub name: &'static str,
    /// The name in print.
    pub title: &'static str,
    /// Image shape `[c, h, w]`.
    pub shape: [usize; 3],
    /// Largest pixel value of the format: pixels are divided by it.
    pub pixel_max: u8,
    /// Names of the classes, in the order of the labels.
    pub class_names: &'static [&'static str],
    /// Images of the official training set.
    pub train_images: usize,
    /// Images of the official test set.
    pub test_images: usize,
    /// The directory below the data directory; files right in the data directory are found as well. Empty for
    /// embedded data.
    pub directory: &'static str,
    /// The dataset's own page.
    pub homepage: &'static str,
    /// How to get the files, as an imperative clause.
    pub fetch: &'static str,
    /// The files, those of one split in the order in which they are read. Empty for embedded data.
    pub files: &'static [DataFile],
    /// The official downloads.
    pub archives: &'static [Archive],
}

impl DatasetInfo {
    /// Images of the official split.
    pub fn images(&self, split: Split) -> usize {
        match split {
            Split::Train => self.train_images,
            Split::Test => self.test_images,
        }
    }

    /// Bytes of one image, `c · h · w`.
    pub(crate) fn image_bytes(&self) -> usize {
        self.shape.iter().product()
    }
}

/// The name, as in messages.
impl fmt::Display for DatasetInfo {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)
    }
}

/// One file of a dataset.
#[derive(Debug)]
pub struct DataFile {
    /// The names it may have, tried in this order.
    pub names: &'static [&'static str],
    /// The split it belongs to.
    pub split: Split,
    /// What it holds.
    pub content: Content,
    /// Number of images or labels or both.
    pub records: usize,
    /// Its bytes, decompressed.
    pub bytes: u64,
    /// Its first labels, where datasets share file names and layout; otherwise empty.
    pub first_labels: &'static [u8],
}

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Images only.
    Images,
    /// Labels only.
    Labels,
    /// Records of label and image.
    LabelledImages,
}

impl Content {
    /// Whether there are images in the file.
    pub(crate) fn has_images(self) -> bool {
        match self {
            Content::Images | Content::LabelledImages => true,
            Content::Labels => false,
        }
    }

    /// Whether there are labels in the file.
    pub(crate) fn has_labels(self) -> bool {
        match self {
            Content::Labels | Content::LabelledImages => true,
            Content::Images => false,
        }
    }
}

/// An official download.
#[derive(Debug)]
pub struct Archive {
    /// File name.
    pub name: &'static str,
    /// Its length.
    pub bytes: u64,
    /// Its MD5, lower-case hexadecimal.
    pub md5: &'static str,
}
