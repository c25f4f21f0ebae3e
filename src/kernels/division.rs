//! How a map is divided among the cubes of a kernel.

use cubecl::prelude::{CubeCount, CubeDim};

/// Units of a cube.
const UNITS: usize = 256;
/// Units of a cube along the columns, at most: a row of 32 units reads whole lines of memory.
const COLUMN_UNITS: usize = 32;
/// Cubes that keep every processor of a large GPU busy.
const CUBES: usize = 1024;
/// Rows that each unit adds, at least, if there are as many.
const ROWS_PER_UNIT: usize = 16;

/// A map as a matrix with a row per position and a column per vector of channels, in chunks of rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Division {
    pub(super) rows: usize,
    /// Vectors in a row.
    pub(super) columns: usize,
    /// Numbers in a vector.
    pub(super) vector: usize,
    /// Units of a cube along the columns and along the rows.
    pub(super) units: [usize; 2],
    /// Chunks of rows. None is empty.
    pub(super) chunks: usize,
    pub(super) rows_per_chunk: usize,
}

impl Division {
    /// Divides a map `[N, H, W, C]`.
    pub(super) fn of_map([n, h, w, c]: [usize; 4]) -> Self {
        Self::new(n * h * w, c)
    }

    /// Divides a map of `rows` positions, at least one.
    pub(super) fn new(rows: usize, channels: usize) -> Self {
        let vector = [4, 2].into_iter().find(|&v| channels.is_multiple_of(v));
        let vector = vector.unwrap_or(1);
        let columns = channels / vector;
        let across = columns.next_power_of_two().min(COLUMN_UNITS);
        let down = UNITS / across;
        let most = (CUBES / columns.div_ceil(across)).max(1);
        let chunks = rows.div_ceil(down * ROWS_PER_UNIT).clamp(1, most);
        let rows_per_chunk = rows.div_ceil(chunks);
        Self {
            rows,
            columns,
            vector,
            units: [across, down],
            chunks: rows.div_ceil(rows_per_chunk),
            rows_per_chunk,
        }
    }

    /// C.
    pub(super) fn channels(self) -> usize {
        self.columns * self.vector
    }

    /// Vectors in the map.
    pub(super) fn vectors(self) -> usize {
        self.rows * self.columns
    }

    pub(super) fn cube_dim(self) -> CubeDim {
        CubeDim::new_2d(self.units[0] as u32, self.units[1] as u32)
    }

    /// The cubes for `chunks` chunks, `layers` times.
    pub(super) fn cubes(self, chunks: usize, layers: usize) -> CubeCount {
        let across = self.columns.div_ceil(self.units[0]);
        CubeCount::Static(across as u32, chunks as u32, layers as u32)
    }
}
