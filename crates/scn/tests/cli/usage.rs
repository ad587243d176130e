//! Help, completions, mistakes on the command line, and readers that go away.

use std::process::Stdio;

use crate::common::{assert_contains, command, refused, root, stderr, succeed};

#[test]
fn completions_are_printed() {
    for shell in ["bash", "zsh", "fish"] {
        assert_contains(
            &succeed(&["completions", shell]),
            &["scn", "max-iterations", "coordinate-descent"],
        );
    }
    refused(&["completions", "cmd"], 2, &["bash"]);
}

#[test]
fn every_help_has_examples() {
    let subcommands: [&[&str]; 25] = [
        &[],
        &["train"],
        &["eval"],
        &["import"],
        &["export"],
        &["predict"],
        &["robust"],
        &["attack"],
        &["theory"],
        &["theory", "dictionary"],
        &["theory", "simulate"],
        &["summary"],
        &["bench"],
        &["bench", "step"],
        &["bench", "kernels"],
        &["bench", "compare"],
        &["solve"],
        &["device"],
        &["data"],
        &["data", "list"],
        &["data", "verify"],
        &["config"],
        &["config", "check"],
        &["config", "print"],
        &["completions"],
    ];
    for subcommand in subcommands {
        let help = succeed(&[subcommand, &["--help"]].concat());
        let example = ["\n ", "scn"]
            .into_iter()
            .chain(subcommand.iter().copied())
            .collect::<Vec<_>>()
            .join(" ");
        assert_contains(&help, &["Usage:", "Examples:\n", &example]);
    }
    assert!(succeed(&["--version"]).starts_with("scn "));
}

#[test]
fn usage_errors() {
    let lines: [&[&str]; 13] = [
        &[],
        &["teach"],
        &["summary"],
        &["summary", "a.toml", "b.toml"],
        &["data"],
        &["config"],
        &["completions"],
        &["eval", "run", "--split", "all"],
        &["bench"],
        &["bench", "step"],
        &["bench", "compare"],
        &["bench", "layers"],
        &["data", "list", "--verbose"],
    ];
    for args in lines {
        assert_eq!(refused(args, 2, &["--help"]), "", "{args:?}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let lines: [&[&str]; 5] = [
        &["completions", "bash"],
        &["data", "list"],
        &["data", "list", "--json"],
        &["config", "print", "configs/quickstart.toml"],
        &["summary", "configs/quickstart.toml"],
    ];
    for args in lines {
        let mut child = command(&root(), args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(
            (output.status.code(), stderr(&output)),
            (Some(0), String::new()),
            "{args:?}"
        );
    }
}
