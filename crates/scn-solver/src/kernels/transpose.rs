//! Transposed and interleaved vectors: values change between lanes, for which there is no portable instruction.

#[cfg(target_arch = "x86_64")]
use std::any::TypeId;

use pulp::Simd;

/// Writes the transpose of `S::F32_LANES` rows of as many values: row i begins at `i·pitch` of `source`, column i at
/// `i·columns` of `target`.
///
/// # Panics
/// Where a row or a column would end beyond its slice.
#[inline(always)]
pub(super) fn transpose<S: Simd>(_: S, source: &[f32], pitch: usize, target: &mut [f32], columns: usize) {
    let lanes = S::F32_LANES;
    assert!((lanes - 1) * pitch + lanes <= source.len() && (lanes - 1) * columns + lanes <= target.len());
    #[cfg(target_arch = "x86_64")]
    {
        if TypeId::of::<S>() == TypeId::of::<pulp::x86::V4>() {
            // SAFETY: the level has AVX-512, and rows and columns lie within the slices, as asserted.
            return unsafe { x86::transpose_16(source.as_ptr(), pitch, target.as_mut_ptr(), columns) };
        }
        if TypeId::of::<S>() == TypeId::of::<pulp::x86::V3>() {
            // SAFETY: as above, with AVX2.
            return unsafe { x86::transpose_8(source.as_ptr(), pitch, target.as_mut_ptr(), columns) };
        }
    }
    for (i, target) in target.chunks_mut(columns).take(lanes).enumerate() {
        for (j, target) in target[..lanes].iter_mut().enumerate() {
            *target = source[j * pitch + i];
        }
    }
}

/// Writes the first value of each of four vectors, the second of each, and so on; vector i begins at `i·pitch` of `source`.
///
/// # Panics
/// Where the vectors, or what is written, would end beyond the slices.
#[inline(always)]
pub(super) fn interleave<S: Simd>(_: S, source: &[f32], pitch: usize, target: &mut [f32]) {
    let lanes = S::F32_LANES;
    assert!(3 * pitch + lanes <= source.len() && 4 * lanes <= target.len());
    #[cfg(target_arch = "x86_64")]
    {
        if TypeId::of::<S>() == TypeId::of::<pulp::x86::V4>() {
            // SAFETY: the level has AVX-512, and all vectors lie within the slices, as asserted.
            return unsafe { x86::interleave_16(source.as_ptr(), pitch, target.as_mut_ptr()) };
        }
        if TypeId::of::<S>() == TypeId::of::<pulp::x86::V3>() {
            // SAFETY: as above, with AVX2.
            return unsafe { x86::interleave_8(source.as_ptr(), pitch, target.as_mut_ptr()) };
        }
    }
    for (i, target) in target.as_chunks_mut::<4>().0.iter_mut().take(lanes).enumerate() {
        for n in 0..4 {
            target[n] = source[n * pitch + i];
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    /// # Safety
    /// The processor has AVX-512; all rows and columns can be read and written.
    #[inline(always)]
    pub(super) unsafe fn transpose_16(source: *const f32, pitch: usize, target: *mut f32, columns: usize) {
        // SAFETY: as the caller says.
        unsafe {
            let mut rows = [_mm512_setzero_ps(); 16];
            for i in 0..16 {
                rows[i] = _mm512_loadu_ps(source.add(i * pitch));
            }
            // Pairs of rows, then fours of them, within each quarter of a vector.
            let mut pairs = rows;
            for i in 0..8 {
                pairs[2 * i] = _mm512_unpacklo_ps(rows[2 * i], rows[2 * i + 1]);
                pairs[2 * i + 1] = _mm512_unpackhi_ps(rows[2 * i], rows[2 * i + 1]);
            }
            let mut fours = pairs;
            for i in 0..4 {
                for half in 0..2 {
                    let low = _mm512_castps_pd(pairs[4 * i + half]);
                    let high = _mm512_castps_pd(pairs[4 * i + 2 + half]);
                    fours[4 * i + 2 * half] = _mm512_castpd_ps(_mm512_unpacklo_pd(low, high));
                    fours[4 * i + 2 * half + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low, high));
                }
            }
            // Column 4q + c has quarter q of the four vectors `fours[4·i + c]`.
            for c in 0..4 {
                let [a, b, d, e] = [fours[c], fours[4 + c], fours[8 + c], fours[12 + c]];
                let (ab, cd) = (_mm512_shuffle_f32x4::<0x44>(a, b), _mm512_shuffle_f32x4::<0x44>(d, e));
                let (ef, gh) = (_mm512_shuffle_f32x4::<0xee>(a, b), _mm512_shuffle_f32x4::<0xee>(d, e));
                let quarters = [
                    _mm512_shuffle_f32x4::<0x88>(ab, cd),
                    _mm512_shuffle_f32x4::<0xdd>(ab, cd),
                    _mm512_shuffle_f32x4::<0x88>(ef, gh),
                    _mm512_shuffle_f32x4::<0xdd>(ef, gh),
                ];
                for q in 0..4 {
                    _mm512_storeu_ps(target.add((4 * q + c) * columns), quarters[q]);
                }
            }
        }
    }

    /// # Safety
    /// The processor has AVX2; all rows and columns can be read and written.
    #[inline(always)]
    pub(super) unsafe fn transpose_8(source: *const f32, pitch: usize, target: *mut f32, columns: usize) {
        // SAFETY: as the caller says.
        unsafe {
            let mut rows = [_mm256_setzero_ps(); 8];
            for i in 0..8 {
                rows[i] = _mm256_loadu_ps(source.add(i * pitch));
            }
            for half in 0..2 {
                // Four columns of the upper four rows and of the lower four.
                let mut fours = [[_mm256_setzero_ps(); 2]; 2];
                for part in 0..2 {
                    let [a, b, c, d] = [
                        rows[4 * part],
                        rows[4 * part + 1],
                        rows[4 * part + 2],
                        rows[4 * part + 3],
                    ];
                    let (ab, cd) = match half {
                        0 => (_mm256_unpacklo_ps(a, b), _mm256_unpacklo_ps(c, d)),
                        _ => (_mm256_unpackhi_ps(a, b), _mm256_unpackhi_ps(c, d)),
                    };
                    fours[part] = [_mm256_shuffle_ps::<0x44>(ab, cd), _mm256_shuffle_ps::<0xee>(ab, cd)];
                }
                for c in 0..2 {
                    let low = _mm256_permute2f128_ps::<0x20>(fours[0][c], fours[1][c]);
                    let high = _mm256_permute2f128_ps::<0x31>(fours[0][c], fours[1][c]);
                    _mm256_storeu_ps(target.add((2 * half + c) * columns), low);
                    _mm256_storeu_ps(target.add((4 + 2 * half + c) * columns), high);
                }
            }
        }
    }

    /// # Safety
    /// The processor has AVX-512; four vectors can be read, and 64 values written.
    #[inline(always)]
    pub(super) unsafe fn interleave_16(source: *const f32, pitch: usize, target: *mut f32) {
        // SAFETY: as the caller says.
        unsafe {
            let ones_low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
            let ones_high = _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
            let twos_low = _mm512_setr_epi32(0, 1, 16, 17, 2, 3, 18, 19, 4, 5, 20, 21, 6, 7, 22, 23);
            let twos_high = _mm512_setr_epi32(8, 9, 24, 25, 10, 11, 26, 27, 12, 13, 28, 29, 14, 15, 30, 31);
            let [a, b] = [_mm512_loadu_ps(source), _mm512_loadu_ps(source.add(pitch))];
            let [c, d] = [
                _mm512_loadu_ps(source.add(2 * pitch)),
                _mm512_loadu_ps(source.add(3 * pitch)),
            ];
            for (half, ones) in [ones_low, ones_high].into_iter().enumerate() {
                let ab = _mm512_permutex2var_ps(a, ones, b);
                let cd = _mm512_permutex2var_ps(c, ones, d);
                let target = target.add(32 * half);
                _mm512_storeu_ps(target, _mm512_permutex2var_ps(ab, twos_low, cd));
                _mm512_storeu_ps(target.add(16), _mm512_permutex2var_ps(ab, twos_high, cd));
            }
        }
    }

    /// # Safety
    /// The processor has AVX2; four vectors can be read, and 32 values written.
    #[inline(always)]
    pub(super) unsafe fn interleave_8(source: *const f32, pitch: usize, target: *mut f32) {
        // SAFETY: as the caller says.
        unsafe {
            let [a, b] = [_mm256_loadu_ps(source), _mm256_loadu_ps(source.add(pitch))];
            let [c, d] = [
                _mm256_loadu_ps(source.add(2 * pitch)),
                _mm256_loadu_ps(source.add(3 * pitch)),
            ];
            let (ab, cd) = (_mm256_unpacklo_ps(a, b), _mm256_unpacklo_ps(c, d));
            let (ef, gh) = (_mm256_unpackhi_ps(a, b), _mm256_unpackhi_ps(c, d));
            // Lanes i and 4 + i of all four.
            let [zero, one] = [_mm256_shuffle_ps::<0x44>(ab, cd), _mm256_shuffle_ps::<0xee>(ab, cd)];
            let [two, three] = [_mm256_shuffle_ps::<0x44>(ef, gh), _mm256_shuffle_ps::<0xee>(ef, gh)];
            _mm256_storeu_ps(target, _mm256_permute2f128_ps::<0x20>(zero, one));
            _mm256_storeu_ps(target.add(8), _mm256_permute2f128_ps::<0x20>(two, three));
            _mm256_storeu_ps(target.add(16), _mm256_permute2f128_ps::<0x31>(zero, one));
            _mm256_storeu_ps(target.add(24), _mm256_permute2f128_ps::<0x31>(two, three));
        }
    }
}
