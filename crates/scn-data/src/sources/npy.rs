//! Numpy's `.npy` format (numpy.lib.format): the bytes `\x93NUMPY`, two bytes of version, the length of the header
//! (little-endian, 2 bytes in version 1.0, 4 in 2.0 and 3.0), the header, a Python dictionary of `descr`,
//! `fortran_order` and `shape`, and the values.
//!
//! Written out here: `npyz` and `ndarray-npy` are well kept, but bring an array library or a grammar of Python
//! literals and big integers, and would still leave the checks against the official file to do.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::str;

use super::file_reader::{io_error, open};
use crate::dataset::DatasetInfo;
use crate::error::DataError;

const MAGIC: [u8; 6] = *b"\x93NUMPY";
/// Longest header that is read, as in numpy: a damaged length must not fill the memory.
const HEADER_MAX: usize = 10_000;

/// A type of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dtype {
    /// Unsigned bytes.
    U8,
    /// Signed 64-bit integers, little-endian.
    I64,
}

impl Dtype {
    /// The name in the header.
    fn descr(self) -> &'static str {
        match self {
            Dtype::U8 => "|u1",
            Dtype::I64 => "<i8",
        }
    }

    /// Bytes of one value.
    pub(crate) fn bytes(self) -> u64 {
        match self {
            Dtype::U8 => 1,
            Dtype::I64 => 8,
        }
    }
}

/// A `.npy` file whose type, shape and length have been checked, open for reading its values in C order.
pub(crate) struct NpyFile {
    dataset: &'static DatasetInfo,
    path: PathBuf,
    reader: BufReader<File>,
    /// The type of its values.
    pub(crate) dtype: Dtype,
    /// Where the values start in the file.
    start: u64,
}

impl NpyFile {
    /// Open a file that must hold an array of this shape, in C order, of one of these types.
    pub(crate) fn open(
        dataset: &'static DatasetInfo,
        path: &Path,
        dtypes: &[Dtype],
        shape: &[u64],
    ) -> Result<Self, DataError> {
        let error = |found, expected| error(dataset, path, found, expected);
        let (mut reader, length) = open(path)?;
        let (header, start) = read_header(dataset, path, &mut reader)?;
        let dtype = dtypes.iter().copied().find(|dtype| dtype.descr() == header.descr);
        let (Some(dtype), false, true) = (dtype, header.fortran_order, header.shape == shape) else {
            let descrs: Vec<&str> = dtypes.iter().map(|dtype| dtype.descr()).collect();
            return Err(error(
                format!("holds {header}"),
                Header::describe(&descrs.join(" or "), false, shape),
            ));
        };
        let expected = start + shape.iter().product::<u64>() * dtype.bytes();
        if length != expected {
            return Err(error(format!("holds {length} bytes"), expected.to_string()));
        }
        let path = path.to_owned();
        Ok(NpyFile {
            dataset,
            path,
            reader,
            dtype,
            start,
        })
    }

    /// Go to the value of this index, counted in C order.
    pub(crate) fn seek(&mut self, index: u64) -> Result<(), DataError> {
        let offset = self.start + index * self.dtype.bytes();
        self.reader
            .seek(SeekFrom::Start(offset))
            .map(drop)
            .map_err(|source| io_error(&self.path, source))
    }

    /// Read the bytes of the next values.
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) -> Result<(), DataError> {
        self.reader
            .read_exact(buffer)
            .map_err(|source| io_error(&self.path, source))
    }

    /// An error about the values.
    pub(crate) fn error(&self, found: String, expected: String) -> DataError {
        error(self.dataset, &self.path, found, expected)
    }
}

/// What a header says.
struct Header {
    descr: String,
    fortran_order: bool,
    shape: Vec<u64>,
}

impl Header {
    fn describe(descr: &str, fortran_order: bool, shape: &[u64]) -> String {
        let order = if fortran_order { "Fortran" } else { "C" };
        format!("values of type {descr} and shape {shape:?} in {order} order")
    }
}

impl std::fmt::Display for Header {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&Self::describe(&self.descr, self.fortran_order, &self.shape))
    }
}

fn error(dataset: &'static DatasetInfo, path: &Path, found: String, expected: String) -> DataError {
    DataError::Npy {
        dataset,
        path: path.to_owned(),
        found,
        expected,
    }
}

/// Read up to the values; returns the header and where they start.
fn read_header(dataset: &'static DatasetInfo, path: &Path, reader: &mut impl Read) -> Result<(Header, u64), DataError> {
    let error = |found, expected| error(dataset, path, found, expected);
    let mut start = 0;
    let mut take = |count: usize| -> Result<Vec<u8>, DataError> {
        let mut bytes = vec![0; count];
        reader.read_exact(&mut bytes).map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof => error(
                format!("ends before byte {}", start + count as u64),
                "a whole .npy header".to_owned(),
            ),
            _ => io_error(path, source),
        })?;
        start += count as u64;
        Ok(bytes)
    };
    let magic = take(MAGIC.len())?;
    if magic != MAGIC {
        return Err(error(
            format!("starts with the bytes {magic:02x?}"),
            format!("{MAGIC:02x?} of a .npy file"),
        ));
    }
    let version = take(2)?;
    let length_bytes = match version[..] {
        [1, 0] => 2,
        [2 | 3, 0] => 4,
        _ => {
            return Err(error(
                format!("is in version {}.{} of the .npy format", version[0], version[1]),
                "1.0, 2.0 or 3.0".to_owned(),
            ));
        }
    };
    let length = take(length_bytes)?
        .iter()
        .rev()
        .fold(0, |length, &byte| (length << 8) | usize::from(byte));
    if length > HEADER_MAX {
        return Err(error(
            format!("has a header of {length} bytes"),
            format!("at most {HEADER_MAX}"),
        ));
    }
    let text = take(length)?;
    let header = Scanner { rest: &text }.header().ok_or_else(|| {
        error(
            format!("has the header {:?}", String::from_utf8_lossy(&text).trim_end()),
            "a dictionary of a simple 'descr', 'fortran_order' and 'shape'".to_owned(),
        )
    })?;
    Ok((header, start))
}

/// A header being read, of which `rest` is left. Every method gives `None` for anything else than it reads.
struct Scanner<'a> {
    rest: &'a [u8],
}

impl<'a> Scanner<'a> {
    /// The whole header: three keys in any order, each once.
    fn header(mut self) -> Option<Header> {
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        self.token(b"{")?;
        while self.token(b"}").is_none() {
            let key = self.string()?;
            self.token(b":")?;
            let known = match key {
                "descr" => descr.replace(self.string()?.to_owned()).is_none(),
                "fortran_order" => fortran_order.replace(self.boolean()?).is_none(),
                "shape" => shape.replace(self.tuple()?).is_none(),
                _ => false,
            };
            if !known {
                return None;
            }
            if self.token(b",").is_none() {
                self.token(b"}")?;
                break;
            }
        }
        if !self.rest.trim_ascii().is_empty() {
            return None;
        }
        Some(Header {
            descr: descr?,
            fortran_order: fortran_order?,
            shape: shape?,
        })
    }

    /// This token, after spaces.
    fn token(&mut self, token: &[u8]) -> Option<()> {
        self.rest = self.rest.trim_ascii_start().strip_prefix(token)?;
        Some(())
    }

    /// The bytes up to the first that is none of these, at least one.
    fn take_while(&mut self, belongs: impl Fn(u8) -> bool) -> Option<&'a str> {
        let end = self.rest.iter().position(|&byte| !belongs(byte));
        let (taken, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        str::from_utf8(taken).ok().filter(|taken| !taken.is_empty())
    }

    /// A string in either quotes, without escapes.
    fn string(&mut self) -> Option<&'a str> {
        let quote = [b'\'', b'"']
            .into_iter()
            .find(|&quote| self.token(&[quote]).is_some())?;
        let string = self.take_while(|byte| byte != quote && byte != b'\\')?;
        self.token(&[quote])?;
        Some(string)
    }

    fn boolean(&mut self) -> Option<bool> {
        self.token(b"True")
            .map(|()| true)
            .or_else(|| self.token(b"False").map(|()| false))
    }

    /// A tuple of whole numbers; one of a single number ends in a comma.
    fn tuple(&mut self) -> Option<Vec<u64>> {
        let mut numbers = Vec::new();
        self.token(b"(")?;
        while self.token(b")").is_none() {
            self.rest = self.rest.trim_ascii_start();
            numbers.push(self.take_while(|byte| byte.is_ascii_digit())?.parse().ok()?);
            // Python 2 wrote some numbers as 5L.
            let _ = self.token(b"L");
            if self.token(b",").is_none() {
                self.token(b")")?;
                return (numbers.len() > 1).then_some(numbers);
            }
        }
        Some(numbers)
    }
}
