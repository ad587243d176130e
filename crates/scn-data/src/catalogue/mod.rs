//! The datasets there are, one file each.
//!
//! A new dataset is a file beside this one, which describes it and names how it is read, and its line below.

pub(crate) mod cifar10;
mod cifar100;
mod digits;
mod fashion_mnist;
mod mnist;
mod stl10;

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::dataset::{DatasetInfo, Split};
use crate::error::DataError;
use crate::image_set::ImageSet;
use crate::sources::Dataset;

/// Declare [`DatasetKind`] by a line for each dataset: its variant, its file and its documentation.
macro_rules! catalogue {
    ($($kind:ident: $file:ident, $doc:literal;)+) => {
        /// A dataset, named in experiment files and on the command line as by [`DatasetKind::name`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum DatasetKind {
            $(#[doc = $doc] $kind,)+
        }

        impl DatasetKind {
            /// Every dataset.
            pub const ALL: [DatasetKind; [$(DatasetKind::$kind),+].len()] = [$(DatasetKind::$kind),+];

            pub(crate) fn dataset(self) -> &'static Dataset {
                match self {
                    $(DatasetKind::$kind => &$file::DATASET,)+
                }
            }
        }
    };
}

catalogue! {
    Cifar10: cifar10, "CIFAR-10, 32×32 colour.";
    Cifar100: cifar100, "CIFAR-100 with its fine labels, 32×32 colour.";
    Mnist: mnist, "MNIST, 28×28 grey.";
    FashionMnist: fashion_mnist, "Fashion-MNIST, 28×28 grey.";
    Stl10: stl10, "The labelled part of STL-10, 96×96 colour.";
    Digits: digits, "Optical digits, 8×8 grey, embedded in the program.";
}

impl DatasetKind {
    /// What is known about the dataset.
    pub fn info(self) -> &'static DatasetInfo {
        &self.dataset().info
    }

    /// The name in experiment files and on the command line.
    pub fn name(self) -> &'static str {
        self.info().name
    }

    /// Number of classes.
    pub fn classes(self) -> usize {
        self.info().class_names.len()
    }
}

impl scn_keys::Named for DatasetKind {
    const ALL: &'static [Self] = &DatasetKind::ALL;

    fn name(self) -> &'static str {
        DatasetKind::name(self)
    }
}

impl fmt::Display for DatasetKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for DatasetKind {
    type Err = DataError;

    /// # Errors
    /// [`DataError::UnknownDataset`].
    fn from_str(name: &str) -> Result<Self, DataError> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| DataError::UnknownDataset {
                name: name.to_owned(),
                known: Self::ALL.map(Self::name).join(", "),
            })
    }
}

/// Read one official split of a dataset into memory. Embedded data ignores `data_dir`.
///
/// # Errors
/// Files that are missing, truncated or foreign, each with its path, what was found and what to do.
pub fn read(kind: DatasetKind, split: Split, data_dir: &Path) -> Result<ImageSet, DataError> {
    kind.dataset().read(split, data_dir)
}
