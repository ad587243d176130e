//! Labelled images in memory, one byte a pixel.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::hex::hex;

/// An immutable, never empty set of labelled images. Clones and subsets share the pixels.
///
/// An image has a position in this set, `0..count()`, and a record: its index in the official split it was read
/// from, which stays the same in every subset.
#[derive(Clone, Debug)]
pub struct ImageSet {
    storage: Arc<Storage>,
    /// The index in the storage of the image at each position.
    places: Arc<[u32]>,
}

#[derive(Debug)]
struct Storage {
    shape: [usize; 3],
    pixel_max: u8,
    images: Vec<u8>,
    labels: Vec<u16>,
    /// The index in the official split of each image.
    records: Vec<u32>,
}

impl ImageSet {
    /// A set of `n` images `[n, c, h, w]`, each `shape = [c, h, w]` with pixels `0..=pixel_max`, and `n` labels.
    ///
    /// # Panics
    /// If there are no images or no pixels, if the numbers of pixels and labels do not agree, or if `pixel_max` is 0.
    pub fn new(shape: [usize; 3], pixel_max: u8, images: Vec<u8>, labels: Vec<u16>) -> Self {
        assert!(!labels.is_empty(), "an image set needs at least one image");
        assert!(!shape.contains(&0), "images of shape {shape:?} have no pixels");
        assert!(pixel_max > 0, "the largest pixel value is 0");
        assert_eq!(
            images.len(),
            labels.len() * shape.iter().product::<usize>(),
            "{} labels and images of shape {shape:?}",
            labels.len()
        );
        let records = (0..labels.len() as u32).collect();
        Self::with_records(shape, pixel_max, images, labels, records)
    }

    /// A set like that of [`ImageSet::new`] whose images have these records.
    fn with_records(shape: [usize; 3], pixel_max: u8, images: Vec<u8>, labels: Vec<u16>, records: Vec<u32>) -> Self {
        let places = (0..labels.len() as u32).collect();
        ImageSet {
            storage: Arc::new(Storage {
                shape,
                pixel_max,
                images,
                labels,
                records,
            }),
            places,
        }
    }

    /// A set of changed copies: `change` gets the record and the pixels `[c, h, w]` of every image in turn. Labels,
    /// records and order stay; only the images of this set are copied.
    pub(crate) fn map_images(&self, mut change: impl FnMut(u32, &mut [u8])) -> Self {
        let positions = 0..self.count();
        let bytes = self.shape().iter().product::<usize>();
        let records: Vec<u32> = positions.clone().map(|position| self.record(position)).collect();
        let mut images = Vec::with_capacity(self.count() * bytes);
        positions
            .clone()
            .for_each(|position| images.extend_from_slice(self.image(position)));
        for (&record, pixels) in records.iter().zip(images.chunks_exact_mut(bytes)) {
            change(record, pixels);
        }
        let labels = positions.map(|position| self.label(position)).collect();
        Self::with_records(self.shape(), self.pixel_max(), images, labels, records)
    }

    /// The images at these positions, in this order.
    ///
    /// # Panics
    /// If there are no positions or one is out of range.
    pub fn select(&self, positions: &[usize]) -> Self {
        assert!(!positions.is_empty(), "an image set needs at least one image");
        let places = positions.iter().map(|&position| self.places[position]).collect();
        ImageSet {
            storage: Arc::clone(&self.storage),
            places,
        }
    }

    /// Number of images, at least 1.
    pub fn count(&self) -> usize {
        self.places.len()
    }

    /// Shape `[c, h, w]` of every image.
    pub fn shape(&self) -> [usize; 3] {
        self.storage.shape
    }

    /// Largest value a pixel can take.
    pub fn pixel_max(&self) -> u8 {
        self.storage.pixel_max
    }

    /// Pixels `[c, h, w]` of the image at a position, row-major.
    ///
    /// # Panics
    /// If the position is out of range.
    pub fn image(&self, position: usize) -> &[u8] {
        let bytes = self.storage.shape.iter().product::<usize>();
        let start = self.places[position] as usize * bytes;
        &self.storage.images[start..start + bytes]
    }

    /// Label of the image at a position, `0..classes`.
    ///
    /// # Panics
    /// If the position is out of range.
    pub fn label(&self, position: usize) -> u16 {
        self.storage.labels[self.places[position] as usize]
    }

    /// Index in the official split of the image at a position.
    ///
    /// # Panics
    /// If the position is out of range.
    pub fn record(&self, position: usize) -> u32 {
        self.storage.records[self.places[position] as usize]
    }

    /// A digest of everything that loaders see of the set: two sets with the same fingerprint give the same batches.
    ///
    /// It is the SHA-256, in 64 lower-case hexadecimal digits, of these little-endian numbers: how many images there
    /// are, `c`, `h` and `w` (64 bits each), the largest pixel value (8 bits), and for each image in order its
    /// record (32 bits), its label (16 bits) and its pixels `[c, h, w]` (8 bits each). Nothing is copied; all of
    /// CIFAR-10 takes a fraction of a second.
    pub fn fingerprint(&self) -> String {
        let mut digest = Sha256::new();
        let [channels, height, width] = self.shape();
        for number in [self.count(), channels, height, width] {
            digest.update((number as u64).to_le_bytes());
        }
        digest.update([self.pixel_max()]);
        for position in 0..self.count() {
            digest.update(self.record(position).to_le_bytes());
            digest.update(self.label(position).to_le_bytes());
            digest.update(self.image(position));
        }
        hex(&digest.finalize())
    }

    /// Images of each class that occurs, up to the largest label.
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = Vec::new();
        for position in 0..self.count() {
            let label = self.label(position) as usize;
            if counts.len() <= label {
                counts.resize(label + 1, 0);
            }
            counts[label] += 1;
        }
        counts
    }
}
