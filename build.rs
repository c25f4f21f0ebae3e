//! Passes a digest of the kernels' sources to the compiler: the cache of compiled kernels of another version of them is
//! not used (src/backend/kernel_cache).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

fn main() -> io::Result<()> {
    let folder = "src/kernels";
    println!("cargo::rerun-if-changed={folder}");
    let mut files = BTreeMap::new();
    read(Path::new(folder), &mut files)?;
    // FNV-1a, 64 bits.
    let mut digest = 0xcbf2_9ce4_8422_2325_u64;
    for byte in files.values().flatten() {
        digest = (digest ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    println!("cargo::rustc-env=LOOP_DML_KERNELS_DIGEST={digest:016x}");
    Ok(())
}

/// Adds the contents of the files below a folder, by their paths.
fn read(folder: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        match path.is_dir() {
            true => read(&path, files)?,
            false => {
                files.insert(path.clone(), fs::read(path)?);
            }
        }
    }
    Ok(())
}
