//! Tells the program which commit it is built from, where it is built in a checkout.

use std::path::Path;
use std::process::Command;

fn main() {
    let git = Path::new("../../.git");
    // HEAD names a branch; the log of HEAD changes with every commit, checkout and reset.
    for file in [git.join("HEAD"), git.join("logs/HEAD")]
        .into_iter()
        .filter(|file| file.exists())
    {
        println!("cargo::rerun-if-changed={}", file.display());
    }
    let commit = Command::new("git").args(["rev-parse", "HEAD"]).output().ok();
    let commit = commit.filter(|output| git.exists() && output.status.success());
    if let Some(commit) = commit.and_then(|output| String::from_utf8(output.stdout).ok()) {
        println!("cargo::rustc-env=SCN_COMMIT={}", commit.trim());
    }
    println!("cargo::rerun-if-changed=build.rs");
}
