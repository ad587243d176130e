//! Batches of an epoch, prepared one thread ahead of their use and always in the same order.
//!
//! One background thread prepares the batches and hands them over through a bounded channel. Preparing an image
//! takes microseconds where a training step takes milliseconds, so more threads would not help, and one keeps the
//! order for nothing.

use std::ops::Range;
use std::panic;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{self, JoinHandle};

use crate::augmentation::Augmentation;
use crate::error::DataError;
use crate::image_set::ImageSet;
use crate::normalization::Normalization;
use crate::random::{Purpose, shuffle, stream};

/// Batches that wait for use at most, besides the one being prepared.
const PREFETCHED_BATCHES: usize = 2;

/// One batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Its index in the epoch.
    pub index: usize,
    /// Normalised and augmented images, row-major.
    pub images: Vec<f32>,
    /// Shape `[b, c, h, w]` of `images`.
    pub shape: [usize; 4],
    /// The `b` labels, as index tensors want them.
    pub labels: Vec<i32>,
    /// Index of each image in its official split.
    pub records: Vec<u32>,
}

/// The order of the images of a training epoch: a permutation of `0..images` by (seed, epoch) only.
pub fn epoch_order(images: usize, seed: u64, epoch: u64) -> Vec<u32> {
    let mut order: Vec<u32> = (0..images as u32).collect();
    shuffle(&mut stream(seed, Purpose::Order, epoch, 0), &mut order);
    order
}

/// Cuts a set into batches. Clones share the images.
#[derive(Clone, Debug)]
pub struct Loader {
    plan: Arc<Plan>,
}

#[derive(Debug)]
struct Plan {
    set: ImageSet,
    normalization: Normalization,
    augmentation: Augmentation,
    output_shape: [usize; 3],
    batch_size: usize,
    /// Images of an epoch: all of them, or as many as training uses.
    images: usize,
    /// The seed of training; None evaluates: images in order, not augmented.
    seed: Option<u64>,
}

impl Loader {
    /// Batches for training: in the order of [`epoch_order`], augmented.
    ///
    /// The last batch of an epoch is smaller where `batch_size` does not divide the set, and left out with
    /// `drop_last`. A last batch of a single image is always left out unless `batch_size` is 1: batch norm has next
    /// to nothing to average there.
    ///
    /// # Errors
    /// A batch size that gives no batch, an augmentation that does not fit the images, statistics of other images.
    pub fn training(
        set: ImageSet,
        normalization: Normalization,
        augmentation: Augmentation,
        batch_size: usize,
        drop_last: bool,
        seed: u64,
    ) -> Result<Self, DataError> {
        let remainder = set.count().checked_rem(batch_size).unwrap_or(0);
        let dropped = if drop_last || (remainder == 1 && set.count() > 1) {
            remainder
        } else {
            0
        };
        let images = set.count() - dropped;
        if batch_size == 0 || images == 0 {
            return Err(DataError::BatchSize {
                batch_size,
                images: set.count(),
                drop_last,
            });
        }
        Self::new(set, normalization, augmentation, batch_size, images, Some(seed))
    }

    /// Batches for evaluation: every image once, in the order of the set, cut from the centre to `crop`×`crop`
    /// pixels or whole, not augmented otherwise; the last batch may be smaller.
    ///
    /// # Errors
    /// A batch size of 0, a crop that does not fit the images, statistics of other images.
    pub fn evaluation(
        set: ImageSet,
        normalization: Normalization,
        crop: Option<usize>,
        batch_size: usize,
    ) -> Result<Self, DataError> {
        let images = set.count();
        if batch_size == 0 {
            return Err(DataError::BatchSize {
                batch_size,
                images,
                drop_last: false,
            });
        }
        Self::new(
            set,
            normalization,
            Augmentation {
                crop,
                ..Augmentation::default()
            },
            batch_size,
            images,
            None,
        )
    }

    fn new(
        set: ImageSet,
        normalization: Normalization,
        augmentation: Augmentation,
        batch_size: usize,
        images: usize,
        seed: Option<u64>,
    ) -> Result<Self, DataError> {
        normalization.check(&set)?;
        let output_shape = augmentation.output_shape(set.shape())?;
        Ok(Loader {
            plan: Arc::new(Plan {
                set,
                normalization,
                augmentation,
                output_shape,
                batch_size,
                images,
                seed,
            }),
        })
    }

    /// Number of batches in an epoch, at least 1.
    pub fn batches(&self) -> usize {
        self.plan.images.div_ceil(self.plan.batch_size)
    }

    /// Number of images in an epoch.
    pub fn images(&self) -> usize {
        self.plan.images
    }

    /// Shape `[c, h, w]` of the images in a batch.
    pub fn image_shape(&self) -> [usize; 3] {
        self.plan.output_shape
    }

    /// The batches of an epoch from `first_batch` on, which resumes an epoch in its middle: they equal those of the
    /// whole epoch. Evaluation is the same in every epoch.
    pub fn epoch(&self, epoch: u64, first_batch: usize) -> Batches {
        let batches = first_batch..self.batches();
        let plan = Arc::clone(&self.plan);
        let (sender, receiver) = sync_channel(PREFETCHED_BATCHES);
        let remaining = batches.len();
        let worker = thread::spawn(move || {
            let order = plan.order(epoch);
            for index in batches {
                // The receiver is gone: the epoch was left early.
                if sender.send(plan.batch(epoch, &order, index)).is_err() {
                    return;
                }
            }
        });
        Batches {
            receiver: Some(receiver),
            worker: Some(worker),
            remaining,
        }
    }
}

impl Plan {
    /// Positions in the set, in the order of the epoch.
    fn order(&self, epoch: u64) -> Vec<u32> {
        match self.seed {
            Some(seed) => epoch_order(self.set.count(), seed, epoch),
            None => (0..self.set.count() as u32).collect(),
        }
    }

    fn batch(&self, epoch: u64, order: &[u32], index: usize) -> Batch {
        let range: Range<usize> = index * self.batch_size..self.images.min((index + 1) * self.batch_size);
        let from = self.set.shape();
        let [channels, height, width] = self.output_shape;
        let length = channels * height * width;
        let mut normalized = vec![0.0; from.iter().product()];
        let mut batch = Batch {
            index,
            images: vec![0.0; range.len() * length],
            shape: [range.len(), channels, height, width],
            labels: Vec::with_capacity(range.len()),
            records: Vec::with_capacity(range.len()),
        };
        for (&position, output) in order[range].iter().zip(batch.images.chunks_exact_mut(length)) {
            let position = position as usize;
            let record = self.set.record(position);
            self.normalization.apply(self.set.image(position), &mut normalized);
            let transform = match self.seed {
                Some(seed) => self.augmentation.draw(from, seed, epoch, record, index),
                None => self.augmentation.centre(from),
            };
            transform
                .expect("checked by Loader::new")
                .apply(&normalized, from, output, self.output_shape);
            batch.labels.push(i32::from(self.set.label(position)));
            batch.records.push(record);
        }
        batch
    }
}

/// The batches of one epoch, in order. Dropping it early stops its thread.
#[derive(Debug)]
pub struct Batches {
    receiver: Option<Receiver<Batch>>,
    worker: Option<JoinHandle<()>>,
    remaining: usize,
}

impl Iterator for Batches {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        let batch = self.receiver.as_ref()?.recv().ok();
        match batch {
            Some(_) => self.remaining -= 1,
            None => self.stop(),
        }
        batch
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.remaining, Some(self.remaining))
    }
}

impl ExactSizeIterator for Batches {}

impl Batches {
    /// End the thread: without a receiver its next send fails. A panic in it goes on here.
    fn stop(&mut self) {
        self.receiver = None;
        if let Some(Err(panic)) = self.worker.take().map(JoinHandle::join)
            && !thread::panicking()
        {
            panic::resume_unwind(panic);
        }
    }
}

impl Drop for Batches {
    fn drop(&mut self) {
        self.stop();
    }
}
