//! Checkpoints that claim more than they hold are refused before anything is allocated for it.

use std::fs;

use serde_json::{Value, json};

use crate::common::{Bench, assert_says, edit, replace, with};

#[test]
fn what_a_description_claims_is_compared_with_its_tensors_first() {
    let bench = Bench::new();
    bench.finish(&with(&["--out", "run"], &["train.epochs=1", "data.train_images=16"]));
    let last = bench.path("run/checkpoints/last");
    let own = fs::read(last.join("model.json")).unwrap();
    type Claim = fn(&mut Value);
    let cases: [(Claim, &[&str]); 8] = [
        // Tens of gigabytes.
        (
            |model| {
                model["model"]["width"] = json!(64);
                model["model"]["first_width"] = json!(4096);
                model["model"]["kernel"] = json!(31);
            },
            &["`layers.1.coding.weight` has shape [16, 4, 3, 3], expected [1024, 4096, 31, 31]"],
        ),
        (
            |model| model["model"]["classes"] = json!(100_000),
            &["last/model.json: claims 100000 classes, its weights are of 10"],
        ),
        (
            |model| model["model"]["width"] = json!(1u64 << 40),
            &["last/model.json: model.`width` is 1099511627776: it must be a whole number from 1 to 64"],
        ),
        (
            |model| model["model"]["classes"] = json!(1u64 << 60),
            &["last/model.json: model.`classes` is 1152921504606846976"],
        ),
        (
            |model| model["data"]["augment"]["crop"] = json!(1_000_000_000u64),
            &["last/model.json: claims crops of 1000000000×1000000000 pixels: the images of digits are 8×8"],
        ),
        (
            |model| model["data"]["batch_size"] = json!(0),
            &["last/model.json: claims batches of 0 images: expected 1 to 1000000"],
        ),
        (
            |model| model["data"]["batch_size"] = json!(u64::MAX),
            &["last/model.json: 18446744073709551615 is too large"],
        ),
        (
            |model| model["normalization"]["shape"] = json!([1, 1_000_000, 1_000_000]),
            &["last/model.json: claims statistics of images [1, 1000000, 1000000]: those of digits are [1, 8, 8]"],
        ),
    ];
    for (claim, says) in cases {
        replace(&last, "model.json", Some(&own));
        edit(&last, "model.json", claim);
        // Two gigabytes, of which the program and its threads take less than one.
        let eval = ["eval", "run/checkpoints/last", "--device", "cpu", "--threads", "1"];
        let mut command = bench.shell("ulimit -v 2097152", &eval);
        let output = command.output().unwrap();
        let code = output.status.code().unwrap();
        assert_says(&output, code, says);
        assert!([1, 3].contains(&code));
    }
    replace(&last, "model.json", Some(&own));
    assert_says(
        &bench.other(&["eval", "run/checkpoints/last", "--device", "cpu"]),
        0,
        &[],
    );
}
