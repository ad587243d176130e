//! Image datasets for sparse coding networks: readers of the official files, validation splits, mean
//! subtraction, augmentation, a loader whose batches depend on nothing but the seed, and the noise corruptions of
//! CIFAR-10-C, and whitened patches to learn dictionaries from.
//!
//! The usual way through the crate:
//!
//! ```
//! use scn_data::{Augmentation, DatasetKind, Loader, MeanSubtraction, Normalization, Split};
//!
//! # fn main() -> Result<(), scn_data::DataError> {
//! let data_dir = std::path::Path::new("datasets");
//! let train = scn_data::read(DatasetKind::Digits, Split::Train, data_dir)?;
//! let (train, validation) = scn_data::split_validation(&train, 200, 0)?;
//! let normalization = Normalization::fit(&train, MeanSubtraction::PerChannel, false);
//! let augmentation = Augmentation { shift: 1, ..Augmentation::default() };
//! let loader = Loader::training(train, normalization.clone(), augmentation, 32, false, 0)?;
//! for batch in loader.epoch(0, 0) {
//!     assert_eq!(batch.shape[1..], [1, 8, 8]);
//! }
//! # let _ = validation;
//! # Ok(())
//! # }
//! ```

mod augmentation;
mod catalogue;
mod corruption;
mod dataset;
mod error;
mod hex;
mod image_set;
mod loader;
mod noise;
mod normalization;
mod patches;
mod random;
mod sources;
mod split;
mod verify;
mod whitening;

pub use augmentation::{Augmentation, Flip, Square, Transform};
pub use catalogue::{DatasetKind, read};
pub use corruption::cifar10_c::{find_cifar10_c, read_cifar10_c};
pub use corruption::{Corruption, Noise, corrupt};
pub use dataset::{Archive, Content, DataFile, DatasetInfo, Split};
pub use error::DataError;
pub use image_set::ImageSet;
pub use loader::{Batch, Batches, Loader, epoch_order};
pub use noise::noise;
pub use normalization::{MeanSubtraction, Normalization};
pub use patches::{Color, Draw, PatchShape, PatchSource, Pool};
pub use split::{limit, split_validation};
pub use verify::{ArchiveReport, FileReport, Verification, verify};
pub use whitening::{Whitening, WhiteningKind};
