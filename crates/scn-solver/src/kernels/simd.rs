//! The SIMD levels of the tile kernels, chosen at run time.

use std::any::TypeId;
use std::sync::OnceLock;

use pulp::{Scalar128b, Simd, WithSimd};

use super::output::Unwritten;

/// An instruction set that the tile kernels are compiled for.
///
/// Each level has its own tile width, and tiles stop as one: results depend on the level in the last digits and
/// in the number of iterations, never on the number of threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SimdLevel {
    /// No assumption about the processor.
    Portable,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// x86-64 with AVX-512 (F, BW, CD, DQ, VL).
    Avx512,
    /// AArch64 with NEON.
    Neon,
}

/// The variable that forces a level in a whole process.
const VARIABLE: &str = "SCN_SIMD";

impl SimdLevel {
    const ALL: [SimdLevel; 4] = [SimdLevel::Avx512, SimdLevel::Avx2, SimdLevel::Neon, SimdLevel::Portable];

    /// The levels that this processor can run, fastest first.
    pub fn available() -> Vec<SimdLevel> {
        Self::ALL.into_iter().filter(|level| level.is_available()).collect()
    }

    /// The level that the process uses: the one named by the environment variable `SCN_SIMD` where this processor
    /// has it, else the fastest.
    pub fn detect() -> SimdLevel {
        static LEVEL: OnceLock<SimdLevel> = OnceLock::new();
        *LEVEL.get_or_init(|| Self::requested().ok().flatten().unwrap_or_else(|| Self::available()[0]))
    }

    /// What `SCN_SIMD` asks for, if it is set.
    ///
    /// # Errors
    /// A message where it names no level or one that this processor lacks.
    pub fn requested() -> Result<Option<SimdLevel>, String> {
        let Some(value) = std::env::var_os(VARIABLE) else {
            return Ok(None);
        };
        let available = Self::available();
        match available.iter().find(|level| value == level.name()) {
            Some(level) => Ok(Some(*level)),
            None => {
                let names: Vec<_> = available.iter().map(|level| level.name()).collect();
                Err(format!(
                    "{VARIABLE}={}: this processor offers {}",
                    value.display(),
                    names.join(", ")
                ))
            }
        }
    }

    /// The name that `SCN_SIMD` takes.
    pub fn name(self) -> &'static str {
        match self {
            SimdLevel::Portable => "portable",
            SimdLevel::Avx2 => "avx2",
            SimdLevel::Avx512 => "avx512",
            SimdLevel::Neon => "neon",
        }
    }

    fn is_available(self) -> bool {
        match self {
            SimdLevel::Portable => true,
            #[cfg(target_arch = "x86_64")]
            SimdLevel::Avx2 => pulp::x86::V3::try_new().is_some(),
            #[cfg(target_arch = "x86_64")]
            SimdLevel::Avx512 => pulp::x86::V4::try_new().is_some(),
            #[cfg(target_arch = "aarch64")]
            SimdLevel::Neon => pulp::aarch64::Neon::try_new().is_some(),
            #[allow(unreachable_patterns)]
            _ => false,
        }
    }

    /// Runs `task` with this level's instructions. Accumulators of `R` atoms × `V` vectors fill its registers.
    ///
    /// # Panics
    /// Where the processor lacks the level: take levels from [`SimdLevel::available`].
    pub(super) fn run<T: TileTask>(self, task: T) -> T::Output {
        match self {
            SimdLevel::Portable => Scalar128b.vectorize(Shaped::<T, 4, 2>(task)),
            #[cfg(target_arch = "x86_64")]
            SimdLevel::Avx2 => match pulp::x86::V3::try_new() {
                Some(simd) => Simd::vectorize(simd, Shaped::<T, 4, 3>(task)),
                None => self.missing(),
            },
            #[cfg(target_arch = "x86_64")]
            SimdLevel::Avx512 => match pulp::x86::V4::try_new() {
                Some(simd) => Simd::vectorize(simd, Shaped::<T, 8, 3>(task)),
                None => self.missing(),
            },
            #[cfg(target_arch = "aarch64")]
            SimdLevel::Neon => match pulp::aarch64::Neon::try_new() {
                Some(simd) => Simd::vectorize(simd, Shaped::<T, 8, 3>(task)),
                None => self.missing(),
            },
            #[allow(unreachable_patterns)]
            _ => self.missing(),
        }
    }

    /// The tile of this level; packed matrices come in blocks of its rows.
    pub(super) fn shape(self) -> TileShape {
        self.run(Shape)
    }

    fn missing(self) -> ! {
        panic!(
            "this processor lacks {}: take levels from SimdLevel::available",
            self.name()
        )
    }
}

/// Work that is compiled once for every level.
pub(super) trait TileTask {
    type Output;
    fn run<S: Simd, const R: usize, const V: usize>(self, simd: S) -> Self::Output;
}

/// What a SIMD level makes of a tile.
#[derive(Clone, Copy)]
pub(super) struct TileShape {
    /// Rows of an accumulator.
    pub(super) block: usize,
    /// Pixels of a vector.
    pub(super) lanes: usize,
    /// Pixels of a tile.
    pub(super) width: usize,
}

/// Reports the shape of a tile.
struct Shape;

impl TileTask for Shape {
    type Output = TileShape;

    #[inline(always)]
    fn run<S: Simd, const R: usize, const V: usize>(self, _: S) -> TileShape {
        TileShape {
            block: R,
            lanes: S::F32_LANES,
            width: V * S::F32_LANES,
        }
    }
}

struct Shaped<T, const R: usize, const V: usize>(T);

impl<T: TileTask, const R: usize, const V: usize> WithSimd for Shaped<T, R, V> {
    type Output = T::Output;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
        self.0.run::<S, R, V>(simd)
    }
}

/// `a·b + c`, fused where the processor does it in one instruction.
#[inline(always)]
pub(super) fn mul_add<S: Simd>(simd: S, a: S::f32s, b: S::f32s, c: S::f32s) -> S::f32s {
    // Without the instruction a fused product is a call into the C library.
    if TypeId::of::<S>() == TypeId::of::<Scalar128b>() {
        simd.add_f32s(simd.mul_f32s(a, b), c)
    } else {
        simd.mul_add_f32s(a, b, c)
    }
}

/// `c − a·b`, fused where the processor does it in one instruction.
#[inline(always)]
pub(super) fn subtract<S: Simd>(simd: S, a: S::f32s, b: S::f32s, c: S::f32s) -> S::f32s {
    if TypeId::of::<S>() == TypeId::of::<Scalar128b>() {
        simd.sub_f32s(c, simd.mul_f32s(a, b))
    } else {
        simd.negate_mul_add_f32s(a, b, c)
    }
}

/// `value` where the mask is set, 0 elsewhere.
#[inline(always)]
pub(super) fn masked<S: Simd>(simd: S, mask: S::f32s, value: S::f32s) -> S::f32s {
    let (mask, value) = (simd.transmute_u32s_f32s(mask), simd.transmute_u32s_f32s(value));
    simd.transmute_f32s_u32s(simd.and_u32s(mask, value))
}

/// Whether every lane of every vector is at most its limit; NaN is not.
#[inline(always)]
pub(super) fn all_within<S: Simd, const V: usize>(simd: S, values: [S::f32s; V], limits: [S::f32s; V]) -> bool {
    let (zero, one) = (simd.splat_f32s(0.0), simd.splat_f32s(1.0));
    let mut outside = zero;
    for v in 0..V {
        let within = simd.less_than_or_equal_f32s(values[v], limits[v]);
        outside = simd.max_f32s(outside, simd.select_f32s(within, zero, one));
    }
    simd.reduce_max_f32s(outside) == 0.0
}

/// Copies a short slice without a call; both have the same length.
#[inline(always)]
pub(super) fn copy(source: &[f32], target: &mut Unwritten) {
    let ((source, rest), (target, target_rest)) = (source.as_chunks::<8>(), target.as_chunks_mut::<8>());
    for (target, source) in target.iter_mut().zip(source) {
        for i in 0..8 {
            target[i].write(source[i]);
        }
    }
    for (target, source) in target_rest.iter_mut().zip(rest) {
        target.write(*source);
    }
}

/// Brings a value that is soon read to the second-level cache, where the processor can be asked to; nothing where it lies
/// beyond the slice.
#[inline(always)]
pub(super) fn prefetch(values: &[f32], at: usize) {
    #[cfg(target_arch = "x86_64")]
    if let Some(value) = values.get(at) {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: every x86-64 processor has the instruction, and it reads nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(std::ptr::from_ref(value).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (values, at);
}

/// Writes `map` of a short slice without a call; both have the same length.
#[inline(always)]
pub(super) fn map_into(source: &[f32], target: &mut [f32], map: impl Fn(f32) -> f32) {
    for (target, &source) in target.iter_mut().zip(source) {
        *target = map(source);
    }
}

/// A slice as rows of `V` vectors.
#[inline(always)]
pub(super) fn rows<S: Simd, const V: usize>(values: &[f32]) -> &[[S::f32s; V]] {
    S::as_simd_f32s(values).0.as_chunks::<V>().0
}

/// A mutable slice as rows of `V` vectors.
#[inline(always)]
pub(super) fn rows_mut<S: Simd, const V: usize>(values: &mut [f32]) -> &mut [[S::f32s; V]] {
    S::as_mut_simd_f32s(values).0.as_chunks_mut::<V>().0
}

/// Runs a block for each of the first `R ≤ 8` rows with the row as a constant. The compiler leaves triangular loops
/// over rows as loops, which puts their accumulators into memory.
macro_rules! for_each_row {
    ($rows:ident, $row:ident, $body:block) => {
        for_each_row!(@ $rows, $row, $body, 0 1 2 3 4 5 6 7)
    };
    (@ $rows:ident, $row:ident, $body:block, $($constant:literal)*) => {
        $(if $constant < $rows {
            #[allow(non_upper_case_globals)]
            const $row: usize = $constant;
            $body
        })*
    };
}
pub(super) use for_each_row;
