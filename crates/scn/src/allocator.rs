//! How the process keeps memory that it has freed.

/// Has the C library keep freed memory instead of returning it to the system.
///
/// Every step allocates the same tensors of tens of MiB. glibc maps such blocks anew each time, and the kernel clears
/// them page by page as they are touched first, which takes as long as a convolution that writes them.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) fn keep_memory() {
    const LARGEST: libc::c_int = libc::c_int::MAX;
    // SAFETY: no other thread runs yet; a setting that glibc refuses stays as it is.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGEST);
        libc::mallopt(libc::M_TRIM_THRESHOLD, LARGEST);
    }
}

/// Other C libraries decide for themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn keep_memory() {}
