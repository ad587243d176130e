//! The reader of safetensors: what a file claims is what it holds, or the claim is named.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Write;

use scn_interop::archive::{Archive, ArchiveError, Dtype, read};
use serde_json::{Value, json};

/// A file with this header in front of some bytes.
fn file(header: &Value, data: &[u8]) -> Vec<u8> {
    let header = header.to_string();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.bytes());
    bytes.extend(data);
    bytes
}

fn entry(dtype: &str, shape: Value, offsets: [u64; 2]) -> Value {
    json!({ "dtype": dtype, "shape": shape, "data_offsets": offsets })
}

/// The message about bytes that are refused, which must be that about a file of these bytes.
fn refused(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, bytes).unwrap();
    let (of_file, of_bytes) = (read(&path).unwrap_err(), Archive::parse(bytes).unwrap_err());
    assert_eq!(of_file.to_string(), of_bytes.to_string());
    of_bytes.to_string()
}

#[test]
fn tensors_of_every_type_are_read() {
    let header = json!({
        "__metadata__": { "format": "pt" },
        "half": entry("F16", json!([2]), [12, 16]),
        "single": entry("F32", json!([1, 2]), [0, 8]),
        "brain": entry("BF16", json!([1]), [16, 18]),
        "byte": entry("U8", json!([]), [18, 19]),
        "none": entry("I64", json!([0, 5]), [19, 19]),
        "integer": entry("I32", json!([1]), [8, 12]),
    });
    let mut data = Vec::new();
    data.extend([1.5f32, -2.0].iter().flat_map(|value| value.to_le_bytes()));
    data.extend((-7i32).to_le_bytes());
    // 1 and −0.5 in half precision; 2 in bfloat16.
    data.extend([0x00, 0x3c, 0x00, 0xb8, 0x00, 0x40, 9]);
    let bytes = file(&header, &data);
    let archive = Archive::parse(&bytes).unwrap();
    let names: Vec<_> = archive.names().collect();
    assert_eq!(names, ["brain", "byte", "half", "integer", "none", "single"]);
    for (name, shape, values) in [
        ("brain", &[1][..], &[2.0][..]),
        ("byte", &[], &[9.0]),
        ("half", &[2], &[1.0, -0.5]),
        ("integer", &[1], &[-7.0]),
        ("none", &[0, 5], &[]),
        ("single", &[1, 2], &[1.5, -2.0]),
    ] {
        let view = archive.get(name).unwrap();
        assert_eq!(
            (&view.shape[..], &view.numbers().unwrap()[..]),
            (shape, values),
            "{name}"
        );
    }
    assert_eq!(archive.get("half").unwrap().dtype, Dtype::F16);
    assert_eq!(archive.floats("single").unwrap().position(1), [0, 1]);
    for (name, message) in [
        ("half", "`half` is of type F16, expected F32 or F64: convert it"),
        ("absent", "`absent` is missing"),
    ] {
        assert_eq!(archive.floats(name).unwrap_err().to_string(), message);
    }
}

#[test]
fn what_claims_too_much_is_refused_by_its_claim() {
    let one = |entry: Value| json!({ "x": entry });
    let of = |entry: Value, data: &[u8]| refused(&file(&one(entry), data));
    assert_eq!(
        refused(b"abc"),
        "it holds 3 bytes, and its first 8 should tell the length of its header"
    );
    assert_eq!(
        refused(&[255; 64]),
        "its header claims 18446744073709551615 bytes, the file holds 56 after its first 8"
    );
    // 2⁴⁰ values, with and without offsets that say so.
    assert_eq!(
        of(entry("F32", json!([1u64 << 40]), [0, 8]), &[0; 8]),
        "`x` claims F32 of shape [1099511627776], which is 35184372088832 bits, in 8 bytes"
    );
    assert_eq!(
        of(entry("F32", json!([1u64 << 40]), [0, 1 << 42]), &[0; 8]),
        "its tensors claim 4398046511104 bytes, the file holds 8 of them"
    );
    assert_eq!(
        of(entry("F64", json!([1u64 << 32, 1u64 << 32]), [0, 8]), &[0; 8]),
        "`x` claims shape [4294967296, 4294967296], more values than can be counted"
    );
    assert_eq!(
        of(entry("F32", json!([1]), [4, 8]), &[0; 8]),
        "`x` claims the bytes from 4 to 8, those before it end at 0"
    );
    assert_eq!(
        of(entry("F32", json!([1]), [0, u64::MAX]), &[0; 4]),
        "`x` claims F32 of shape [1], which is 32 bits, in 18446744073709551615 bytes"
    );
    assert_eq!(
        of(entry("F32", json!([1]), [0, 4]), &[0; 5]),
        "its tensors claim 4 bytes, the file holds 5 of them"
    );
    let overlap = json!({ "x": entry("F32", json!([1]), [0, 4]), "y": entry("F32", json!([1]), [0, 4]) });
    assert_eq!(
        refused(&file(&overlap, &[0; 4])),
        "`y` claims the bytes from 0 to 4, those before it end at 4"
    );
    for (header, part) in [
        (one(entry("F32", json!([1.5]), [0, 4])), "expected usize"),
        (one(entry("F99", json!([1]), [0, 4])), "unknown variant `F99`"),
        (json!([1]), "expected a map"),
    ] {
        let message = refused(&file(&header, &[0; 4]));
        assert!(
            message.starts_with("its header is no list of tensors: ") && message.contains(part),
            "{message}"
        );
    }
    let twice =
        r#"{"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"x":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#;
    let mut bytes = (twice.len() as u64).to_le_bytes().to_vec();
    bytes.extend(twice.bytes().chain([0, 0]));
    assert!(refused(&bytes).contains("`x` is listed twice"));
}

#[test]
fn a_sparse_file_is_refused_before_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sparse");
    let mut sparse = fs::File::create(&path).unwrap();
    // A header of 2⁴⁰ bytes in a file that is as long, of which nothing is on the disk.
    sparse.write_all(&(1u64 << 40).to_le_bytes()).unwrap();
    sparse.set_len((1 << 40) + 8).unwrap();
    let error = read(&path).unwrap_err();
    assert!(
        matches!(error, ArchiveError::HugeHeader(claimed) if claimed == 1 << 40),
        "{error}"
    );
}

#[test]
fn every_shortened_file_is_refused() {
    let whole = file(&json!({ "x": entry("F32", json!([2]), [0, 8]) }), &[0; 8]);
    assert_eq!(Archive::parse(&whole).unwrap().floats("x").unwrap().values, [0.0, 0.0]);
    for length in 0..whole.len() {
        assert!(Archive::parse(&whole[..length]).is_err(), "{length} bytes");
    }
}
