//! Files and folders that are either whole or not there.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Writes a file beside its target, syncs it and renames it over the target.
///
/// # Errors
/// What the file system reports; the target is then as it was, and nothing lies beside it.
pub fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = part(path);
    if let Err(error) = write_synced(&temporary, bytes).and_then(|()| fs::rename(&temporary, path)) {
        // The first error is the one to report.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    sync_parent(path)
}

/// Writes `files` into a new folder beside `path` and syncs them. Returns that folder; nothing is left of it on an error.
pub(crate) fn write_folder_beside(path: &Path, files: &[(&str, Vec<u8>)]) -> io::Result<PathBuf> {
    let temporary = part(path);
    remove_folder(&temporary)?;
    // Only this folder: where the one around it has vanished, a file in it would be of no run.
    let written = fs::create_dir(&temporary).and_then(|()| {
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

/// What could not be done, and why.
pub(crate) type Failed = (&'static str, io::Error);

/// Puts the folder `temporary` in the place of `path`. What was there goes to `keep`, in the place of what is there, or
/// is removed.
///
/// Where the file system can exchange two names, `path` is never missing. Elsewhere it is, between two renames; what an
/// interruption leaves then is `temporary` and the old folder, in `keep` or [`retired`].
pub(crate) fn put_in_place(temporary: &Path, path: &Path, keep: Option<&Path>) -> Result<(), Failed> {
    put_in_place_with(exchange, temporary, path, keep)
}

fn put_in_place_with(
    exchange: impl Fn(&Path, &Path) -> io::Result<bool>,
    temporary: &Path,
    path: &Path,
    keep: Option<&Path>,
) -> Result<(), Failed> {
    const PUT: &str = "put the new checkpoint in place";
    const ASIDE: &str = "set the old checkpoint aside";
    const REMOVE: &str = "remove the old checkpoint";
    let failed = |action| move |error| (action, error);
    let sync = || sync_parent(path).map_err(failed("sync the folder"));
    if !is_there(path) {
        fs::rename(temporary, path).map_err(failed(PUT))?;
        return sync();
    }
    if exchange(temporary, path).map_err(failed(PUT))? {
        // On the disk too, before the old one goes.
        sync()?;
        if let Some(keep) = keep {
            if !is_there(keep) {
                fs::rename(temporary, keep).map_err(failed(ASIDE))?;
                return sync();
            }
            exchange(temporary, keep).map_err(failed(ASIDE))?;
        }
        remove_folder(temporary).map_err(failed(REMOVE))?;
        return sync();
    }
    let old = keep.map_or_else(|| retired(path), Path::to_path_buf);
    remove_folder(&old).map_err(failed("remove the checkpoint before the last"))?;
    fs::rename(path, &old).map_err(failed(ASIDE))?;
    fs::rename(temporary, path).map_err(failed(PUT))?;
    if keep.is_none() {
        remove_folder(&old).map_err(failed(REMOVE))?;
    }
    sync()
}

/// Exchanges what two names stand for, at once; `false` where the system or the file system cannot.
#[cfg(target_os = "linux")]
fn exchange(one: &Path, other: &Path) -> io::Result<bool> {
    use std::ffi::CString;
    use std::os::unix::ffi::OsStrExt;

    use nix::libc;

    let name = |path: &Path| CString::new(path.as_os_str().as_bytes()).map_err(io::Error::from);
    let (one, other) = (name(one)?, name(other)?);
    // SAFETY: both names end in 0 and outlive the call, which keeps neither.
    let result = unsafe {
        libc::renameat2(
            libc::AT_FDCWD,
            one.as_ptr(),
            libc::AT_FDCWD,
            other.as_ptr(),
            libc::RENAME_EXCHANGE,
        )
    };
    if result == 0 {
        return Ok(true);
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        // Sandboxes forbid a call that they do not know.
        Some(libc::EINVAL | libc::ENOSYS | libc::EOPNOTSUPP | libc::EPERM) => Ok(false),
        _ => Err(error),
    }
}

/// Other systems rename twice.
#[cfg(not(target_os = "linux"))]
fn exchange(_: &Path, _: &Path) -> io::Result<bool> {
    Ok(false)
}

/// Where a folder that will be `path` is written.
pub(crate) fn part(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.part"))
}

/// Where the old `path` lies for a moment if names cannot be exchanged.
pub(crate) fn retired(path: &Path) -> PathBuf {
    path.with_extension("retired")
}

/// Whether anything has that name.
pub(crate) fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    type Exchange = fn(&Path, &Path) -> io::Result<bool>;

    /// A new folder, which is to become `path`, and what lies below the folder afterwards, by name and content.
    fn put(exchange: Exchange, old: &[&str], keep: bool) -> Vec<(String, String)> {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        for name in old {
            fs::create_dir(path(name)).unwrap();
            fs::write(path(name).join("file"), name).unwrap();
        }
        let temporary = write_folder_beside(&path("last"), &[("file", b"new".to_vec())]).unwrap();
        let previous = path("previous");
        put_in_place_with(exchange, &temporary, &path("last"), keep.then_some(&previous)).unwrap();
        let mut found: Vec<_> = fs::read_dir(root.path())
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let content = fs::read_to_string(entry.path().join("file")).unwrap();
                (entry.file_name().into_string().unwrap(), content)
            })
            .collect();
        found.sort();
        found
    }

    #[test]
    fn a_new_folder_takes_the_place_of_the_old_one_with_and_without_exchanges() {
        let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect()
        };
        let ways: [Exchange; 2] = [exchange, |_, _| Ok(false)];
        for exchange in ways {
            for keep in [false, true] {
                assert_eq!(put(exchange, &[], keep), pairs(&[("last", "new")]));
            }
            assert_eq!(put(exchange, &["last"], false), pairs(&[("last", "new")]));
            let both = pairs(&[("last", "new"), ("previous", "last")]);
            assert_eq!(put(exchange, &["last"], true), both);
            assert_eq!(put(exchange, &["last", "previous"], true), both);
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn linux_exchanges_names_at_once() {
        let root = tempfile::tempdir().unwrap();
        let (one, other) = (root.path().join("one"), root.path().join("other"));
        fs::create_dir(&one).unwrap();
        fs::write(&other, "file").unwrap();
        assert!(exchange(&one, &other).unwrap());
        assert!(one.is_file() && other.is_dir());
        let missing = exchange(&one, &root.path().join("missing")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }
}
