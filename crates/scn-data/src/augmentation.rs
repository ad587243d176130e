//! Augmentation of training images: horizontal flip, shift with zero padding, random crop, cutout (DeVries & Taylor,
//! arXiv:1708.04552).
//!
//! What happens to an image depends on (seed, epoch, record) only; shared by a batch, on (seed, epoch, batch).
//! All of it is one [`Transform`], a window into the normalised image. Outside the image the window reads 0, which
//! after mean subtraction is the mean.

use rand_chacha::ChaCha8Rng;
use scn_keys::{Value, Wrong, toml};

use crate::error::DataError;
use crate::random::{self, Purpose, below};

/// Which training images are mirrored left to right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flip {
    /// None: `false` in files.
    #[default]
    Never,
    /// Each with probability 1/2 in every epoch: `true` in files.
    Random,
    /// Each with probability 1/2 in the first epoch, and from epoch to epoch the other way (Jordan, arXiv:2404.00498):
    /// `"alternating"` in files.
    Alternating,
}

/// How [`Flip::Alternating`] is written.
const ALTERNATING: &str = "alternating";

impl Value for Flip {
    type Item = Self;

    fn read(value: &toml::Value) -> Result<Self, Wrong> {
        match value {
            toml::Value::Boolean(false) => Ok(Flip::Never),
            toml::Value::Boolean(true) => Ok(Flip::Random),
            toml::Value::String(name) if name == ALTERNATING => Ok(Flip::Alternating),
            _ => Err(Wrong::expecting(Self::expected())),
        }
    }

    fn write(&self) -> Option<toml::Value> {
        Some(match self {
            Flip::Never => false.into(),
            Flip::Random => true.into(),
            Flip::Alternating => ALTERNATING.into(),
        })
    }

    fn expected() -> String {
        format!("true, false or \"{ALTERNATING}\"")
    }

    fn item(&self) -> Option<&Self> {
        Some(self)
    }
}

scn_keys::table! {
    /// Which augmentations are applied. The default is none. A shift is uniform in `-shift..=shift` in both directions;
    /// one of 4 is the `RandomCrop(32, padding=4)` of PyTorch.
    #[derive(Eq)]
    pub struct Augmentation {
        /// Mirror training images left to right with probability 1/2; "alternating" draws in the first epoch only, and
        /// mirrors every image the other way from epoch to epoch (arXiv:2404.00498).
        pub flip: Flip = default(Flip::Never),
        /// Shift training images by at most this many pixels in each direction, zeros enter.
        pub shift: usize = default(0)
            .within(range("a whole number of pixels, at least 0 and smaller than the image", |_| true)),
        /// Side of a random square crop of training images; evaluation crops the centre.
        pub crop: Option<usize> = unset("the whole image").within(range(
            "a whole number of pixels, at least 1 and not larger than the image",
            |&crop| crop >= 1,
        )),
        /// Side of a square of zeros in training images, centred at any pixel, the mean being subtracted (cutout,
        /// arXiv:1708.04552).
        pub cutout: Option<usize> = unset("none").within(range(
            "a whole number of pixels, at least 1 and not larger than the image",
            |&side| side >= 1,
        )),
        /// Change all images of a batch alike, as the paper does.
        pub per_batch: bool = default(false),
    }
}

/// A window into an image: output row y, column x reads the image at row `top + y`, column `left + x`, and 0 where
/// that lies outside; the output is then mirrored if `flip` is set, and cut out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Transform {
    /// Mirror the window left to right.
    pub flip: bool,
    /// First row of the window.
    pub top: isize,
    /// First column of the window.
    pub left: isize,
    /// What is 0 in the output.
    pub cutout: Option<Square>,
}

/// A square of pixels, of which some may lie outside the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Square {
    /// Its first row.
    pub top: isize,
    /// Its first column.
    pub left: isize,
    /// Its side.
    pub side: usize,
}

/// A stream's first word.
fn coin(stream: &mut ChaCha8Rng) -> bool {
    below(stream, 2) == 1
}

impl Augmentation {
    /// Whether it changes any image.
    pub fn changes_images(&self) -> bool {
        self.flip != Flip::Never || self.shift > 0 || self.crop.is_some() || self.cutout.is_some()
    }

    /// Shape `[c, h, w]` after augmentation of images of this shape.
    ///
    /// # Errors
    /// [`DataError::Crop`], [`DataError::Shift`] and [`DataError::Cutout`] where they do not fit the images.
    pub fn output_shape(&self, [channels, height, width]: [usize; 3]) -> Result<[usize; 3], DataError> {
        let [height, width] = match self.crop {
            Some(crop) if crop == 0 || crop > height.min(width) => {
                return Err(DataError::Crop { crop, height, width });
            }
            Some(crop) => [crop, crop],
            None => [height, width],
        };
        if self.shift >= height.min(width) {
            return Err(DataError::Shift {
                shift: self.shift,
                height,
                width,
            });
        }
        if let Some(side) = self.cutout
            && !(1..=height.min(width)).contains(&side)
        {
            return Err(DataError::Cutout { side, height, width });
        }
        Ok([channels, height, width])
    }

    /// The transform of an image of a training batch; `record` is its index in the official split, `batch` the index
    /// of its batch in the epoch. Every parameter takes its own word of the random stream, so that switching one
    /// augmentation on leaves the others as they were.
    ///
    /// # Errors
    /// As [`Augmentation::output_shape`].
    pub fn draw(
        &self,
        shape: [usize; 3],
        seed: u64,
        epoch: u64,
        record: u32,
        batch: usize,
    ) -> Result<Transform, DataError> {
        let [_, height, width] = self.output_shape(shape)?;
        let [rows, columns] = self.margins(shape)?;
        let (purpose, item) = if self.per_batch {
            (Purpose::BatchAugmentation, batch as u64)
        } else {
            (Purpose::ImageAugmentation, u64::from(record))
        };
        let mut stream = random::stream(seed, purpose, epoch, item);
        let drawn = coin(&mut stream);
        let mut offset = |bound| below(&mut stream, bound + 1) as isize;
        let (down, right) = (offset(2 * self.shift), offset(2 * self.shift));
        let (top, left) = (offset(rows), offset(columns));
        let cutout = self.cutout.map(|side| {
            // As in the authors' program the centre is a pixel of the image, so that squares may reach beyond.
            let half = (side / 2) as isize;
            let (row, column) = (offset(height - 1), offset(width - 1));
            Square {
                top: row - half,
                left: column - half,
                side,
            }
        });
        let shift = self.shift as isize;
        Ok(Transform {
            flip: match self.flip {
                Flip::Never => false,
                Flip::Random => drawn,
                // Of the image, so that it sees both sides in two epochs whatever batches it is in.
                Flip::Alternating => {
                    let mut first = random::stream(seed, Purpose::ImageAugmentation, 0, u64::from(record));
                    coin(&mut first) != (epoch % 2 == 1)
                }
            },
            top: top + down - shift,
            left: left + right - shift,
            cutout,
        })
    }

    /// The transform of evaluation: the crop from the centre, nothing else.
    ///
    /// # Errors
    /// As [`Augmentation::output_shape`].
    pub fn centre(&self, shape: [usize; 3]) -> Result<Transform, DataError> {
        let [rows, columns] = self.margins(shape)?;
        Ok(Transform {
            flip: false,
            top: (rows / 2) as isize,
            left: (columns / 2) as isize,
            cutout: None,
        })
    }

    /// Rows and columns that the crop leaves over.
    fn margins(&self, shape: [usize; 3]) -> Result<[usize; 2], DataError> {
        let output = self.output_shape(shape)?;
        Ok([shape[1] - output[1], shape[2] - output[2]])
    }
}

impl Transform {
    /// Copy the window of `image`, of shape `from = [c, h, w]`, to `output`, of shape `to` with as many channels.
    ///
    /// # Panics
    /// If the shapes and slices do not agree.
    pub fn apply(&self, image: &[f32], from: [usize; 3], output: &mut [f32], to: [usize; 3]) {
        assert_eq!(
            (from[0], image.len(), output.len()),
            (to[0], from.iter().product(), to.iter().product()),
            "window {to:?} of an image {from:?}"
        );
        let [_, height, width] = from;
        // Columns of the window that lie inside the image.
        let inside = |x: isize| (x - self.left).clamp(0, to[2] as isize) as usize;
        let columns = inside(0)..inside(width as isize);
        for (row, output) in output.chunks_exact_mut(to[2]).enumerate() {
            let (channel, y) = (row / to[1], self.top + (row % to[1]) as isize);
            output.fill(0.0);
            if (0..height as isize).contains(&y) && !columns.is_empty() {
                let start = (channel * height + y as usize) * width + (self.left + columns.start as isize) as usize;
                output[columns.clone()].copy_from_slice(&image[start..start + columns.len()]);
                if self.flip {
                    output.reverse();
                }
            }
            if let Some(square) = self.cutout {
                let within = |from: isize, length: usize| {
                    let clamped = |place: isize| place.clamp(0, length as isize) as usize;
                    clamped(from)..clamped(from + square.side as isize)
                };
                if within(square.top, to[1]).contains(&(row % to[1])) {
                    output[within(square.left, to[2])].fill(0.0);
                }
            }
        }
    }
}
