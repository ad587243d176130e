//! Files and folders that are either whole or not there.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Writes a file beside its target, syncs it and renames it over the target.
///
/// # Errors
/// What the file system reports; the target is then as it was, and nothing lies beside it.
pub fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = beside(path, "part");
    if let Err(error) = write_synced(&temporary, bytes).and_then(|()| fs::rename(&temporary, path)) {
        // The first error is the one to report.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    sync_parent(path)
}

/// Writes `files` into a new folder beside `path` and syncs them. Returns that folder; nothing is left of it on an error.
pub(crate) fn write_folder_beside(path: &Path, files: &[(&str, Vec<u8>)]) -> io::Result<PathBuf> {
    let temporary = beside(path, "part");
    remove_folder(&temporary)?;
    let written = fs::create_dir_all(&temporary).and_then(|()| {
        for (name, bytes) in files {
            write_synced(&temporary.join(name), bytes)?;
        }
        sync_folder(&temporary)
    });
    if let Err(error) = written {
        // The first error is the one to report.
        let _ = remove_folder(&temporary);
        return Err(error);
    }
    Ok(temporary)
}

/// Syncs the folder that holds `path`, so that a rename in it lasts.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => sync_folder(Path::new(".")),
        Some(parent) => sync_folder(parent),
        None => Ok(()),
    }
}

/// Removes a folder with its content, or whatever lies in its place, if it is there.
pub(crate) fn remove_folder(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if !found.is_dir() => fs::remove_file(path),
        _ => fs::remove_dir_all(path),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{suffix}"))
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Windows cannot open folders for syncing; its renames are journalled.
fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(path)?.sync_all()
    } else {
        Ok(())
    }
}
