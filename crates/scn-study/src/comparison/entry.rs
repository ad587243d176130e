//! The experiments of a comparison, and whether they compare.

use std::path::{Path, PathBuf};

use scn_train::{Experiment, ExperimentError, RunFolder, RunFolderError, compared_experiments, holds_run};

use super::Options;
use crate::StudyError;

/// One model of a comparison.
pub(super) struct Entry {
    pub(super) file: PathBuf,
    /// As for `scn train --set`.
    pub(super) overrides: Vec<String>,
    /// What file and overrides say.
    pub(super) experiment: Experiment,
    /// Where the run lies.
    pub(super) folder: PathBuf,
}

/// The experiments, with the budget and with their runs in `out`.
pub(super) fn entries(options: &Options, out: &Path) -> Result<Vec<Entry>, StudyError> {
    let overrides = overrides(options);
    let mut entries = Vec::new();
    for path in &options.experiments {
        for file in compared_experiments(path)?.unwrap_or_else(|| vec![path.clone()]) {
            let experiment = load(&file, &overrides)?;
            entries.push(Entry {
                folder: out.join(&experiment.name),
                overrides: overrides.clone(),
                experiment,
                file,
            });
        }
    }
    for (index, entry) in entries.iter().enumerate() {
        for earlier in &entries[..index] {
            refuse_equal_names(earlier, entry)?;
        }
        refuse_different_data(&entries[0], entry)?;
    }
    for entry in &mut entries {
        if options.target.is_some() && entry.validation() == 0 {
            return Err(StudyError::NoValidation(entry.file.clone()));
        }
        if let Some(steps) = options.steps {
            entry.limit(steps)?;
        }
        entry.refuse_another_run()?;
    }
    Ok(entries)
}

/// What is changed in every experiment; later overrides win.
fn overrides(options: &Options) -> Vec<String> {
    let single = [
        options.seed.map(|seed| format!("seed={seed}")),
        options.device.map(|device| format!("run.device={}", device.name())),
        options.threads.map(|threads| format!("run.threads={threads}")),
        options.epochs.map(|epochs| format!("train.epochs={epochs}")),
    ];
    options
        .set
        .iter()
        .cloned()
        .chain(single.into_iter().flatten())
        .collect()
}

/// Says of a schedule that does not fit the budget how to replace it.
fn load(file: &Path, overrides: &[String]) -> Result<Experiment, StudyError> {
    let of_schedule = |error: &ExperimentError| match error {
        ExperimentError::Conflict { key, .. } => key.starts_with("train.schedule."),
        _ => false,
    };
    match Experiment::load(file, overrides) {
        Ok(loaded) => Ok(loaded.experiment),
        Err(error) if of_schedule(&error) => Err(StudyError::Schedule(Box::new(error))),
        Err(error) => Err(error.into()),
    }
}

fn refuse_equal_names(one: &Entry, other: &Entry) -> Result<(), StudyError> {
    if one.experiment.name != other.experiment.name {
        return Ok(());
    }
    Err(StudyError::SameName {
        one: one.file.clone(),
        other: other.file.clone(),
        name: one.experiment.name.clone(),
    })
}

fn refuse_different_data(one: &Entry, other: &Entry) -> Result<(), StudyError> {
    let pairs = data(&one.experiment).into_iter().zip(data(&other.experiment));
    let differences: Vec<String> = pairs
        .filter(|(one, other)| one != other)
        .map(|((key, one), (_, other))| format!("{key} is {one} and {other}"))
        .collect();
    if differences.is_empty() {
        return Ok(());
    }
    Err(StudyError::OtherData {
        one: one.file.clone(),
        other: other.file.clone(),
        differences,
    })
}

/// What must be the same for models to compare. Sizes are in images, however the file gives them.
fn data(experiment: &Experiment) -> [(&'static str, String); 5] {
    let data = &experiment.data;
    let info = data.dataset.info();
    let validation = data.validation.images(info.train_images);
    [
        ("data.dataset", info.name.to_owned()),
        ("data.validation", validation.to_string()),
        ("data.train_images", train_images(experiment).to_string()),
        (
            "data.test_images",
            data.test_images.unwrap_or(info.test_images).to_string(),
        ),
        ("seed", experiment.seed.to_string()),
    ]
}

/// Images of the training split.
fn train_images(experiment: &Experiment) -> usize {
    let data = &experiment.data;
    let all = data.dataset.info().train_images;
    data.train_images.unwrap_or_else(|| all - data.validation.images(all))
}

impl Entry {
    /// Images of the validation split.
    fn validation(&self) -> usize {
        let data = &self.experiment.data;
        data.validation.images(data.dataset.info().train_images)
    }

    /// Limits the training to whole epochs of at most `steps` steps together.
    fn limit(&mut self, steps: usize) -> Result<(), StudyError> {
        let (epochs, images) = epochs(steps, train_images(&self.experiment), self.experiment.data.batch_size);
        self.overrides.push(format!("train.epochs={epochs}"));
        self.overrides.push(format!("data.train_images={images}"));
        self.experiment = load(&self.file, &self.overrides)?;
        Ok(())
    }

    /// Refuses a folder where another experiment was begun, before any other model is trained.
    fn refuse_another_run(&self) -> Result<(), RunFolderError> {
        if !holds_run(&self.folder) {
            return Ok(());
        }
        RunFolder::experiment(&self.folder)?
            .same_training(&self.experiment)
            .map_err(|differences| RunFolderError::Changed {
                folder: self.folder.clone(),
                differences,
            })
    }
}

/// As few epochs as `steps` steps take, and the images of each.
fn epochs(steps: usize, images: usize, batch: usize) -> (usize, usize) {
    if images < batch {
        // One step, with all of them.
        return (steps, images);
    }
    let epochs = (steps * batch).div_ceil(images);
    (epochs, steps / epochs * batch)
}

#[cfg(test)]
mod tests {
    use super::epochs;

    #[test]
    fn steps_make_whole_epochs_of_equal_length() {
        for (steps, images, batch, expected) in [
            (10, 1000, 100, (1, 1000)),
            (11, 1000, 100, (2, 500)),
            (3, 1000, 100, (1, 300)),
            (391, 50_000, 128, (2, 195 * 128)),
            (2000, 50_000, 128, (6, 333 * 128)),
            (2000, 50_000, 64, (3, 666 * 64)),
            (5, 30, 100, (5, 30)),
            (1, 100, 100, (1, 100)),
        ] {
            let found = epochs(steps, images, batch);
            assert_eq!(found, expected, "{steps} steps of {batch} of {images} images");
            assert!(found.1 <= images);
        }
    }
}
