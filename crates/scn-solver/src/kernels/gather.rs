//! Vectors of values from a place of its own for each lane, for which there is no portable instruction.

#[cfg(target_arch = "x86_64")]
use std::any::TypeId;

use pulp::{Simd, bytemuck};

/// The value at its place for each lane.
///
/// # Safety
/// All places lie within `source`, which has at most 2³¹ values.
#[inline(always)]
pub(super) unsafe fn gather<S: Simd>(simd: S, source: &[f32], places: S::u32s) -> S::f32s {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_mm256_i32gather_ps, _mm512_i32gather_ps};
        // SAFETY: the level has the instructions, its vectors are those of the processor, and the places are as the
        // caller says.
        unsafe {
            if TypeId::of::<S>() == TypeId::of::<pulp::x86::V4>() {
                return bytemuck::cast(_mm512_i32gather_ps::<4>(bytemuck::cast(places), source.as_ptr()));
            }
            if TypeId::of::<S>() == TypeId::of::<pulp::x86::V3>() {
                return bytemuck::cast(_mm256_i32gather_ps::<4>(source.as_ptr(), bytemuck::cast(places)));
            }
        }
    }
    let mut values = [simd.splat_f32s(0.0)];
    let places: &[u32] = bytemuck::cast_slice(std::slice::from_ref(&places));
    let lanes: &mut [f32] = bytemuck::cast_slice_mut(&mut values);
    for (value, &place) in lanes.iter_mut().zip(places) {
        // SAFETY: as the caller says.
        *value = unsafe { *source.get_unchecked(place as usize) };
    }
    values[0]
}
