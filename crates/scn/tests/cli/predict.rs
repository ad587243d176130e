//! `scn predict` as its users run it: the logits are those that `scn eval` counts, and bad input is refused by name.

use std::fs;
use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use scn_train::checkpoint::Checkpoint;
use scn_train::{EvaluationSplit, Splits};

use crate::common::{refused, root, succeed, succeed_json};

fn write(path: &Path, tensors: &[(&str, Dtype, &[usize], Vec<u8>)]) {
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        let view = TensorView::new(*dtype, shape.to_vec(), bytes).unwrap();
        (*name, view)
    });
    fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

#[test]
fn logits_are_those_of_the_evaluation_and_bad_input_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let (run, input, out) = (place("run"), place("images.safetensors"), place("logits.safetensors"));
    let [run, input, out] = [&run, &input, &out].map(|path| path.to_str().unwrap());
    succeed(&[
        "train",
        "configs/quickstart.toml",
        "--out",
        run,
        "--set",
        "train.epochs=1",
        "--set",
        "data.train_images=96",
        "--set",
        "data.test_images=50",
        "--set",
        "data.batch_size=16",
    ]);
    let evaluation = succeed_json(&["eval", run, "--device", "cpu", "--json"]);

    let checkpoint = Path::new(evaluation["checkpoint"].as_str().unwrap());
    let description = Checkpoint::load(checkpoint).unwrap().description;
    let mut data = description.data;
    data.dir = root().join("datasets");
    let loader = Splits::evaluation(
        EvaluationSplit::Test,
        &data,
        description.seed,
        &description.normalization,
    )
    .unwrap();
    let (mut images, mut labels) = (Vec::new(), Vec::new());
    for batch in loader.epoch(0, 0) {
        images.extend(batch.images);
        labels.extend(batch.labels);
    }
    let count = labels.len();
    let tensor = |shape: &[usize], values: &[f32]| {
        write(Path::new(input), &[("images", Dtype::F32, shape, bytes(values))]);
    };
    tensor(&[count, 1, 8, 8], &images);
    let said = succeed(&["predict", run, input, "--out", out, "--device", "cpu"]);
    assert!(said.starts_with(&format!("logits [{count}, 10] of ")), "{said}");

    let file = fs::read(out).unwrap();
    let archive = SafeTensors::deserialize(&file).unwrap();
    let view = archive.tensor("logits").unwrap();
    assert_eq!((view.shape(), view.dtype()), (&[count, 10][..], Dtype::F32));
    let logits = view
        .data()
        .as_chunks::<4>()
        .0
        .iter()
        .map(|bytes| f64::from(f32::from_le_bytes(*bytes)));
    let logits: Vec<f64> = logits.collect();
    let (mut correct, mut loss) = (0, 0.0);
    for (row, &label) in logits.chunks(10).zip(&labels) {
        let (label, largest) = (label as usize, row.iter().copied().fold(f64::MIN, f64::max));
        correct += usize::from(row[label] == largest);
        loss += row.iter().map(|logit| (logit - largest).exp()).sum::<f64>().ln() + largest - row[label];
    }
    let close = |key: &str, found: f64| {
        let expected = evaluation[key].as_f64().unwrap();
        assert!(
            (found - expected).abs() < 1e-6 * expected,
            "{key}: {found}, evaluated {expected}"
        );
    };
    close("top1", 100.0 * correct as f64 / count as f64);
    close("loss", loss / count as f64);

    let refuse = |code: i32, part: &str| {
        let _ = fs::remove_file(out);
        refused(&["predict", run, input, "--out", out], code, &[part]);
        assert!(!Path::new(out).exists(), "{part}: something was written");
    };
    tensor(&[1, 3, 8, 8], &[0.0; 192]);
    refuse(
        3,
        "`images` has shape [1, 3, 8, 8], expected [b, 1, h, w], as the network was trained",
    );
    tensor(&[64], &[0.0; 64]);
    refuse(3, "`images` has shape [64], expected [b, c, h, w]");
    tensor(&[1, 1, 8, 8], &[f32::NAN; 64]);
    refuse(3, "`images` is NaN at [0, 0, 0, 0]");
    tensor(&[0, 1, 8, 8], &[]);
    refuse(3, "expected at least one value");
    write(Path::new(input), &[("pixels", Dtype::F32, &[1], bytes(&[0.0]))]);
    refuse(3, "holds `pixels`: expected `images` [b, c, h, w]");
    write(Path::new(input), &[("images", Dtype::I32, &[1, 1, 1, 1], vec![0; 4])]);
    refuse(3, "`images` is of type I32, expected F32 or F64");
    fs::write(input, b"no tensors").unwrap();
    refuse(3, "not a whole safetensors file");
    fs::remove_file(input).unwrap();
    refuse(3, "cannot read the images");
    refused(&["predict", run, input, "--out", run], 2, &[]);
}
