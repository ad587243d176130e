//! Memory for results, which tasks write in full: to clear it first would cost as much again, on one thread.

use std::mem::MaybeUninit;

/// Values that are still to be written.
pub(super) type Unwritten = [MaybeUninit<f32>];

/// Memory for so many values.
pub(super) fn unwritten(len: usize) -> Vec<MaybeUninit<f32>> {
    let mut values = Vec::with_capacity(len);
    // SAFETY: memory that is not initialised is a value of `MaybeUninit`.
    unsafe { values.set_len(len) };
    values
}

/// The values, once they were written.
///
/// # Safety
/// Every one was.
pub(super) unsafe fn all_written(values: Vec<MaybeUninit<f32>>) -> Vec<f32> {
    let mut values = std::mem::ManuallyDrop::new(values);
    // SAFETY: the vector's own parts; `MaybeUninit<f32>` lies in memory as f32 does, and all are initialised.
    unsafe { Vec::from_raw_parts(values.as_mut_ptr().cast(), values.len(), values.capacity()) }
}

/// Values that were written.
///
/// # Safety
/// Every one was.
#[inline(always)]
pub(super) unsafe fn written(values: &mut Unwritten) -> &mut [f32] {
    // SAFETY: as the caller says.
    unsafe { values.assume_init_mut() }
}

/// Initialised values as memory that is to be written.
#[inline(always)]
pub(super) fn rewritten(values: &mut [f32]) -> &mut Unwritten {
    let values: *mut [f32] = values;
    // SAFETY: the two lie in memory alike. No function of this crate makes memory less initialised than it was.
    unsafe { &mut *(values as *mut Unwritten) }
}
