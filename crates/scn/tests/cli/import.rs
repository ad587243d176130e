//! `scn import` and `scn export` as their users run them: what is exported and imported computes the same, and what
//! cannot be imported is refused by name and leaves nothing behind.

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use scn_data::{DatasetKind, Normalization};
use scn_interop::tensors::{Arrays, from_module, from_safetensors, to_safetensors};
use scn_models::{Model, ModelConfig};
use scn_train::checkpoint::{Checkpoint, Description, State};
use scn_train::{DataConfig, TestTime};

use crate::common::{refused, root, succeed};

/// Paths in a folder that goes away.
struct Places(tempfile::TempDir);

impl Places {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// A checkpoint of a new network for CIFAR-10; no two of its batch norms are alike.
fn save_checkpoint(kind: &str, path: &Path) {
    let config = ModelConfig::new(kind.parse().unwrap()).with_defaults(10);
    let model = Model::new(&config, [3, 32, 32], 10, 1, &Device::flex()).unwrap();
    let mut tensors = from_module(&model);
    for (i, array) in tensors
        .values_mut()
        .enumerate()
        .filter(|(_, array)| array.shape.len() == 1)
    {
        for (j, value) in array.values.iter_mut().enumerate() {
            *value += (i as f32 + j as f32 / 512.0) / 100.0;
        }
    }
    let checkpoint = Checkpoint {
        model: tensors,
        unaveraged: None,
        optimizer: Arrays::new(),
        state: State::start(),
        description: Description {
            model: config,
            data: DataConfig::new(DatasetKind::Cifar10),
            seed: 1,
            normalization: Normalization::given([3, 32, 32], 255, vec![0.5; 3], vec![0.25; 3]).unwrap(),
            test_time: TestTime::None,
        },
        origin: None,
    };
    checkpoint.save(path, None).unwrap();
}

fn read(path: &Path) -> Arrays {
    from_safetensors(&fs::read(path).unwrap()).unwrap()
}

/// Four images of waves.
fn save_images(path: &Path) {
    let values = (0..4 * 3 * 32 * 32).map(|i| (i as f32 * 0.37).sin());
    let bytes: Vec<u8> = values.flat_map(f32::to_le_bytes).collect();
    let view = TensorView::new(Dtype::F32, vec![4, 3, 32, 32], &bytes).unwrap();
    fs::write(path, safetensors::serialize([("images", view)], None).unwrap()).unwrap();
}

#[test]
fn an_imported_network_computes_what_the_exported_one_did() {
    let places = Places::new();
    let text = |name: &str| places.text(name);
    save_checkpoint("resnet18", &places.path("ours"));
    save_images(&places.path("images"));
    let said = succeed(&["export", &text("ours"), "--out", &text("weights.safetensors")]);
    let published = read(&places.path("weights.safetensors"));
    let (ours, out) = (text("ours"), text("weights.safetensors"));
    assert_eq!(said, format!("{} tensors of {ours} in {out}\n", published.len()));

    // As a program would save it that runs on several GPUs and keeps the stem in a sequence.
    let renamed = published.iter().map(|(name, array)| {
        let name = match name.split_once('.') {
            Some(("conv1", rest)) => format!("layer0.0.{rest}"),
            Some(("bn1", rest)) => format!("layer0.1.{rest}"),
            _ => name.clone(),
        };
        (format!("module.{name}"), array.clone())
    });
    fs::write(places.path("parallel"), to_safetensors(&renamed.collect())).unwrap();

    for (file, folder) in [("weights.safetensors", "first"), ("parallel", "second")] {
        let said = succeed(&["import", &text(file), "--model", "resnet18", "--out", &text(folder)]);
        assert_eq!(
            said,
            format!("resnet18 for CIFAR-10 of {} in {}\n", text(file), text(folder))
        );
        let checkpoint = Checkpoint::load(&places.path(folder)).unwrap();
        assert_eq!(checkpoint.model, read(&places.path("ours/model.safetensors")));
        assert_eq!((checkpoint.optimizer.len(), checkpoint.state), (0, State::start()));
        let description = checkpoint.description;
        assert_eq!(description.model.classes, Some(10));
        assert_eq!(description.normalization.mean(), [0.4914, 0.4822, 0.4465]);
    }
    let logits = |folder: &str| {
        let (images, out) = (text("images"), text("logits"));
        succeed(&["predict", &text(folder), &images, "--out", &out, "--device", "cpu"]);
        let file = fs::read(&out).unwrap();
        SafeTensors::deserialize(&file)
            .unwrap()
            .tensor("logits")
            .unwrap()
            .data()
            .to_vec()
    };
    assert_eq!(logits("first"), logits("ours"));

    // The weights of the checkpoint itself are not written over.
    let model = text("first/model.safetensors");
    refused(
        &["export", &text("first"), "--out", &model],
        2,
        &["is the checkpoint itself"],
    );
}

#[test]
fn what_cannot_be_imported_is_refused_and_leaves_nothing() {
    let places = Places::new();
    let text = |name: &str| places.text(name);
    save_checkpoint("sdnet18", &places.path("ours"));
    succeed(&["export", &text("ours"), "--out", &text("weights")]);
    let published = read(&places.path("weights"));
    let mut changed = published.clone();
    changed.remove("layer1.0.conv1.weight");
    let bias = changed.remove("linear.bias").unwrap();
    changed.insert("layer9.bias".into(), bias);
    changed.get_mut("layer0.1.weight").unwrap().shape = vec![8, 8];
    fs::write(places.path("changed"), to_safetensors(&changed)).unwrap();
    let mut few = published;
    for name in ["linear.weight", "linear.bias"] {
        let array = few.get_mut(name).unwrap();
        array.values.truncate(array.values.len() / 2);
        array.shape[0] = 5;
    }
    fs::write(places.path("few"), to_safetensors(&few)).unwrap();

    let whole = fs::read(root().join("crates/scn-interop/tests/data/state_dict.pth")).unwrap();
    let random: Vec<u8> = (0..1000u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let mut tar = vec![0; 1024];
    tar[257..262].copy_from_slice(b"ustar");
    for (name, bytes) in [
        ("empty", &[][..]),
        ("random", &random),
        ("truncated", &whole[..whole.len() / 2]),
        ("other.pth", &whole),
        ("tar", &tar),
    ] {
        fs::write(places.path(name), bytes).unwrap();
    }

    let before = places.names();
    let attempt = |file: &str, model: &str, options: &[&str], code: i32, parts: &[&str]| {
        let (file, out) = (text(file), text("imported"));
        let args: &[&str] = &["import", &file, "--model", model, "--out", &out];
        refused(&[args, options].concat(), code, parts);
        assert_eq!(places.names(), before, "{file}: something was left");
    };
    attempt(
        "changed",
        "sdnet18",
        &[],
        3,
        &[
            "changed: its tensors are not those of a sdnet18: ",
            "`layer1.0.conv1.weight` is missing",
            "`linear.bias` is missing",
            "`layer9.bias` is unknown",
            "`layer0.1.weight` has shape [8, 8], expected [64]",
        ],
    );
    attempt(
        "weights",
        "resnet18",
        &[],
        3,
        &["`conv1.weight` is missing", "`layer0.0.dn.weight` is unknown"],
    );
    attempt(
        "few",
        "sdnet18",
        &[],
        2,
        &["5 classes", "cifar10 has 10, cifar100 has 100", "--dataset"],
    );
    let dataset = ["--dataset", "cifar100"];
    attempt(
        "few",
        "sdnet18",
        &dataset,
        3,
        &["`linear.weight` has shape [5, 512], expected [100, 512]"],
    );
    for file in ["empty", "random", "truncated"] {
        attempt(file, "sdnet18", &[], 3, &["not a state dict that can be read"]);
    }
    attempt("tar", "sdnet18", &[], 3, &["a TAR file"]);
    attempt("missing", "sdnet18", &[], 3, &["cannot read the state dict"]);
    attempt(
        "other.pth",
        "resnet18",
        &[],
        3,
        &["`linear.weight` is missing", "`dn.step_size` is unknown"],
    );
    attempt(
        "weights",
        "resnet18",
        &["--lambda", "0.2"],
        2,
        &["--lambda", "resnet18"],
    );
    attempt("weights", "sdnet18", &["--lambda=-1"], 2, &["--lambda", "at least 0"]);
    attempt("weights", "sdnet18", &["--lambda", "nan"], 2, &["--lambda", "finite"]);
    attempt("weights", "scn", &[], 2, &["--model", "sdnet18"]);
    attempt(
        "weights",
        "sdnet18",
        &["--dataset", "mnist"],
        2,
        &["--dataset", "cifar100"],
    );

    let weights = text("weights");
    for (out, part) in [("ours", "is there already"), ("none/imported", "there is no folder")] {
        refused(
            &["import", &weights, "--model", "sdnet18", "--out", &text(out)],
            2,
            &[part],
        );
    }
    assert_eq!(places.names(), before);
}
