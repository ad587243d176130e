//! `scn dictionary show`: draws the atoms of runs.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use scn_dictionary::{DictionaryCheckpoint, DictionaryError, Spectrum, draw};
use scn_train::{checkpoint, holds_run, write_file};
use serde::Serialize;

use crate::exit::Usage;
use crate::output::{check_target, print, print_json};
use crate::stderr::say;

/// Draw the atoms of dictionaries, sorted by spatial frequency
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  scn dictionary show runs/first --out atoms.png
  scn dictionary show runs/first runs/second runs/third --out comparison.png
  scn dictionary show runs/first --json

An atom is of high frequency where more than half of its energy lies above half the Nyquist
frequency, 0.25 cycles a pixel, by the radius in its two-dimensional discrete Fourier transform.
Several runs are drawn beside each other, five in a row.")]
pub(super) struct Args {
    /// Runs of scn dictionary learn
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Where the picture is written, as PNG; a file that is there is replaced
    #[arg(long, value_name = "FILE", required_unless_present = "json")]
    out: Option<PathBuf>,
    /// Print a JSON array with one object for each run on standard output
    #[arg(long)]
    json: bool,
}

/// What is told of a dictionary.
#[derive(Serialize)]
struct Report {
    run: String,
    method: &'static str,
    epochs: usize,
    /// `[n, c, k, k]`.
    shape: [usize; 4],
    high_frequency_atoms: usize,
    high_frequency_share: f64,
    /// Mean radial frequency of every atom in cycles a pixel, in the order of the picture.
    frequencies: Vec<f64>,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    if let Some(out) = &args.out {
        let png = out
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("png"));
        if !png {
            let out = out.display();
            return Err(Usage(format!(
                "--out {out}: the picture is a PNG file: expected a name that ends in .png"
            ))
            .into());
        }
        check_target(out, &args.runs[0], "run")?;
    }
    let checkpoints = args.runs.iter().map(|run| load(run)).collect::<Result<Vec<_>, _>>()?;
    let reports: Vec<Report> = args.runs.iter().zip(&checkpoints).map(report).collect();
    if let Some(out) = &args.out {
        let dictionaries: Vec<_> = checkpoints.iter().map(DictionaryCheckpoint::weight).collect();
        let picture = draw(&dictionaries)?;
        write_file(out, &picture).with_context(|| format!("cannot write {}", out.display()))?;
    }
    if args.json {
        print_json(&reports)?;
    } else {
        let line = |report: &Report| {
            let [atoms, channels, side, _] = report.shape;
            format!(
                "{}: {}, {atoms} atoms {channels}×{side}×{side} after {} epochs, {} ({:.1} %) of high frequency\n",
                report.run,
                report.method,
                report.epochs,
                report.high_frequency_atoms,
                100.0 * report.high_frequency_share
            )
        };
        print(&reports.iter().map(line).collect::<String>())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn load(path: &Path) -> Result<DictionaryCheckpoint, DictionaryError> {
    let folder = path.join("checkpoints");
    if !holds_run(path) {
        return Err(DictionaryError::NoRun(path.to_owned()));
    }
    let found = checkpoint::newest_of::<DictionaryCheckpoint>(&folder)?;
    let found = found.ok_or_else(|| DictionaryError::NothingSaved(path.to_owned()))?;
    found.notices().for_each(|message| say!("{message}"));
    Ok(found.checkpoint)
}

fn report((run, checkpoint): (&PathBuf, &DictionaryCheckpoint)) -> Report {
    let (weight, [atoms, channels, side]) = checkpoint.weight();
    let spectra = Spectrum::of_all(weight, channels, side);
    let mut frequencies: Vec<f64> = spectra.iter().map(|spectrum| spectrum.frequency).collect();
    frequencies.sort_by(f64::total_cmp);
    Report {
        run: run.display().to_string(),
        method: checkpoint.config().method.name(),
        epochs: checkpoint.epochs(),
        shape: [atoms, channels, side, side],
        high_frequency_atoms: spectra.iter().filter(|spectrum| spectrum.is_high()).count(),
        high_frequency_share: Spectrum::high_share(&spectra),
        frequencies,
    }
}
