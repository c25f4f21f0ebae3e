//! The bytes of a pickle.

use std::io::{self, Read};

use super::error::PthError;

/// The limit on the length of a text that is kept, in bytes. Longer ones, such as NumPy arrays, are skipped.
pub(super) const MAX_TEXT: u64 = 1 << 24;

/// Reads the arguments of a pickle's instructions.
pub(super) struct PickleReader<R>(pub(super) R);

impl<R: Read> PickleReader<R> {
    pub(super) fn bytes<const N: usize>(&mut self) -> Result<[u8; N], PthError> {
        let mut bytes = [0; N];
        self.0.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    pub(super) fn byte(&mut self) -> Result<u8, PthError> {
        let [byte] = self.bytes()?;
        Ok(byte)
    }

    /// The length of what follows, a number of `N` bytes.
    pub(super) fn length<const N: usize>(&mut self) -> Result<u64, PthError> {
        let mut length = [0; 8];
        length[..N].copy_from_slice(&self.bytes::<N>()?);
        Ok(u64::from_le_bytes(length))
    }

    /// Reads `count` bytes; `None` if they are more than [`MAX_TEXT`], which are skipped. A damaged pickle
    /// may claim more than it has, so memory is not reserved.
    pub(super) fn take(&mut self, count: u64) -> Result<Option<Vec<u8>>, PthError> {
        let mut bytes = Vec::new();
        let mut source = self.0.by_ref().take(count);
        let found = match count > MAX_TEXT {
            true => io::copy(&mut source, &mut io::sink())?,
            false => source.read_to_end(&mut bytes)? as u64,
        };
        match found == count {
            true => Ok((count <= MAX_TEXT).then_some(bytes)),
            false => Err(PthError::Damaged),
        }
    }

    /// Reads up to the end of a line.
    pub(super) fn line(&mut self) -> Result<String, PthError> {
        let mut line = Vec::new();
        loop {
            match self.byte()? {
                b'\n' => return Ok(String::from_utf8_lossy(&line).into_owned()),
                _ if line.len() as u64 == MAX_TEXT => return Err(PthError::Damaged),
                byte => line.push(byte),
            }
        }
    }
}
