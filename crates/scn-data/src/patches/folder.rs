//! The images of a folder: PNG and JPEG files, those of the folders in it included.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use image::ImageReader;
use sha2::{Digest, Sha256};

use super::{Color, Image};
use crate::error::DataError;
use crate::hex::hex;

/// Extensions of the files that are read, in lower case.
const EXTENSIONS: [&str; 3] = ["jpeg", "jpg", "png"];

/// A file that holds an image.
#[derive(Clone, Debug)]
pub(super) struct ImageFile {
    path: PathBuf,
    pub(super) height: usize,
    pub(super) width: usize,
}

/// The images below `folder`, in the order of their paths; their pixels are not read.
///
/// # Errors
/// [`DataError::NoImages`], [`DataError::Image`] for a file that is no image, [`DataError::Io`].
pub(super) fn files(folder: &Path) -> Result<Vec<ImageFile>, DataError> {
    let mut paths = Vec::new();
    collect(folder, &mut paths)?;
    paths.sort();
    if paths.is_empty() {
        return Err(DataError::NoImages {
            path: folder.to_owned(),
            extensions: EXTENSIONS.map(|extension| format!(".{extension}")).join(", "),
        });
    }
    paths.into_iter().map(ImageFile::open).collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<(), DataError> {
    let io = |source| DataError::Io {
        path: folder.to_owned(),
        action: "read the folder",
        source,
    };
    for entry in fs::read_dir(folder).map_err(io)? {
        let entry = entry.map_err(io)?;
        let path = entry.path();
        // Of a link to a folder the type is a link: no folder is gone through twice.
        if entry.file_type().map_err(io)?.is_dir() {
            collect(&path, paths)?;
        } else if is_image(&path) {
            paths.push(path);
        }
    }
    Ok(())
}

fn is_image(path: &Path) -> bool {
    let extension = path
        .extension()
        .map(|extension| extension.to_string_lossy().to_lowercase());
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str())) && path.is_file()
}

impl ImageFile {
    fn open(path: PathBuf) -> Result<Self, DataError> {
        let size = reader(&path)?.into_dimensions().map_err(image_error(&path))?;
        let [width, height] = [size.0, size.1].map(|side| side as usize);
        Ok(Self { path, height, width })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn read(&self, color: Color) -> Result<Image, DataError> {
        let decoded = reader(&self.path)?.decode().map_err(image_error(&self.path))?;
        let pixels = decoded.into_rgb32f();
        let (width, height) = (pixels.width() as usize, pixels.height() as usize);
        let interleaved = pixels.into_raw();
        let planes = (0..3).flat_map(|channel| interleaved.iter().skip(channel).step_by(3).copied());
        let image = Image::new(color, height, width, planes.collect());
        if image.is_constant() {
            return Err(DataError::ConstantImage(self.path.clone()));
        }
        Ok(image)
    }

    /// Adds the bytes of the file to a digest.
    fn digest(&self, digest: &mut Sha256) -> Result<(), DataError> {
        let io = |source| DataError::Io {
            path: self.path.clone(),
            action: "read",
            source,
        };
        let mut file = File::open(&self.path).map_err(io)?;
        let mut buffer = vec![0; 1 << 16];
        loop {
            match file.read(&mut buffer).map_err(io)? {
                0 => return Ok(()),
                count => digest.update(&buffer[..count]),
            }
        }
    }
}

/// SHA-256 of the bytes of all files in their order, in hexadecimal digits.
pub(super) fn fingerprint(files: &[ImageFile]) -> Result<String, DataError> {
    let mut digest = Sha256::new();
    for file in files {
        file.digest(&mut digest)?;
    }
    Ok(hex(&digest.finalize()))
}

fn reader(path: &Path) -> Result<ImageReader<std::io::BufReader<File>>, DataError> {
    let io = |source| DataError::Io {
        path: path.to_owned(),
        action: "open",
        source,
    };
    ImageReader::open(path)
        .and_then(ImageReader::with_guessed_format)
        .map_err(io)
}

fn image_error(path: &Path) -> impl FnOnce(image::ImageError) -> DataError + use<'_> {
    move |source| DataError::Image {
        path: path.to_owned(),
        source,
    }
}
