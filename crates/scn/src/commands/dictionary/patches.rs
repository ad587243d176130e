//! `scn dictionary patches`: the patches of an experiment, for other programs.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use scn_dictionary::{DictionaryExperiment, Learner, Patches, Signals};
use scn_interop::tensors::{Array, Arrays, to_safetensors};
use scn_train::{ExperimentFile, write_file};

use crate::exit::Usage;
use crate::output::{check_target, print};
use crate::{device, log};

/// Most bytes of the file: it is made in memory.
const MOST: usize = 4 << 30;

/// Write the patches that a dictionary is learned from, for other programs
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  scn dictionary patches configs/dictionary/classical.toml --out patches.safetensors
  scn dictionary patches configs/dictionary/classical.toml --set dictionary.epochs=1 --out patches.safetensors

The file has the whitened patches of all epochs in their order, train [epochs·patches, p], those of
evaluation [evaluation, p], and the atoms that learning starts from, start [n, p].")]
pub(super) struct Args {
    /// The experiment file, which has a table [dictionary]
    experiment: PathBuf,
    /// Override a key of the experiment file, as in --set dictionary.epochs=1
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Where the patches are written, as safetensors; a file that is there is replaced
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    log::start(None);
    let experiment = DictionaryExperiment::load(&args.experiment, &args.set)?.experiment;
    check_target(&args.out, &args.experiment, "experiment file")?;
    device::open(experiment.run.device, experiment.run.threads)?;
    let config = &experiment.dictionary;
    let dimension = config.dimension();
    let total = config.epochs.saturating_mul(config.patches);
    let bytes = total.saturating_mul(dimension * size_of::<f32>());
    if bytes > MOST {
        let message = format!("{total} patches of {dimension} values are {bytes} bytes, more than {MOST}");
        return Err(Usage(format!("{message}: take fewer dictionary.epochs or dictionary.patches")).into());
    }
    let mut patches = Patches::new(&experiment, Patches::source(config)?, None)?;
    let mut train = Vec::with_capacity(total * dimension);
    for epoch in 0..config.epochs {
        for batch in 0..config.batches() {
            let count = config.batch.min(config.patches - batch * config.batch);
            train.extend(patches.batch(epoch as u64, batch as u64, count)?.columns());
        }
    }
    let evaluation = patches.evaluation(config.evaluation)?;
    let learner = Learner::new(config, &patches.start(config.atoms)?)?;
    let rows = |values: Vec<f32>| Array {
        shape: vec![values.len() / dimension, dimension],
        values,
    };
    let arrays = Arrays::from([
        ("train".to_owned(), rows(train)),
        ("evaluation".to_owned(), rows(Signals::columns(&evaluation))),
        ("start".to_owned(), rows(learner.dictionary().atoms.clone())),
    ]);
    write_file(&args.out, &to_safetensors(&arrays)).with_context(|| format!("cannot write {}", args.out.display()))?;
    print(&format!(
        "{total} patches of {dimension} values in {}\n",
        args.out.display()
    ))?;
    Ok(ExitCode::SUCCESS)
}
