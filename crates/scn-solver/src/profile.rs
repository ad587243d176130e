//! Where the time of the kernels goes: sums by part for the whole process, switched on for a measurement.
//!
//! While they are off, timing costs one relaxed load. Seconds are those of threads: two threads that work for a second
//! spend two. What every thread waits for counts once for each of them, so that the parts of a stretch of work never
//! exceed its wall time multiplied by the threads.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

/// What time is spent on. The operations that count are those on pixels of images, 2 for a multiply-add.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Q, its largest eigenvalue and their packing, once for each layer and pass; its operations are not counted.
    Systems,
    /// The forward solves: `n²` multiply-adds a pixel and sweep or iteration, the certificate included.
    Sweeps,
    /// Of the backward systems: codes and gradients of a tile, the active atoms, and their matrices. No operations.
    Gathering,
    /// Of the backward systems: factors, solutions and residuals, `k³/6 + k²` multiply-adds for k active atoms.
    Factorising,
    /// The backward systems that are left to sweeps, `n²` multiply-adds a pixel and sweep.
    BackwardSweeps,
    /// Copying images, or gradients, to where windows are read from; normalising or transforming them. No operations.
    Planes,
    /// `Dᵀx`, `mn` multiply-adds a pixel. In this part as in the next two those of the direct product count, also where
    /// Winograd's filtering makes a quarter of them: the rate can exceed the peak.
    Product,
    /// `Σ xγᵀ` and `Σ αγᵀ`, `mn` and `n²` multiply-adds a pixel.
    WeightGradient,
    /// `Dγ`, `mn` multiply-adds a pixel.
    Adjoint,
    /// Batch normalisation in training, forward and backward; its operations are not counted.
    BatchNorm,
    /// The optimiser; its operations are not counted.
    Optimizer,
}

const PARTS: usize = Part::ALL.len();

impl Part {
    /// All of them, in their order.
    pub const ALL: [Self; 11] = [
        Self::Systems,
        Self::Sweeps,
        Self::Gathering,
        Self::Factorising,
        Self::BackwardSweeps,
        Self::Planes,
        Self::Product,
        Self::WeightGradient,
        Self::Adjoint,
        Self::BatchNorm,
        Self::Optimizer,
    ];
    /// Those of the solves, forward and backward.
    pub const SOLVER: &[Self] = &[
        Self::Systems,
        Self::Sweeps,
        Self::Gathering,
        Self::Factorising,
        Self::BackwardSweeps,
    ];
    /// Those of the products around them, and of convolutions.
    pub const CONVOLUTION: &[Self] = &[Self::Planes, Self::Product, Self::WeightGradient, Self::Adjoint];

    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Systems => "systems",
            Self::Sweeps => "sweeps",
            Self::Gathering => "gathering",
            Self::Factorising => "factorising",
            Self::BackwardSweeps => "backward sweeps",
            Self::Planes => "planes",
            Self::Product => "product",
            Self::WeightGradient => "weight gradient",
            Self::Adjoint => "adjoint",
            Self::BatchNorm => "batch norm",
            Self::Optimizer => "optimizer",
        }
    }
}

static ON: AtomicBool = AtomicBool::new(false);
static NANOSECONDS: [AtomicU64; PARTS] = [const { AtomicU64::new(0) }; PARTS];
static FLOPS: [AtomicU64; PARTS] = [const { AtomicU64::new(0) }; PARTS];

/// What one part took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spent {
    /// Seconds, summed over threads.
    pub seconds: f64,
    /// Floating-point operations on pixels of images, 2 for a multiply-add; padding is not counted.
    pub flops: u64,
}

impl Spent {
    /// 10⁹ operations per second of `threads` threads that do nothing else; 0 where nothing was done.
    pub fn gigaflops(&self, threads: usize) -> f64 {
        if self.flops == 0 {
            return 0.0;
        }
        self.flops as f64 * threads as f64 / self.seconds.max(f64::MIN_POSITIVE) / 1e9
    }
}

/// What was spent between [`start`] and [`stop`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Profile {
    parts: [Spent; PARTS],
}

impl Profile {
    /// What a part took.
    pub fn of(&self, part: Part) -> Spent {
        self.parts[part as usize]
    }

    /// What some parts took together.
    pub fn of_all(&self, parts: &[Part]) -> Spent {
        let mut total = Spent::default();
        for spent in parts.iter().map(|&part| self.of(part)) {
            total.seconds += spent.seconds;
            total.flops += spent.flops;
        }
        total
    }
}

/// Sets the sums to zero and switches them on. A process has one set of sums: measurements must not overlap.
pub fn start() {
    NANOSECONDS
        .iter()
        .chain(&FLOPS)
        .for_each(|sum| sum.store(0, Ordering::Relaxed));
    ON.store(true, Ordering::Relaxed);
}

/// Switches the sums off and returns them.
pub fn stop() -> Profile {
    ON.store(false, Ordering::Relaxed);
    Profile {
        parts: std::array::from_fn(|part| Spent {
            seconds: NANOSECONDS[part].load(Ordering::Relaxed) as f64 / 1e9,
            flops: FLOPS[part].load(Ordering::Relaxed),
        }),
    }
}

/// Adds to the sums, if they are on.
pub fn record(part: Part, nanoseconds: u64, flops: u64) {
    if ON.load(Ordering::Relaxed) {
        NANOSECONDS[part as usize].fetch_add(nanoseconds, Ordering::Relaxed);
        FLOPS[part as usize].fetch_add(flops, Ordering::Relaxed);
    }
}

/// Runs `work`, for which every thread waits.
pub fn timed<T>(part: Part, work: impl FnOnce() -> T) -> T {
    let mut stopwatch = Stopwatch::start();
    let result = work();
    stopwatch.lap_all(part);
    result
}

/// Divides a stretch of one thread's work into laps. It keeps its own sums until it is dropped, so that threads do not
/// contend for the shared ones.
#[derive(Debug)]
pub struct Stopwatch {
    /// The end of the last lap; `None` where the sums are off.
    last: Option<Instant>,
    nanoseconds: [u64; PARTS],
    flops: [u64; PARTS],
}

impl Stopwatch {
    /// Begins the first lap.
    pub fn start() -> Self {
        Self {
            last: ON.load(Ordering::Relaxed).then(Instant::now),
            nanoseconds: [0; PARTS],
            flops: [0; PARTS],
        }
    }

    /// Ends a lap in which this thread worked on `part`.
    #[inline]
    pub fn lap(&mut self, part: Part, flops: u64) {
        if self.last.is_some() {
            self.nanoseconds[part as usize] += self.end();
            self.flops[part as usize] += flops;
        }
    }

    /// Ends a lap in which every thread waited for this one, or for what it had them do.
    pub fn lap_all(&mut self, part: Part) {
        if self.last.is_some() {
            self.nanoseconds[part as usize] += self.end() * rayon::current_num_threads() as u64;
        }
    }

    /// Ends a lap that is timed elsewhere.
    pub fn skip(&mut self) {
        if self.last.is_some() {
            self.end();
        }
    }

    /// Nanoseconds of the lap that ends now.
    fn end(&mut self) -> u64 {
        let now = Instant::now();
        let lap = self.last.replace(now).map(|last| now - last).unwrap_or_default();
        lap.as_nanos() as u64
    }
}

impl Drop for Stopwatch {
    fn drop(&mut self) {
        if self.last.is_some() {
            for part in Part::ALL {
                record(part, self.nanoseconds[part as usize], self.flops[part as usize]);
            }
        }
    }
}
