//! `scn data`: what datasets there are, and whether their files are whole.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use scn_data::{DataError, DatasetKind, Verification, verify};
use serde::Serialize;

use crate::exit::BadInput;
use crate::output::{by, grouped, print, print_json};
use crate::stderr::say;

/// List datasets, or check their files
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  scn data list
  scn data verify cifar10")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    List(List),
    Verify(Verify),
}

/// List the datasets, what they hold and where to get them
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  scn data list
  scn data list --json")]
struct List {
    /// Print one JSON object on standard output
    #[arg(long)]
    json: bool,
}

/// Read every file of datasets and compare official downloads with their digests
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  scn data verify digits
  scn data verify cifar10 cifar100 --dir /data
  scn data verify mnist --json

Files are looked for in the dataset's own folder and in the data directory itself. The exit code is
3 if any dataset is not whole.")]
struct Verify {
    /// Names of the datasets, as `scn data list` shows them
    #[arg(required = true, value_name = "DATASET")]
    datasets: Vec<DatasetKind>,
    /// The data directory
    #[arg(long, value_name = "DIR", default_value = "datasets")]
    dir: PathBuf,
    /// Print one JSON object on standard output
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.action {
        Action::List(args) => list(&args)?,
        Action::Verify(args) => check(&args)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A dataset in `scn data list --json`.
#[derive(Serialize)]
struct Listed {
    name: &'static str,
    title: &'static str,
    classes: usize,
    class_names: &'static [&'static str],
    train_images: usize,
    test_images: usize,
    shape: [usize; 3],
    /// Below the data directory; `None` for data inside the program.
    directory: Option<&'static str>,
    homepage: &'static str,
    fetch: &'static str,
    archives: Vec<ListedArchive>,
}

#[derive(Serialize)]
struct ListedArchive {
    name: &'static str,
    bytes: u64,
    md5: &'static str,
}

fn list(args: &List) -> anyhow::Result<()> {
    let datasets: Vec<Listed> = DatasetKind::ALL
        .into_iter()
        .map(|kind| {
            let info = kind.info();
            let archive = |archive: &scn_data::Archive| ListedArchive {
                name: archive.name,
                bytes: archive.bytes,
                md5: archive.md5,
            };
            Listed {
                name: info.name,
                title: info.title,
                classes: kind.classes(),
                class_names: info.class_names,
                train_images: info.train_images,
                test_images: info.test_images,
                shape: info.shape,
                directory: (!info.directory.is_empty()).then_some(info.directory),
                homepage: info.homepage,
                fetch: info.fetch,
                archives: info.archives.iter().map(archive).collect(),
            }
        })
        .collect();
    if args.json {
        return print_json(&serde_json::json!({ "datasets": datasets }));
    }
    let mut text = format!(
        "{:<14} {:<15} {:>7} {:>9} {:>7} {:>8}  folder in the data directory\n",
        "name", "title", "classes", "training", "test", "shape"
    );
    for dataset in &datasets {
        text += &format!(
            "{:<14} {:<15} {:>7} {:>9} {:>7} {:>8}  {}\n",
            dataset.name,
            dataset.title,
            dataset.classes,
            grouped(dataset.train_images as u64),
            grouped(dataset.test_images as u64),
            by(dataset.shape),
            dataset.directory.unwrap_or("none: part of the program")
        );
    }
    text += "\nto get them:\n";
    for dataset in datasets.iter().filter(|dataset| dataset.directory.is_some()) {
        text += &format!("{:<14} {}\n", dataset.name, dataset.fetch);
    }
    print(&text)
}

/// A dataset in `scn data verify --json`.
#[derive(Serialize)]
struct Checked {
    name: &'static str,
    whole: bool,
    /// Why nothing could be checked.
    problem: Option<String>,
    #[serde(flatten)]
    found: Option<Verification>,
}

fn check(args: &Verify) -> anyhow::Result<()> {
    let mut datasets = Vec::new();
    for &kind in &args.datasets {
        let checked = match verify(kind, &args.dir) {
            Ok(found) => Checked {
                name: kind.name(),
                whole: found.is_whole(),
                problem: None,
                found: Some(found),
            },
            Err(error) => Checked {
                name: kind.name(),
                whole: false,
                problem: Some(in_full(&error)),
                found: None,
            },
        };
        if !args.json {
            print(&describe(&checked))?;
            if let Some(problem) = &checked.problem {
                say!("error: {problem}");
            }
        }
        datasets.push(checked);
    }
    let damaged: Vec<_> = datasets
        .iter()
        .filter(|dataset| !dataset.whole)
        .map(|dataset| dataset.name)
        .collect();
    if args.json {
        print_json(&serde_json::json!({ "whole": damaged.is_empty(), "datasets": datasets }))?;
    }
    if damaged.is_empty() {
        return Ok(());
    }
    Err(BadInput(format!("not whole: {}", damaged.join(", "))).into())
}

fn in_full(error: &DataError) -> String {
    error
        .source()
        .map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

fn describe(checked: &Checked) -> String {
    let verdict = if checked.whole { "whole" } else { "not whole" };
    let mut text = format!("{}: {verdict}", checked.name);
    let Some(found) = &checked.found else {
        return text + "\n";
    };
    if found.files.is_empty() {
        return text + ", part of the program\n";
    }
    text.push('\n');
    for file in &found.files {
        let place = file
            .path
            .as_ref()
            .map_or_else(|| file.name.to_owned(), |path| path.display().to_string());
        let bytes = file
            .bytes
            .map_or_else(String::new, |bytes| format!(", {} bytes", grouped(bytes)));
        text += &match &file.problem {
            None => format!("  ok       {place}{bytes}\n"),
            Some(problem) => format!("  problem  {place}{bytes}\n           {problem}\n"),
        };
    }
    for archive in &found.archives {
        let place = format!(
            "{}, {} bytes, MD5 {}",
            archive.path.display(),
            grouped(archive.bytes),
            archive.md5
        );
        text += &match (archive.official, archive.is_data_file) {
            (true, _) => format!("  ok       {place}: the official download\n"),
            (false, true) => format!("  note     {place}: not the official download, compressed anew\n"),
            (false, false) => format!(
                "  problem  {place}: damaged or not the official download; {}\n",
                found.dataset.info().fetch
            ),
        };
    }
    text
}
