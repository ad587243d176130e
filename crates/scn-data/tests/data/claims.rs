//! Files that claim too much are refused before anything is allocated for what they claim.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::path::Path;

use scn_data::{DatasetKind, Noise, Split, read, verify};

use crate::cifar10_c_files::{IMAGES, data_dir, expect, image_path, label_path, start, write_npy};
use crate::files::{MNIST_TEST, expect_refusal, gzip, idx, idx_test_images, write, write_idx_test, write_sparse};

/// Largest allocation that refusing a file may take: buffers of reading and decompressing.
const ENOUGH: usize = 1 << 20;

thread_local! {
    /// The largest allocation of this thread, in bytes.
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, which keeps the size of each thread's largest allocation.
struct Watched;

#[global_allocator]
static ALLOCATOR: Watched = Watched;

fn note(bytes: usize) {
    // A thread that ends has no value any more.
    let _ = LARGEST.try_with(|largest| largest.set(largest.get().max(bytes)));
}

// SAFETY: every call goes on to the system's allocator as it is.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: as promised by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: as promised by the caller.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        // SAFETY: as promised by the caller.
        unsafe { System.realloc(place, layout, size) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as promised by the caller.
        unsafe { System.dealloc(place, layout) }
    }
}

/// The largest allocation of some work, in bytes.
fn largest_allocation(work: impl FnOnce()) -> usize {
    LARGEST.with(|largest| largest.set(0));
    work();
    LARGEST.with(Cell::get)
}

/// Check that a test split is refused, with these words, without a large allocation.
fn expect_frugal_refusal(kind: DatasetKind, data_dir: &Path, file: &str, parts: &[&str]) {
    let bytes = largest_allocation(|| expect_refusal(kind, data_dir, file, parts));
    assert!(bytes <= ENOUGH, "{kind}, {file}: {bytes} bytes at once");
}

#[test]
fn the_watch_sees_what_reading_allocates() {
    let bytes = largest_allocation(|| drop(read(DatasetKind::Digits, Split::Train, Path::new("")).unwrap()));
    assert!(bytes >= 1797 * 64, "{bytes} bytes");
}

#[test]
fn lengths_are_checked_first() {
    for (kind, file, length) in [
        (DatasetKind::Cifar10, "cifar-10-batches-bin/test_batch.bin", 1 << 34),
        (DatasetKind::Cifar100, "cifar-100-binary/test.bin", 30_739_999),
        (DatasetKind::Stl10, "stl10_binary/test_X.bin", 221_183_999),
        (DatasetKind::Stl10, "stl10_binary/test_X.bin", 1 << 34),
    ] {
        let folder = tempfile::tempdir().unwrap();
        write_sparse(&folder.path().join(file), length, &[]);
        write(&folder.path().join("stl10_binary/test_y.bin"), &[1; 8000]);
        expect_frugal_refusal(kind, folder.path(), file, &[&format!("holds {length} bytes, expected")]);
    }
}

#[test]
fn headers_of_idx_files_are_checked_first() {
    let claims = [
        ([u32::MAX, 28, 28], "dimensions [4294967295, 28, 28]"),
        ([u32::MAX; 3], "dimensions [4294967295, 4294967295, 4294967295]"),
        ([10_000, 1 << 31, 28], "dimensions [10000, 2147483648, 28]"),
    ];
    for (dimensions, found) in claims {
        let file = idx(&dimensions, &[0; 784]);
        for bytes in [gzip(&file), file] {
            let folder = tempfile::tempdir().unwrap();
            write_idx_test(folder.path(), "mnist", &MNIST_TEST);
            write(&folder.path().join("mnist/t10k-images-idx3-ubyte"), &bytes);
            expect_frugal_refusal(
                DatasetKind::Mnist,
                folder.path(),
                "mnist/t10k-images-idx3-ubyte",
                &[
                    found,
                    "expected the bytes [00, 00, 08, 03] and the dimensions [10000, 28, 28]",
                ],
            );
        }
    }
    // A plain file that starts well and ends early, or does not end.
    for length in [100, 1 << 34] {
        let folder = tempfile::tempdir().unwrap();
        write_idx_test(folder.path(), "mnist", &MNIST_TEST);
        let start = &idx_test_images()[..100];
        let file = "mnist/t10k-images-idx3-ubyte";
        write_sparse(&folder.path().join(file), length, &[(0, start)]);
        let found = format!("holds {length} bytes, expected 7840016");
        expect_frugal_refusal(DatasetKind::Mnist, folder.path(), file, &[&found]);
    }
}

#[test]
fn a_gzip_bomb_is_left_soon_after_the_official_length() {
    let folder = tempfile::tempdir().unwrap();
    write_idx_test(folder.path(), "mnist", &MNIST_TEST);
    // Whole images, then a gigabyte of zeros in members of 16 MiB.
    let mut bytes = gzip(&idx_test_images());
    let member = gzip(&vec![0; 1 << 24]);
    (0..64).for_each(|_| bytes.extend_from_slice(&member));
    let file = "mnist/t10k-images-idx3-ubyte";
    write(&folder.path().join(file), &bytes);
    let parts = [
        "holds at least 8",
        "bytes after decompression, expected 7840016",
        "bytes after its end",
    ];
    let largest = largest_allocation(|| expect_refusal(DatasetKind::Mnist, folder.path(), file, &parts));
    // The images themselves were read.
    assert!(largest < 10 << 20, "{largest} bytes at once");
    let report = verify(DatasetKind::Mnist, folder.path()).unwrap();
    let images = report.files.iter().find(|file| file.name == "t10k-images-idx3-ubyte");
    let problem = images.unwrap().problem.as_deref().unwrap();
    assert!(problem.contains("holds at least 8"), "{problem}");

    // Zeros from the start are no images, however many follow.
    write(&folder.path().join(file), &member.repeat(64));
    let parts = ["the bytes [00, 00, 00, 00] and the dimensions [0, 0, 0]"];
    expect_frugal_refusal(DatasetKind::Mnist, folder.path(), file, &parts);
}

#[test]
fn headers_of_npy_files_are_checked_first() {
    let folder = data_dir("gaussian");
    let file = image_path(&folder, Noise::Gaussian.name());
    let refused = |part: &str, file: &Path| {
        let bytes = largest_allocation(|| expect(&folder, file, part));
        // The labels of one severity are read before the images.
        assert!(bytes <= ENOUGH, "{part}: {bytes} bytes at once");
    };
    for shape in [
        "18446744073709551615, 18446744073709551615, 18446744073709551615, 18446744073709551615",
        "1099511627776, 32, 32, 3",
    ] {
        write_npy(&file, &start(1, &IMAGES.replace("50000, 32, 32, 3", shape)), 3072, &[]);
        refused(&format!("shape [{shape}]"), &file);
    }
    write_npy(&file, &start(1, IMAGES), 3072, &[]);
    refused("holds 3200 bytes, expected 153600128", &file);
    let labels = "{'descr': '|u1', 'fortran_order': False, 'shape': (1099511627776,), }";
    write_npy(&label_path(&folder), &start(1, labels), 50_000, &[]);
    refused("shape [1099511627776]", &label_path(&folder));
}
