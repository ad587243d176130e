//! Reading a file of known length, compressed or not.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use crate::dataset::{DataFile, DatasetInfo};
use crate::error::DataError;

const BUFFER_BYTES: usize = 1 << 18;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// Bytes after the end that are counted, for the message; a few kilobytes can decompress to gigabytes.
const SURPLUS_MAX: u64 = 1 << 20;

/// A file opened for reading front to back, which knows how long it should be.
pub(crate) struct FileReader {
    dataset: &'static DatasetInfo,
    path: PathBuf,
    expected: u64,
    /// Length on disk.
    length: u64,
    compressed: bool,
    consumed: u64,
    reader: Box<dyn Read>,
}

impl FileReader {
    /// Open a file that is never compressed and check its length.
    pub(crate) fn open(info: &'static DatasetInfo, file: &DataFile, path: &Path) -> Result<Self, DataError> {
        let (reader, length) = open(path)?;
        let reader = Self::new(info, file, path, length, false, Box::new(reader));
        reader.check_length()?;
        Ok(reader)
    }

    /// Open a file that may be gzipped; its first bytes tell, whatever its name. The caller checks its header,
    /// which explains more than a length, and then calls [`FileReader::check_length`].
    pub(crate) fn open_maybe_gzip(info: &'static DatasetInfo, file: &DataFile, path: &Path) -> Result<Self, DataError> {
        let (mut reader, length) = open(path)?;
        let compressed = reader
            .fill_buf()
            .map_err(|source| io_error(path, source))?
            .starts_with(&GZIP_MAGIC);
        let reader: Box<dyn Read> = if compressed {
            Box::new(MultiGzDecoder::new(reader))
        } else {
            Box::new(reader)
        };
        Ok(Self::new(info, file, path, length, compressed, reader))
    }

    fn new(
        info: &'static DatasetInfo,
        file: &DataFile,
        path: &Path,
        length: u64,
        compressed: bool,
        reader: Box<dyn Read>,
    ) -> Self {
        let path = path.to_owned();
        FileReader {
            dataset: info,
            path,
            expected: file.bytes,
            length,
            compressed,
            consumed: 0,
            reader,
        }
    }

    /// Check the length before reading, where it is known.
    pub(crate) fn check_length(&self) -> Result<(), DataError> {
        if self.compressed || self.length == self.expected {
            Ok(())
        } else {
            Err(self.size(self.length, true))
        }
    }

    /// Fill the whole buffer.
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) -> Result<(), DataError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read(&mut buffer[filled..])? {
                0 => return Err(self.size(self.consumed, true)),
                count => filled += count,
            }
        }
        Ok(())
    }

    /// Append `count` bytes to a vector.
    pub(crate) fn append(&mut self, count: usize, to: &mut Vec<u8>) -> Result<(), DataError> {
        let start = to.len();
        to.resize(start + count, 0);
        self.fill(&mut to[start..])
    }

    /// Check that nothing follows.
    pub(crate) fn finish(mut self) -> Result<(), DataError> {
        let mut rest = [0; 4096];
        let limit = self.expected.saturating_add(SURPLUS_MAX);
        let mut ends = false;
        while !ends && self.consumed < limit {
            ends = self.read(&mut rest)? == 0;
        }
        if ends && self.consumed == self.expected {
            Ok(())
        } else {
            Err(self.size(self.consumed, ends))
        }
    }

    /// An error about the first bytes of the file.
    pub(crate) fn header(&self, found: String, expected: String) -> DataError {
        DataError::Header {
            dataset: self.dataset,
            path: self.path.clone(),
            found,
            expected,
        }
    }

    /// An error about a label.
    pub(crate) fn label(&self, record: usize, label: u8, smallest: u8, largest: u8) -> DataError {
        DataError::Label {
            dataset: self.dataset,
            path: self.path.clone(),
            record,
            label,
            smallest,
            largest,
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, DataError> {
        loop {
            match self.reader.read(buffer) {
                Ok(count) => {
                    self.consumed += count as u64;
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) if self.compressed && is_decoding_error(&source) => {
                    return Err(DataError::Gzip {
                        dataset: self.dataset,
                        path: self.path.clone(),
                        source,
                    });
                }
                Err(source) => return Err(io_error(&self.path, source)),
            }
        }
    }

    /// An error about the length, of which `found` bytes were read up to the end or, unless it `ends`, further on.
    fn size(&self, found: u64, ends: bool) -> DataError {
        let path = self.path.clone();
        DataError::Size {
            dataset: self.dataset,
            path,
            found,
            ends,
            expected: self.expected,
            compressed: self.compressed,
        }
    }
}

/// Open a file for buffered reading; returns its length too.
pub(crate) fn open(path: &Path) -> Result<(BufReader<File>, u64), DataError> {
    let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
    match opened {
        Ok((length, file)) => Ok((BufReader::with_capacity(BUFFER_BYTES, file), length)),
        Err(source) => Err(DataError::Io {
            path: path.to_owned(),
            action: "open",
            source,
        }),
    }
}

/// An error of reading.
pub(crate) fn io_error(path: &Path, source: io::Error) -> DataError {
    DataError::Io {
        path: path.to_owned(),
        action: "read",
        source,
    }
}

fn is_decoding_error(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    matches!(error.kind(), InvalidData | InvalidInput | UnexpectedEof)
}
