//! Scratch memory on cache-line boundaries, so that no vector load crosses one.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; LINE]);

const LINE: usize = 16;

/// Values that a thread keeps for later tasks at most (8 MiB), as memory that is new to a process costs more than to
/// write it.
const KEPT: usize = 1 << 21;

thread_local! {
    /// Memory of scratch that was dropped, and how many lines it has.
    static DROPPED: RefCell<(Vec<Vec<Line>>, usize)> = const { RefCell::new((Vec::new(), 0)) };
}

/// `f32` values that start on a 64-byte boundary.
pub(super) struct Aligned {
    lines: Vec<Line>,
    len: usize,
}

impl Aligned {
    /// Zeros.
    pub(super) fn zeros(len: usize) -> Self {
        let mut values = Self::unspecified(len);
        values.fill(0.0);
        values
    }

    /// Any values, for what is written before it is read.
    pub(super) fn unspecified(len: usize) -> Self {
        let needed = len.div_ceil(LINE);
        let kept = DROPPED.try_with(|dropped| {
            let (dropped, kept) = &mut *dropped.borrow_mut();
            let fitting = (0..dropped.len()).filter(|&i| dropped[i].len() >= needed);
            let smallest = fitting.min_by_key(|&i| dropped[i].len())?;
            // Much larger memory is left to those who need it.
            (dropped[smallest].len() <= 2 * needed).then(|| {
                *kept -= dropped[smallest].len();
                dropped.swap_remove(smallest)
            })
        });
        let lines = kept.ok().flatten();
        Self {
            lines: lines.unwrap_or_else(|| vec![Line([0.0; LINE]); needed]),
            len,
        }
    }
}

impl Drop for Aligned {
    fn drop(&mut self) {
        let lines = std::mem::take(&mut self.lines);
        // A thread that ends keeps nothing.
        let _ = DROPPED.try_with(|dropped| {
            let (dropped, kept) = &mut *dropped.borrow_mut();
            if (*kept + lines.len()) * LINE <= KEPT {
                *kept += lines.len();
                dropped.push(lines);
            }
        });
    }
}

impl Deref for Aligned {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: `Line` is sixteen f32 without padding, and `len` values lie within the lines.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as in `deref`, and the borrow is unique.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}
