//! Powers of two that bring the numbers of a problem to about 1. Multiplying by them rounds nothing, so that a problem
//! and its multiple by a power of two are solved by the same digits, and squares neither overflow nor vanish.

use pulp::Simd;

use crate::kernels::simd::{rows, rows_mut};

/// Bits of the mantissa of an f32.
const MANTISSA: u32 = 23;

/// A power of two that takes `largest > 0` into 1..2, and its inverse; both are 1 for 0. Subnormal numbers and the
/// largest ones come as near as normal powers of two allow.
pub(crate) fn to_unit(largest: f32) -> [f32; 2] {
    if largest == 0.0 {
        return [1.0; 2];
    }
    let exponent = (largest.to_bits() >> MANTISSA).clamp(1, 253);
    [254 - exponent, exponent].map(|exponent| f32::from_bits(exponent << MANTISSA))
}

/// [`to_unit`] of each lane; where all is 0 the scale is some power of two.
#[inline(always)]
pub(crate) fn lanes_to_unit<S: Simd>(simd: S, largest: S::f32s) -> [S::f32s; 2] {
    let (least, most) = (f32::from_bits(1 << MANTISSA), f32::from_bits(253 << MANTISSA));
    let (least, most) = (simd.splat_f32s(least), simd.splat_f32s(most));
    let largest = simd.transmute_u32s_f32s(simd.min_f32s(simd.max_f32s(largest, least), most));
    let exponent = simd.and_u32s(largest, simd.splat_u32s(0xff << MANTISSA));
    let inverse = simd.sub_u32s(simd.splat_u32s(254 << MANTISSA), exponent);
    [simd.transmute_f32s_u32s(inverse), simd.transmute_f32s_u32s(exponent)]
}

/// Multiplies the rows of a tile by one factor for each pixel.
#[inline(always)]
pub(crate) fn multiply_rows<S: Simd, const V: usize>(simd: S, values: &mut [f32], factors: &[f32]) {
    let factors = rows::<S, V>(factors)[0];
    for values in rows_mut::<S, V>(values) {
        for v in 0..V {
            values[v] = simd.mul_f32s(values[v], factors[v]);
        }
    }
}
