//! `.npy` files, as CIFAR-10-C consists of them: headers of every form, and files that are none.

use scn_data::Noise;

use crate::cifar10_c_files::{IMAGES, data_dir, expect, image_path, read, start, write_npy};
use crate::files::write;

#[test]
fn headers_of_every_version_and_form_are_read() {
    let folder = data_dir("gaussian");
    let forms = [
        (1, IMAGES),
        (2, IMAGES),
        (3, IMAGES),
        (1, "{'shape':(50000,32,32,3),'fortran_order':False,'descr':'|u1'}"),
        (
            1,
            "{ \"shape\" : ( 50000L , 32L, 32L, 3L, ) , 'descr': \"|u1\", 'fortran_order' : False , } ",
        ),
    ];
    for (version, header) in forms {
        let start = start(version, header);
        let value: (u64, &[u8]) = (10_000 * 3072, &[77]);
        write_npy(&image_path(&folder, "gaussian"), &start, 50_000 * 3072, &[value]);
        assert_eq!(
            read(&folder, Noise::Gaussian, 2).unwrap().image(0)[0],
            77,
            "{version} {header}"
        );
    }
    // Headers up to 10,000 bytes.
    let mut long = start(2, IMAGES);
    long.resize(12 + 10_000, b' ');
    long[8..12].copy_from_slice(&10_000u32.to_le_bytes());
    write_npy(&image_path(&folder, "gaussian"), &long, 50_000 * 3072, &[]);
    read(&folder, Noise::Gaussian, 2).unwrap();
}

#[test]
fn files_that_are_no_npy_files_are_refused() {
    let folder = data_dir("gaussian");
    let file = image_path(&folder, "gaussian");
    let whole = start(1, IMAGES);
    let mut version = whole.clone();
    version[6] = 4;
    let mut minor = whole.clone();
    minor[7] = 1;
    let mut huge = start(2, IMAGES);
    huge[8..12].fill(0xff);
    let mut longer = start(2, IMAGES);
    longer[8..12].copy_from_slice(&10_001u32.to_le_bytes());
    let cases: [(&[u8], &str); 11] = [
        (b"", "ends before byte 6, expected a whole .npy header"),
        (&whole[..5], "ends before byte 6, expected a whole .npy header"),
        (&whole[..7], "ends before byte 8, expected a whole .npy header"),
        (&whole[..9], "ends before byte 10, expected a whole .npy header"),
        (&whole[..100], "ends before byte 128, expected a whole .npy header"),
        (
            b"PK\x03\x04 zip",
            "starts with the bytes [50, 4b, 03, 04, 20, 7a], expected [93, 4e, 55, 4d, 50, 59] of a",
        ),
        (b"<html></html>", "starts with the bytes [3c, 68, 74, 6d, 6c, 3e]"),
        (
            &version,
            "is in version 4.0 of the .npy format, expected 1.0, 2.0 or 3.0",
        ),
        (&minor, "is in version 1.1 of the .npy format"),
        (&huge, "has a header of 4294967295 bytes, expected at most 10000"),
        (&longer, "has a header of 10001 bytes, expected at most 10000"),
    ];
    for (bytes, part) in cases {
        write(&file, bytes);
        expect(&folder, &file, part);
    }
}

#[test]
fn headers_that_are_none_are_refused() {
    let folder = data_dir("gaussian");
    let file = image_path(&folder, "gaussian");
    for header in [
        "",
        "{}",
        "[1, 2]",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (50000, 32, 32, 3)",
        "{'descr': '|u1' 'fortran_order': False, 'shape': (50000, 32, 32, 3)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (50000, 32, 32, 3)} {}",
        "{'descr': '|u1', 'fortran_order': False}",
        "{'descr': '|u1', 'descr': '|u1', 'fortran_order': False, 'shape': (50000, 32, 32, 3)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (50000, 32, 32, 3), 'more': '1'}",
        "{'descr': '|u1', 'fortran_order': 0, 'shape': (50000, 32, 32, 3)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': [50000, 32, 32, 3]}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (-1, 32, 32, 3)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (50000, 32, 32, 99999999999999999999)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (50000)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (50000,,)}",
        "{'descr': [('r', '|u1')], 'fortran_order': False, 'shape': (50000, 32, 32, 3)}",
        "{'descr': '|u1\", 'fortran_order': False, 'shape': (50000, 32, 32, 3)}",
        "{'descr': '|u1",
    ] {
        write_npy(&file, &start(1, header), 50_000 * 3072, &[]);
        expect(
            &folder,
            &file,
            &format!("has the header {:?}, expected a dictionary", header),
        );
    }
    // Latin-1, as version 1.0 may hold, is no UTF-8.
    let mut latin = start(1, IMAGES);
    latin[21] = 0xe9;
    write_npy(&file, &latin, 50_000 * 3072, &[]);
    expect(&folder, &file, "has the header");
}
