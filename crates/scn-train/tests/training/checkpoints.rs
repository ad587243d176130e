//! Checkpoints: what is read is what was written, and whatever is damaged is refused by name.

use std::fs;
use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use scn_data::ImageSet;
use scn_models::Model;
use scn_train::checkpoint::{self, Checkpoint, Description, Origin, State, TrainingImages};
use scn_train::tensors::{Array, Arrays, from_module, into_module};
use scn_train::{Optimizer, OptimizerConfig, Splits, TestTime};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::common::{assert_says, message, small};

const FILES: [&str; 4] = ["model.safetensors", "optimizer.safetensors", "state.json", "model.json"];

fn model(seed: u64) -> Model {
    Model::new(
        &small(&[]).experiment.model,
        [1, 8, 8],
        10,
        seed,
        &Device::flex().autodiff(),
    )
    .unwrap()
}

/// One whose step is `step` and whose values are awkward.
fn example(step: usize) -> Checkpoint {
    let experiment = small(&["data.mean=per-pixel"]).experiment;
    let splits = Splits::load(&experiment.data, 0).unwrap();
    let mut arrays = Arrays::new();
    let awkward = vec![
        0.0,
        -0.0,
        f32::MIN_POSITIVE,
        f32::from_bits(1),
        f32::MAX,
        -1.1,
        f32::EPSILON,
        1.0 / 3.0,
    ];
    arrays.insert(
        "b.weight".into(),
        Array {
            shape: vec![2, 4],
            values: awkward.clone(),
        },
    );
    arrays.insert(
        "a".into(),
        Array {
            shape: vec![1],
            values: vec![step as f32],
        },
    );
    arrays.insert(
        "empty".into(),
        Array {
            shape: vec![0],
            values: vec![],
        },
    );
    let optimizer = Arrays::from([(
        "b.weight".into(),
        Array {
            shape: vec![8],
            values: awkward,
        },
    )]);
    let state = State {
        epoch: 3,
        batch: 5,
        step,
        seconds: 0.1 + 0.2,
        images: 12345,
        epoch_seconds: 1.0 / 3.0,
        train_loss: Some(2.0f64.sqrt()),
        validation_top1: Some(100.0 * 11.0 / 12.0),
        best_top1: Some(f64::from_bits(0x4056_eaaa_aaaa_aaab)),
        ..State::start()
    };
    let description = Description {
        model: experiment.model,
        data: experiment.data,
        seed: 7,
        normalization: splits.normalization,
        test_time: TestTime::None,
    };
    Checkpoint {
        model: arrays,
        unaveraged: None,
        optimizer,
        state,
        description,
        origin: None,
    }
}

fn bits(arrays: &Arrays) -> Vec<(&String, &Vec<usize>, Vec<u32>)> {
    arrays
        .iter()
        .map(|(name, a)| (name, &a.shape, a.values.iter().map(|v| v.to_bits()).collect()))
        .collect()
}

#[track_caller]
fn assert_same(found: &Checkpoint, expected: &Checkpoint) {
    assert_eq!(found, expected);
    assert_eq!(bits(&found.model), bits(&expected.model));
    assert_eq!(bits(&found.optimizer), bits(&expected.optimizer));
}

/// Replaces a file and what the manifest says about it.
fn replace(folder: &Path, name: &str, bytes: &[u8]) {
    fs::write(folder.join(name), bytes).unwrap();
    let digest: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    edit_manifest(folder, |manifest| {
        manifest["files"][name] = serde_json::json!({ "bytes": bytes.len(), "sha256": digest });
    });
}

fn edit_manifest(folder: &Path, edit: impl FnOnce(&mut Value)) {
    let path = folder.join("manifest.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    edit(&mut manifest);
    fs::write(path, manifest.to_string()).unwrap();
}

#[test]
fn are_read_back_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let (last, previous) = (folder.path().join("last"), folder.path().join("previous"));
    example(1).save(&last, Some(&previous)).unwrap();
    assert_same(&Checkpoint::load(&last).unwrap(), &example(1));
    assert!(!previous.exists());
    for step in [2, 3] {
        example(step).save(&last, Some(&previous)).unwrap();
        assert_same(&Checkpoint::load(&last).unwrap(), &example(step));
        assert_same(&Checkpoint::load(&previous).unwrap(), &example(step - 1));
    }
    // `best` keeps no predecessor, and nothing else is left.
    let best = folder.path().join("best");
    example(4).save(&best, None).unwrap();
    example(5).save(&best, None).unwrap();
    assert_same(&Checkpoint::load(&best).unwrap(), &example(5));
    let mut names: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["best", "last", "previous"]);
}

#[test]
fn leftovers_of_a_crash_are_cleared_away() {
    let folder = tempfile::tempdir().unwrap();
    let (last, previous) = (folder.path().join("last"), folder.path().join("previous"));
    fs::create_dir(folder.path().join(".last.part")).unwrap();
    fs::write(folder.path().join(".last.part/model.safetensors"), "half").unwrap();
    fs::write(&last, "a file").unwrap();
    fs::write(&previous, "a file").unwrap();
    example(1).save(&last, Some(&previous)).unwrap();
    assert_same(&Checkpoint::load(&last).unwrap(), &example(1));
}

#[test]
fn not_finite_sums_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut checkpoint = example(1);
    checkpoint.state.seconds = f64::INFINITY;
    checkpoint.state.train_loss = None;
    checkpoint.save(&folder.path().join("last"), None).unwrap();
    assert_same(&Checkpoint::load(&folder.path().join("last")).unwrap(), &checkpoint);
}

#[test]
fn every_damaged_file_is_named() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("last");
    let load = || message(Checkpoint::load(&folder).unwrap_err(), root.path());
    for name in FILES {
        let file = folder.join(name);
        let fresh = || {
            example(1).save(&folder, None).unwrap();
            fs::read(&file).unwrap()
        };
        let bytes = fresh();
        let (whole, short) = (bytes.len(), bytes.len() - 1);
        fs::write(&file, &bytes[..short]).unwrap();
        assert_eq!(
            load(),
            format!("last/{name}: damaged: {short} bytes, expected {whole} bytes")
        );

        let mut longer = fresh();
        longer.push(0);
        fs::write(&file, &longer).unwrap();
        assert_says(&load(), &[&format!("last/{name}: damaged: {} bytes", whole + 1)]);

        fs::write(&file, "").unwrap();
        assert_says(&load(), &[&format!("last/{name}: damaged: 0 bytes")]);

        for at in [0, whole / 2, whole - 1] {
            let mut flipped = fresh();
            flipped[at] ^= 4;
            fs::write(&file, &flipped).unwrap();
            assert_says(&load(), &[&format!("last/{name}: damaged: SHA-256 "), ", expected "]);
        }

        fresh();
        fs::remove_file(&file).unwrap();
        assert_says(&load(), &[&format!("last/{name}: cannot read: ")]);

        fresh();
        edit_manifest(&folder, |manifest| {
            drop(manifest["files"].as_object_mut().unwrap().remove(name))
        });
        assert_eq!(load(), format!("last/manifest.json: no entry for {name}"));
    }
}

#[test]
fn a_damaged_manifest_is_named() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("last");
    let manifest = folder.join("manifest.json");
    let load = || message(Checkpoint::load(&folder).unwrap_err(), root.path());
    example(1).save(&folder, None).unwrap();
    let whole = fs::read(&manifest).unwrap();

    for garbage in ["", "garbage", "[]", "{\"format\": 1}", "\u{0}\u{0}"] {
        fs::write(&manifest, garbage).unwrap();
        assert_says(&load(), &["last/manifest.json: "]);
    }
    fs::write(&manifest, &whole).unwrap();
    edit_manifest(&folder, |manifest| manifest["format"] = 2.into());
    assert_eq!(load(), "last/manifest.json: format 2, this program reads format 1");
    fs::remove_file(&manifest).unwrap();
    assert_says(&load(), &["last/manifest.json: cannot read: "]);

    // One flipped bit anywhere: refused, or, in a blank or a name that is not used, harmless.
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        fs::write(&manifest, &flipped).unwrap();
        if let Ok(found) = Checkpoint::load(&folder) {
            assert_same(&found, &example(1));
        }
    }

    fs::remove_dir_all(&folder).unwrap();
    assert_says(&load(), &["last/manifest.json: cannot read: "]);
    fs::write(&folder, "a file").unwrap();
    assert_says(&load(), &["last/manifest.json: cannot read: "]);
}

#[test]
fn whole_files_with_wrong_content_are_named() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("last");
    let load = || message(Checkpoint::load(&folder).unwrap_err(), root.path());
    let doubles = [0u8; 16];
    let f64s = safetensors::serialize([("x", TensorView::new(Dtype::F64, vec![2], &doubles).unwrap())], None).unwrap();
    for name in &FILES[..2] {
        example(1).save(&folder, None).unwrap();
        replace(&folder, name, b"garbage");
        assert_says(&load(), &[&format!("last/{name}: not a safetensors file (")]);
        replace(&folder, name, &f64s);
        assert_eq!(load(), format!("last/{name}: tensor `x` is F64, expected F32"));
    }
    for name in &FILES[2..] {
        example(1).save(&folder, None).unwrap();
        for garbage in ["", "garbage", "[]", "{}", "{\"epoch\": -1}"] {
            replace(&folder, name, garbage.as_bytes());
            assert_says(&load(), &[&format!("last/{name}: ")]);
        }
    }
    example(1).save(&folder, None).unwrap();
    let state = fs::read_to_string(folder.join("state.json")).unwrap();
    replace(
        &folder,
        "state.json",
        state.replace("\"0.30000000000000004\"", "\"many\"").as_bytes(),
    );
    assert_says(&load(), &["last/state.json: expected a number, found \"many\""]);
}

#[test]
fn safetensors_are_readable_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("last");
    let mut checkpoint = example(1);
    checkpoint.model = from_module(&model(3));
    checkpoint.save(&path, None).unwrap();
    let bytes = fs::read(path.join("model.safetensors")).unwrap();
    let archive = SafeTensors::deserialize(&bytes).unwrap();
    let weight = archive.tensor("layers.0.coding.weight").unwrap();
    assert_eq!((weight.dtype(), weight.shape()), (Dtype::F32, &[4, 1, 3, 3][..]));
    let mut names = archive.names();
    names.retain(|name| name.starts_with("layers.13.") || !name.starts_with("layers."));
    names.sort();
    let expected = [
        "classifier.bias",
        "classifier.weight",
        "layers.13.coding.lambda1",
        "layers.13.coding.weight",
        "layers.13.norm.running_mean",
        "layers.13.norm.running_var",
        "norm.running_mean",
        "norm.running_var",
    ];
    assert_eq!(names, expected);
}

#[test]
fn a_model_takes_all_its_tensors_and_only_those() {
    let arrays = from_module(&model(1));
    let other = into_module(model(2), &arrays).unwrap();
    assert_eq!(from_module(&other), arrays);
    assert_eq!(from_module(&other.valid()), arrays);

    let path = Path::new("checkpoints/last");
    let mut checkpoint = example(1);
    checkpoint.model = arrays;
    let array = checkpoint.model.remove("classifier.bias").unwrap();
    checkpoint.model.insert("strange".into(), array.clone());
    checkpoint.model.insert("layers.2.norm.running_var".into(), array);
    let error = checkpoint.restore_model(path, model(2)).unwrap_err().to_string();
    let expected = "checkpoints/last/model.safetensors: its tensors are not those of the model: \
                    `classifier.bias` is missing; `layers.2.norm.running_var` has shape [10], expected [16]; \
                    `strange` is unknown";
    assert_eq!(error, expected);

    let mut optimizer = Optimizer::new(OptimizerConfig::default(), None);
    let error = checkpoint
        .restore_optimizer(path, &mut optimizer, &model(2), &Device::flex())
        .unwrap_err()
        .to_string();
    assert_says(
        &error,
        &[
            "checkpoints/last/optimizer.safetensors: its tensors are not those of the model: ",
            "`layers.0.coding.lambda1` is missing",
            "`b.weight` is unknown",
        ],
    );
    assert!(!error.contains("running"), "{error}");
}

#[test]
fn weights_beside_their_average_are_kept_and_asked_for_by_training_alone() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("last");
    let load = || Checkpoint::load(&folder).unwrap();
    let (average, stepped) = (from_module(&model(1)), from_module(&model(2)));
    let averaged = Checkpoint {
        model: average.clone(),
        unaveraged: Some(stepped.clone()),
        ..example(1)
    };
    averaged.save(&folder, None).unwrap();
    assert_same(&load(), &averaged);
    let bytes = |name: &str| fs::read(folder.join(name)).unwrap();
    assert_ne!(bytes("model.safetensors"), bytes("unaveraged.safetensors"));
    let path = Path::new("checkpoints/last");
    assert_eq!(from_module(&load().restore_model(path, model(3)).unwrap()), average);
    assert_eq!(
        from_module(&load().restore_training(path, model(3), true).unwrap()),
        stepped
    );
    let refused = |averaged| {
        let error = load().restore_training(path, model(3), averaged).unwrap_err();
        error.to_string()
    };
    assert_eq!(
        refused(false),
        "checkpoints/last/unaveraged.safetensors: is of training with train.ema, which this run has not; put this run's \
         own checkpoint back"
    );

    // Of training without an average, and of older programs, there is none.
    let plain = Checkpoint {
        model: average.clone(),
        ..example(1)
    };
    plain.save(&folder, None).unwrap();
    assert!(!folder.join("unaveraged.safetensors").exists());
    assert_same(&load(), &plain);
    assert_eq!(
        from_module(&load().restore_training(path, model(3), false).unwrap()),
        average
    );
    assert_eq!(
        refused(true),
        "checkpoints/last/unaveraged.safetensors: is missing: the run has train.ema, and a checkpoint of it holds the \
         weights besides their average; put this run's own checkpoint back"
    );

    averaged.save(&folder, None).unwrap();
    fs::write(folder.join("unaveraged.safetensors"), "").unwrap();
    let error = message(Checkpoint::load(&folder).unwrap_err(), root.path());
    assert_says(&error, &["last/unaveraged.safetensors: damaged: 0 bytes, expected "]);
}

#[test]
fn the_newest_good_one_is_used() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path();
    assert!(checkpoint::newest(folder).unwrap().is_none());
    assert!(checkpoint::newest(&folder.join("none")).unwrap().is_none());
    // A folder that a crash left half written counts for nothing.
    fs::create_dir(folder.join(".last.part")).unwrap();
    assert!(checkpoint::newest(folder).unwrap().is_none());

    let path = |name: &str| folder.join(name);
    for (step, name) in [(1, "best"), (2, "previous"), (3, "last")] {
        example(step).save(&path(name), None).unwrap();
    }
    let newest = || {
        let checkpoint::Found {
            name,
            checkpoint,
            passed_over,
            ..
        } = checkpoint::newest(folder).unwrap().unwrap();
        let reasons: Vec<_> = passed_over.iter().map(|other| message(&other.reason, folder)).collect();
        (name, checkpoint.state.step, reasons)
    };
    assert_eq!(newest(), ("last", 3, vec![]));

    let damage = |file: &str| {
        let mut bytes = fs::read(path(file)).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(path(file), bytes).unwrap();
    };
    damage("last/model.safetensors");
    let (name, step, reasons) = newest();
    assert_eq!((name, step, reasons.len()), ("previous", 2, 1));
    assert_says(&reasons[0], &["last/model.safetensors: damaged: SHA-256 "]);

    fs::remove_file(path("previous/state.json")).unwrap();
    let (name, step, reasons) = newest();
    assert_eq!((name, step, reasons.len()), ("best", 1, 2));
    assert_says(&reasons[1], &["previous/state.json: cannot read: "]);

    fs::write(path("best/manifest.json"), "").unwrap();
    let error = message(checkpoint::newest(folder).unwrap_err(), folder);
    let parts = [
        ".: none of its checkpoints can be used: ",
        "last/model.safetensors: damaged",
        "previous/state.json: cannot read",
        "best/manifest.json: ",
        "start a new run, or restore a checkpoint from a backup",
    ];
    assert_says(&error, &parts);

    // Where `last` is missing, as between two renames of a save, the one before is used.
    fs::remove_dir_all(path("last")).unwrap();
    example(2).save(&path("previous"), None).unwrap();
    assert_eq!(newest(), ("previous", 2, vec![]));
}

#[test]
fn the_steps_made_decide_what_is_newest() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path();
    for (step, name) in [(9, "best"), (7, "previous"), (5, "last")] {
        example(step).save(&folder.join(name), None).unwrap();
    }
    let newest = || {
        let found = checkpoint::newest(folder).unwrap().unwrap();
        let passed_over: Vec<_> = found.passed_over.iter().map(|other| other.name).collect();
        (found.name, found.checkpoint.state.step, passed_over)
    };
    assert_eq!(newest(), ("best", 9, vec![]));
    // Its step is known to be the highest, though its weights are lost.
    fs::write(folder.join("best/model.safetensors"), "half").unwrap();
    assert_eq!(newest(), ("previous", 7, vec!["best"]));
    // Of equals, the one that is most trusted.
    example(7).save(&folder.join("last"), None).unwrap();
    assert_eq!(newest(), ("last", 7, vec!["best"]));
    let preferred = checkpoint::preferred(folder).unwrap().unwrap();
    assert_eq!(preferred.name, "last");
    let notices: Vec<_> = preferred.notices().map(|notice| message(notice, folder)).collect();
    assert_eq!(notices.len(), 1);
    assert_says(
        &notices[0],
        &["best/model.safetensors: damaged: ", "; using checkpoints/last instead"],
    );
    example(3).save(&folder.join("best"), None).unwrap();
    assert_eq!(checkpoint::preferred(folder).unwrap().unwrap().name, "best");
}

#[test]
fn what_a_checkpoint_was_made_with_is_read_back_or_not_there() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("last");
    let mut checkpoint = example(1);
    checkpoint.origin = Some(Origin {
        version: "1.2.3".into(),
        commit: None,
        device: "cpu: flex, avx2".into(),
        simd: "avx2".into(),
        training: TrainingImages {
            images: 3,
            sha256: "ab".into(),
        },
    });
    checkpoint.save(&folder, None).unwrap();
    assert_same(&Checkpoint::load(&folder).unwrap(), &checkpoint);
    // It is verified as the others are.
    fs::write(folder.join("origin.json"), "{}").unwrap();
    let error = message(Checkpoint::load(&folder).unwrap_err(), root.path());
    assert_says(&error, &["last/origin.json: damaged: 2 bytes"]);
    // One that has none takes its place with all its files.
    example(2).save(&folder, None).unwrap();
    assert_eq!(Checkpoint::load(&folder).unwrap().origin, None);
    assert!(!folder.join("origin.json").exists());
}

#[test]
fn the_digest_of_training_images_is_of_shape_labels_and_pixels_in_order() {
    let of = |shape, pixels: &[u8], labels: &[u16]| {
        TrainingImages::of(&ImageSet::new(shape, 255, pixels.to_vec(), labels.to_vec()))
    };
    let found = of([1, 1, 2], &[1, 2, 3, 4], &[5, 0x102]);
    let mut bytes = Vec::new();
    for length in [1u64, 1, 2] {
        bytes.extend(length.to_le_bytes());
    }
    bytes.extend([5, 0, 1, 2, 2, 1, 3, 4]);
    let digest: String = Sha256::digest(&bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!((found.images, &found.sha256), (2, &digest));
    for other in [
        of([1, 2, 1], &[1, 2, 3, 4], &[5, 0x102]),
        of([1, 1, 2], &[1, 2, 3, 5], &[5, 0x102]),
        of([1, 1, 2], &[1, 2, 3, 4], &[5, 0x103]),
        of([1, 1, 2], &[3, 4, 1, 2], &[0x102, 5]),
    ] {
        assert_ne!(other.sha256, found.sha256);
    }
    // Subsets in the order of their positions.
    let set = ImageSet::new([1, 1, 2], 255, vec![9, 9, 1, 2, 3, 4], vec![7, 5, 0x102]);
    assert_eq!(TrainingImages::of(&set.select(&[1, 2])), found);
}
