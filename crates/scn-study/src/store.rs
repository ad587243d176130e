//! Stores results with the run or the checkpoint that they tell of.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use scn_train::{RunLock, holds_run};

use crate::StudyError;

/// Writes files into the folder of a run or of a checkpoint, each whole or not at all. The run is locked meanwhile; no
/// other process may train it.
///
/// # Errors
/// [`StudyError::Run`] where another process works on the run, [`StudyError::Write`].
pub fn store_beside(folder: &Path, files: &[(&str, Vec<u8>)]) -> Result<(), StudyError> {
    let _lock = match run_of(folder) {
        Some(run) => Some(RunLock::take(&run)?),
        None => None,
    };
    for (name, bytes) in files {
        let file = folder.join(name);
        write_file(&file, bytes).map_err(|error| StudyError::Write { file, error })?;
    }
    Ok(())
}

/// The run that a folder is, or is a checkpoint of.
fn run_of(folder: &Path) -> Option<PathBuf> {
    if holds_run(folder) {
        return Some(folder.to_path_buf());
    }
    // The checkpoint may have been named by a path without parents, as `.`.
    let whole = folder.canonicalize().ok()?;
    let run = whole.parent()?.parent()?;
    holds_run(run).then(|| run.to_path_buf())
}

/// Writes a file beside its target under a name that nobody can foretell, syncs it and renames it over the target.
///
/// # Errors
/// What the file system reports; the target is then as it was, and nothing lies beside it.
pub fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let prefix = format!(".{name}.");
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(".part");
    // As of any file; the default is for secrets.
    #[cfg(unix)]
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    #[cfg(unix)]
    builder.permissions(permissions);
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    // Windows cannot open folders for syncing; its renames are journalled.
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("robust.json");
        fs::write(&path, "old").unwrap();
        write_file(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        let names = || fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(names(), 1);
        fs::create_dir(folder.path().join("folder")).unwrap();
        fs::write(folder.path().join("folder/file"), "").unwrap();
        write_file(&folder.path().join("folder"), b"new").unwrap_err();
        assert_eq!(names(), 2);
        write_file(&folder.path().join("absent/file"), b"new").unwrap_err();
    }

    #[cfg(unix)]
    #[test]
    fn others_may_read_what_is_stored() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let [stored, plain] = ["stored", "plain"].map(|name| folder.path().join(name));
        write_file(&stored, b"").unwrap();
        fs::write(&plain, "").unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode();
        assert_eq!(mode(&stored), mode(&plain));
    }

    #[test]
    fn the_run_of_a_checkpoint_is_locked_while_something_is_stored_with_it() {
        let run = tempfile::tempdir().unwrap();
        let checkpoint = run.path().join("checkpoints/last");
        fs::create_dir_all(&checkpoint).unwrap();
        store_beside(&checkpoint, &[("attack.json", Vec::new())]).unwrap();
        fs::write(run.path().join("resolved.toml"), "").unwrap();
        let lock = RunLock::take(run.path()).unwrap();
        for folder in [run.path(), &checkpoint] {
            let message = store_beside(folder, &[("robust.json", Vec::new())])
                .unwrap_err()
                .to_string();
            assert!(message.ends_with("another process is working on this run"), "{message}");
            assert!(!folder.join("robust.json").exists());
        }
        drop(lock);
        store_beside(run.path(), &[("robust.json", Vec::new())]).unwrap();
    }
}
