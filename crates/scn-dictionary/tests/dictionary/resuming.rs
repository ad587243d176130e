//! A run that is stopped anywhere and resumed ends as one that is not.

use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;

use scn_dictionary::{
    DictionaryCheckpoint, DictionaryError, DictionaryExperiment, Figures, MethodKind, Outcome, Progress, Start, Trainer,
};
use scn_train::checkpoint::{CheckpointError, Stored};
use scn_train::{Environment, ExperimentFile, Loaded, RunFolder, StopFlag};

/// Stops after so many steps, and remembers what it was told.
struct Observer {
    stop: StopFlag,
    steps_left: usize,
    notices: Vec<String>,
    epochs: Vec<f64>,
}

impl Observer {
    fn new(steps: usize) -> Self {
        Self {
            stop: StopFlag::default(),
            steps_left: steps,
            notices: Vec::new(),
            epochs: Vec::new(),
        }
    }
}

impl Progress for Observer {
    fn epoch_started(&mut self, _: usize, _: usize, _: usize, _: usize) {}

    fn step(&mut self, _: usize, figures: &Figures, _: f64) {
        assert!(figures.objective.is_finite());
        self.steps_left = self.steps_left.saturating_sub(1);
        if self.steps_left == 0 {
            self.stop.cell().store(15, Ordering::SeqCst);
        }
    }

    fn epoch_finished(&mut self, _: usize, train: &Figures, _: &Figures, _: f64) {
        self.epochs.push(train.objective);
    }

    fn notice(&mut self, message: &str) {
        self.notices.push(message.to_owned());
    }
}

/// Three epochs of three batches, the last of which is smaller.
fn loaded(folder: &Path, kind: MethodKind, more: &str) -> Loaded<DictionaryExperiment> {
    let path = folder.join("x.toml");
    let text = format!(
        "[dictionary]\nmethod = \"{}\"\ndataset = \"digits\"\npatch = 4\natoms = 16\nepochs = 3\npatches = 250\n\
         batch = 100\nevaluation = 100\n{more}",
        kind.name()
    );
    fs::write(&path, text).unwrap();
    let nonzeros = ["dictionary.nonzeros=3".to_owned()];
    let overrides = if kind == MethodKind::OrthogonalL0 {
        &nonzeros[..]
    } else {
        &[]
    };
    DictionaryExperiment::load(&path, overrides).unwrap()
}

fn environment() -> Environment {
    Environment::now("CPU".into())
}

/// Starts or resumes, and makes so many steps at most.
fn run(
    folder: &Path,
    loaded: &Loaded<DictionaryExperiment>,
    steps: usize,
) -> Result<(Outcome, Observer), DictionaryError> {
    let mut observer = Observer::new(steps);
    let experiment = loaded.experiment.clone();
    let (start, run) = if folder.join("resolved.toml").exists() {
        let mut run = RunFolder::resume(folder, &experiment)?;
        (
            Start::resumed(experiment, &environment(), &mut run, &mut observer)?,
            run,
        )
    } else {
        (
            Start::new(experiment, &environment())?,
            RunFolder::create(folder, loaded)?,
        )
    };
    let outcome = Trainer::new(start, run, observer.stop.clone())?.run(&mut observer)?;
    Ok((outcome, observer))
}

const FOREVER: usize = usize::MAX;

fn last(run: &Path, file: &str) -> Vec<u8> {
    fs::read(run.join("checkpoints/last").join(file)).unwrap()
}

/// The lines of metrics without what the clock says.
fn metrics(run: &Path) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let line = |line: &str| {
        let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
        for key in ["seconds", "patches_per_second", "peak_memory_bytes"] {
            line.as_object_mut().unwrap().remove(key).unwrap();
        }
        line
    };
    text.lines().map(line).collect()
}

#[test]
fn every_method_resumes_bit_for_bit_from_any_step() {
    for &kind in MethodKind::ALL {
        let folder = tempfile::tempdir().unwrap();
        let loaded = loaded(folder.path(), kind, "");
        let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
        let (outcome, _) = run(&whole, &loaded, FOREVER).unwrap();
        let Outcome::Finished(report) = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!(report.orthogonality.is_some(), kind.is_orthogonal());
        // In the middle of an epoch, at its end, and a step before the end.
        for steps in [1, 1, 1, 4, 1] {
            let (outcome, _) = run(&parts, &loaded, steps).unwrap();
            assert_eq!(outcome, Outcome::Stopped(15));
        }
        let (outcome, _) = run(&parts, &loaded, FOREVER).unwrap();
        let Outcome::Finished(found) = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!(found.evaluation, report.evaluation, "{}", kind.name());
        for file in ["dictionary.safetensors", "learner.safetensors"] {
            assert!(last(&whole, file) == last(&parts, file), "{}: {file}", kind.name());
        }
        assert_eq!(metrics(&whole), metrics(&parts), "{}", kind.name());
        assert_eq!(metrics(&whole).len(), 3);
    }
}

#[test]
fn a_run_that_is_done_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let loaded = loaded(folder.path(), MethodKind::Orthogonal, "");
    let path = folder.path().join("run");
    let (first, _) = run(&path, &loaded, FOREVER).unwrap();
    let before = last(&path, "learner.safetensors");
    let (again, _) = run(&path, &loaded, FOREVER).unwrap();
    assert_eq!(first, again);
    assert!(before == last(&path, "learner.safetensors"));
}

#[test]
fn other_experiments_and_other_images_are_not_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("images");
    fs::create_dir(&images).unwrap();
    let paint = |seed: u32| {
        let pixel = |x: u32, y: u32| image::Luma([(x * x * 7 + y * y * 13 + x * y * seed) as u8]);
        image::GrayImage::from_fn(40, 30, pixel)
            .save(images.join("a.png"))
            .unwrap();
    };
    paint(3);
    let path = folder.path().join("x.toml");
    let load = |lambda: f64| {
        let text = format!(
            "[dictionary]\nmethod = \"classical\"\nimages = {:?}\npatch = 4\natoms = 16\nepochs = 3\npatches = 250\n\
             batch = 100\nlambda = {lambda}\n",
            images.to_str().unwrap()
        );
        fs::write(&path, text).unwrap();
        DictionaryExperiment::load(&path, &[]).unwrap()
    };
    let run_folder = folder.path().join("run");
    assert_eq!(run(&run_folder, &load(0.1), 2).unwrap().0, Outcome::Stopped(15));
    let refused = run(&run_folder, &load(0.2), FOREVER).err().unwrap().to_string();
    assert!(refused.contains("dictionary.lambda was 0.1, is 0.2"), "{refused}");
    paint(5);
    let refused = run(&run_folder, &load(0.1), FOREVER).err().unwrap().to_string();
    assert!(refused.contains("the training images were 1"), "{refused}");
    paint(3);
    assert!(matches!(
        run(&run_folder, &load(0.1), FOREVER).unwrap().0,
        Outcome::Finished(_)
    ));
}

#[test]
fn a_damaged_checkpoint_is_passed_over_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let loaded = loaded(folder.path(), MethodKind::Ridge, "");
    let path = folder.path().join("run");
    for steps in [2, 2] {
        run(&path, &loaded, steps).unwrap();
    }
    let file = path.join("checkpoints/last/learner.safetensors");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    let (outcome, observer) = run(&path, &loaded, FOREVER).unwrap();
    assert!(matches!(outcome, Outcome::Finished(_)));
    assert!(
        observer.notices[0].contains("learner.safetensors: damaged"),
        "{:?}",
        observer.notices
    );
    assert!(path.join("checkpoints/damaged").is_dir());
    // Claims that no run makes are refused before anything is allocated for them.
    let last = path.join("checkpoints/last");
    let claim = |text: &str| {
        let json = fs::read_to_string(last.join("model.json")).unwrap();
        let changed = json.replace("\"atoms\": 16", text);
        assert_ne!(json, changed);
        let files = [
            "dictionary.safetensors",
            "learner.safetensors",
            "state.json",
            "origin.json",
        ];
        let mut contents: Vec<(&'static str, Vec<u8>)> = files
            .iter()
            .map(|name| (*name, fs::read(last.join(name)).unwrap()))
            .collect();
        contents.push(("model.json", changed.into_bytes()));
        let copy = folder.path().join("claim");
        scn_train::checkpoint::write_files(&copy, None, contents).unwrap();
        let refused = DictionaryCheckpoint::load(&copy).err().unwrap();
        assert!(matches!(refused, CheckpointError::Content { .. }), "{refused}");
        refused.to_string()
    };
    assert!(claim("\"atoms\": 99999999").contains("model.json: dictionary.atoms: found 99999999"));
    assert!(claim("\"atoms\": 17").contains("has shape [16, "));
}
