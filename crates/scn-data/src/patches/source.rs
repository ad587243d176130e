//! Where patches come from.

use std::path::Path;

use super::folder::{self, ImageFile};
use super::{Color, Image};
use crate::error::DataError;
use crate::image_set::ImageSet;

/// The shape of a patch: `side`×`side` pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PatchShape {
    /// Pixels of a side.
    pub side: usize,
    /// Its channels.
    pub color: Color,
}

impl PatchShape {
    /// Values of a patch, `m = c·k²`.
    pub fn values(self) -> usize {
        self.color.channels() * self.side * self.side
    }
}

/// Images that patches of one shape are cut from.
#[derive(Debug)]
pub struct PatchSource {
    shape: PatchShape,
    images: Images,
}

#[derive(Debug)]
enum Images {
    Folder(Vec<ImageFile>),
    Dataset(ImageSet),
}

impl PatchSource {
    /// The PNG and JPEG files of a folder and of the folders in it. Their sizes are read, and their pixels later.
    ///
    /// # Errors
    /// [`DataError::NoImages`], [`DataError::SmallImage`], [`DataError::Image`] for a file that is no image,
    /// [`DataError::Io`].
    pub fn folder(path: &Path, shape: PatchShape) -> Result<Self, DataError> {
        let files = folder::files(path)?;
        for file in &files {
            if file.height.min(file.width) < shape.side {
                return Err(DataError::SmallImage {
                    path: file.path().to_owned(),
                    height: file.height,
                    width: file.width,
                    side: shape.side,
                });
            }
        }
        let images = Images::Folder(files);
        Ok(Self { shape, images })
    }

    /// The images of a dataset.
    ///
    /// # Panics
    /// Where patches are larger than its images, or have colours that these have not.
    pub fn dataset(set: ImageSet, shape: PatchShape) -> Self {
        let [channels, height, width] = set.shape();
        let fits = shape.side <= height.min(width) && shape.color.channels() <= channels;
        assert!(fits, "patches {shape:?} of images [{channels}, {height}, {width}]");
        let images = Images::Dataset(set);
        Self { shape, images }
    }

    /// The shape of the patches.
    pub fn shape(&self) -> PatchShape {
        self.shape
    }

    /// How many images there are.
    pub fn count(&self) -> usize {
        match &self.images {
            Images::Folder(files) => files.len(),
            Images::Dataset(set) => set.count(),
        }
    }

    /// A digest of the images: of another source, patches are others.
    ///
    /// # Errors
    /// [`DataError::Io`].
    pub fn fingerprint(&self) -> Result<String, DataError> {
        match &self.images {
            Images::Folder(files) => folder::fingerprint(files),
            Images::Dataset(set) => Ok(set.fingerprint()),
        }
    }

    /// Values of an image in memory.
    pub(super) fn values(&self, index: usize) -> usize {
        let pixels = match &self.images {
            Images::Folder(files) => files[index].height.saturating_mul(files[index].width),
            Images::Dataset(set) => set.shape()[1] * set.shape()[2],
        };
        pixels.saturating_mul(self.shape.color.channels())
    }

    pub(super) fn read(&self, index: usize) -> Result<Image, DataError> {
        match &self.images {
            Images::Folder(files) => files[index].read(self.shape.color),
            Images::Dataset(set) => {
                let scale = 1.0 / f32::from(set.pixel_max());
                let values = set.image(index).iter().map(|&pixel| scale * f32::from(pixel));
                let [_, height, width] = set.shape();
                Ok(Image::new(self.shape.color, height, width, values.collect()))
            }
        }
    }
}
