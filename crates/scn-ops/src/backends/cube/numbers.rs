//! Arithmetic on the numbers of a unit's pixels, which a vector holds, and the parts of the certificate
//! `ρ = ‖α − max(0, α − ∇/L)‖ / ‖α‖`.

use cubecl::prelude::*;

use crate::workgroup::PIXELS_PER_UNIT;

/// Four numbers, the most that one load of WGSL reads: of the pixels of a unit, or of a row of Q.
pub(super) type Four = Vector<f32, Const<4>>;

/// The bits of four numbers, or four sets of up to 32 elements.
pub(super) type Bits = Vector<u32, Const<4>>;

/// 1 where a number is NaN or infinite, else 0, by its bits: WGSL lets a compiler assume that comparisons meet neither.
#[cube]
pub(super) fn not_finite(numbers: Four) -> Four {
    let exponent = Bits::broadcast(0x7f80_0000u32);
    let bits = Bits::reinterpret(numbers) & exponent;
    one_where(bits.equal(&exponent))
}

/// The power of two below each positive number, within what has an inverse: problems are solved in units of it, so that
/// squares leave the range of f32 on no scale and not a bit depends on the scale.
#[cube]
pub(super) fn unit_below(numbers: Four) -> Four {
    let bits = Bits::reinterpret(numbers) & Bits::broadcast(0x7f80_0000u32);
    let bits = max(bits, Bits::broadcast(0x0080_0000u32));
    Four::reinterpret(min(bits, Bits::broadcast(0x7e00_0000u32)))
}

/// The inverse of a power of two of [`unit_below`].
#[cube]
pub(super) fn inverse_of_unit(units: Four) -> Four {
    Four::reinterpret(Bits::broadcast(0x7f00_0000u32) - Bits::reinterpret(units))
}

/// 1 where a number is 0, else 0.
#[cube]
pub(super) fn is_zero(numbers: Four) -> Four {
    one_where(numbers.equal(&Four::broadcast(0.0f32)))
}

/// 1 where a condition holds, else 0.
#[cube]
pub(super) fn one_where(condition: Vector<bool, Const<4>>) -> Four {
    select_many(condition, Four::broadcast(1.0f32), Four::broadcast(0.0f32))
}

/// Whether a number exceeds its bound.
#[cube]
pub(super) fn exceeds(numbers: Four, bounds: Four) -> bool {
    let mut found = false.runtime();
    #[unroll]
    for lane in 0..PIXELS_PER_UNIT {
        found = found || numbers.extract(lane) > bounds.extract(lane);
    }
    found
}

/// `numbers`, but `value` where `indicator` is 0.
#[cube]
pub(super) fn or_else(indicator: Four, numbers: Four, value: f32) -> Four {
    let zeros = Four::broadcast(0.0f32);
    select_many(indicator.greater_than(&zeros), numbers, Four::broadcast(value))
}

/// `1/value`, or 0 for 0: the update of an atom that is zero leaves its code as it is.
#[cube]
pub(super) fn inverse_or_zero(value: f32) -> f32 {
    let mut inverse = 0.0f32;
    if value > 0.0f32 {
        inverse = 1.0f32 / value;
    }
    inverse
}

/// The step bound `L`, or 1 for `Q = 0`, where every step length is as good.
#[cube]
pub(super) fn step_bound(lipschitz: f32) -> f32 {
    let mut bound = 1.0f32;
    if lipschitz > 0.0f32 {
        bound = lipschitz;
    }
    bound
}

/// `min(α, ∇/L)²`, an atom's part of `‖α − max(0, α − ∇/L)‖²` without the cancellation.
#[cube]
pub(super) fn squared_gap(code: Four, step: Four) -> Four {
    let gap = min(code, step);
    gap * gap
}

/// ρ from `‖α − max(0, α − ∇/L)‖²` and `‖α‖²`; for `α = 0` it is 0 at an optimum, else infinite.
#[cube]
pub(super) fn relative_residual(squared_gap: Four, squared_size: Four, infinity: f32) -> Four {
    let mut residual = Four::broadcast(0.0f32);
    #[unroll]
    for lane in 0..PIXELS_PER_UNIT {
        let (gap, size) = (squared_gap.extract(lane), squared_size.extract(lane));
        if gap > 0.0f32 {
            let mut ratio = infinity;
            if size > 0.0f32 {
                ratio = f32::sqrt(gap / size);
            }
            residual.insert(lane, ratio);
        }
    }
    residual
}
