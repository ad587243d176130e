//! The study of files of weights.

use std::path::Path;

use burn::tensor::TensorData;
use scn_interop::tensors::{Array, Arrays, to_safetensors};
use scn_study::StudyError;
use scn_study::theory::dictionary::{CodeNorms, Options, Report, study};

use crate::common::{Columns, normal, sparse};

type Tensors<'a> = &'a [(&'a str, &'a [usize], &'a [f64])];

fn write(path: &Path, tensors: Tensors) {
    let array = |&(name, shape, values): &(&str, &[usize], &[f64])| {
        let values = TensorData::new(values.to_vec(), shape.to_vec()).iter::<f32>().collect();
        let shape = shape.to_vec();
        (name.to_owned(), Array { shape, values })
    };
    let arrays: Arrays = tensors.iter().map(array).collect();
    std::fs::write(path, to_safetensors(&arrays)).unwrap();
}

fn studied(tensors: Tensors, stride: usize, patch: Option<usize>) -> Result<Report, StudyError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    write(&path, tensors);
    study(&path, Options { stride, patch })
}

/// As a file in f32 holds it.
fn rounded(values: &[f64]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value as f32)).collect()
}

#[test]
fn a_file_is_what_its_matrix_says() {
    let (shape, codes_shape) = ([6, 2, 4, 4], [3, 6, 5, 8]);
    let weight = rounded(&normal(shape.iter().product(), 1));
    let codes = sparse(codes_shape.iter().product(), 2);
    for stride in [1, 2, 4] {
        let report = studied(
            &[("weight", &shape, &weight), ("codes", &codes_shape, &codes)],
            stride,
            Some(3),
        )
        .unwrap();
        let whole = Columns::of(&weight, shape, stride, 1, [4, 4]).coherence();
        assert!(
            (report.coherence - whole).abs() < 1e-12,
            "{stride}: {} {whole}",
            report.coherence
        );
        assert_eq!(report.uniqueness_bound, Some((1.0 + 1.0 / report.coherence) / 2.0));
        assert_eq!(report.stability_bound, Some((1.0 + 1.0 / report.coherence) / 3.0));
        // Rows and columns from the middle of a stripe to its end.
        let reach = 3 / stride;
        let most = |window: &dyn Fn(usize, usize, usize, usize) -> bool| {
            let mut most = 0;
            for image in codes.chunks(6 * 40) {
                for (y, x) in (0..5).flat_map(|y| (0..8).map(move |x| (y, x))) {
                    let inside = |&(i, code): &(usize, &f64)| *code != 0.0 && window(i / 8 % 5, i % 8, y, x);
                    most = most.max(image.iter().enumerate().filter(inside).count());
                }
            }
            most
        };
        let norms = report.codes.unwrap();
        assert_eq!(
            norms.stripe_norm,
            most(&|r, c, y, x| r.abs_diff(y) <= reach && c.abs_diff(x) <= reach)
        );
        assert_eq!(
            norms.patch_norm,
            most(&|r, c, y, x| (y..y + 3).contains(&r) && (x..x + 3).contains(&c))
        );
    }
    let report = studied(&[("weight", &shape, &weight), ("codes", &codes_shape, &codes)], 1, None).unwrap();
    let most = codes
        .chunks(6 * 40)
        .map(|image| image.iter().filter(|code| **code != 0.0).count())
        .max()
        .unwrap();
    let CodeNorms { patch_norm, patch, .. } = report.codes.unwrap();
    assert_eq!((patch_norm, patch), (most, None));
}

#[test]
fn reports_have_the_fields_that_are_promised() {
    let json = |tensors: Tensors| serde_json::to_value(studied(tensors, 1, None).unwrap()).unwrap();
    let orthogonal = [1.0, 0.0, 0.0, 1.0];
    let report = json(&[("weight", &[2, 2, 1, 1], &orthogonal)]);
    assert_eq!(report["coherence"], 0.0);
    for name in ["uniqueness_bound", "stability_bound", "coherent_pair"] {
        assert!(
            report.get(name).is_some_and(serde_json::Value::is_null),
            "{name} in {report}"
        );
    }
    assert!(report.get("stripe_norm").is_none() && report.get("patch_norm").is_none());
    // The codes of an atom of zeros are left out with it.
    let zero = [1.0, 0.0, 0.0, 0.0];
    let codes = [0.0, 3.0, 5.0, 5.0];
    let report = json(&[("weight", &[2, 2, 1, 1], &zero), ("codes", &[1, 2, 1, 2], &codes)]);
    assert_eq!(report["zero_atoms"], serde_json::json!([1]));
    assert_eq!((&report["stripe_norm"], &report["patch_norm"]), (&1.into(), &1.into()));
}

#[test]
fn what_is_no_dictionary_is_refused() {
    let refused = |tensors: Tensors, patch: Option<usize>, parts: &[&str]| {
        let message = studied(tensors, 1, patch).unwrap_err().to_string();
        for part in parts.iter().chain(&["weights.safetensors: "]) {
            assert!(message.contains(part), "no {part:?} in: {message}");
        }
    };
    let ones = [1.0; 64];
    let weight: (&str, &[usize], &[f64]) = ("weight", &[4, 1, 2, 2], &ones[..16]);
    refused(
        &[("other", &[1], &[1.0])],
        None,
        &["`weight` is missing", "weight [n, c, k, k]"],
    );
    refused(&[("weight", &[4, 4], &ones[..16])], None, &["[4, 4]", "[n, c, k, k]"]);
    refused(&[("weight", &[4, 1, 4, 1], &ones[..16])], None, &["[4, 1, 4, 1]"]);
    refused(
        &[("weight", &[0, 1, 2, 2], &[])],
        None,
        &["[0, 1, 2, 2]", "at least one value"],
    );
    refused(
        &[("weight", &[1, 1, 1, 2], &[1.0, f64::NAN])],
        None,
        &["NaN", "[0, 0, 0, 1]"],
    );
    refused(
        &[("weight", &[2, 1, 1, 1], &[0.0, -0.0])],
        None,
        &["each of the 2 atoms is zero"],
    );
    refused(
        &[weight, ("codes", &[1, 3, 2, 2], &ones[..12])],
        None,
        &["[1, 3, 2, 2]", "[b, 4, h, w]"],
    );
    refused(
        &[weight, ("codes", &[4, 2, 2], &ones[..16])],
        None,
        &["[4, 2, 2]", "[b, 4, h, w]"],
    );
    refused(
        &[weight, ("codes", &[1, 4, 2, 2], &[f64::INFINITY; 16])],
        None,
        &["inf", "finite"],
    );
    refused(
        &[weight, ("codes", &[1, 4, 2, 3], &ones[..24])],
        Some(3),
        &["[1, 4, 2, 3]", "--patch 3"],
    );

    let huge = vec![1.0; 3000 * 3000];
    refused(
        &[("weight", &[1, 1, 3000, 3000], &huge)],
        None,
        &["multiply-adds", "1e13"],
    );

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let options = Options { stride: 1, patch: None };
    assert!(matches!(study(&path, options), Err(StudyError::Weights { .. })));
    write(&path, &[weight]);
    let bytes = std::fs::read(&path).unwrap();
    for length in [0, 4, 20, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..length]).unwrap();
        assert!(
            matches!(study(&path, options), Err(StudyError::Weights { .. })),
            "{length}"
        );
    }
}
