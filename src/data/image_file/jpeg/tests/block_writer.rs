//! Writes JPEG files whose blocks of 8 × 8 are flat, so that their pixels are known without a decoder.
//!
//! All parts of a file that decoders got wrong are free: sampling factors, the scans and their order, restart
//! intervals, and whether the file is progressive.

/// A component: its sampling factors, and the value of each of its blocks.
#[derive(Debug, Clone)]
pub(super) struct Component {
    pub(super) horizontal: usize,
    pub(super) vertical: usize,
    /// Differences to 128, row by row, as many as [`Layout::blocks`] says.
    pub(super) blocks: Vec<i32>,
}

/// A file.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) components: Vec<Component>,
    /// The components of each scan.
    pub(super) scans: Vec<Vec<usize>>,
    /// MCUs between restart markers; 0 for no restarts.
    pub(super) restart_interval: usize,
    pub(super) progressive: bool,
}

/// A grid of blocks: columns and rows.
type Grid = (usize, usize);

impl Layout {
    fn most(&self, factor: impl Fn(&Component) -> usize) -> usize {
        self.components.iter().map(factor).max().unwrap()
    }

    fn mcus(&self) -> Grid {
        let columns = self.width.div_ceil(8 * self.most(|c| c.horizontal));
        let rows = self.height.div_ceil(8 * self.most(|c| c.vertical));
        (columns, rows)
    }

    /// Returns the blocks of a component that an interleaved scan has, with those that fill the last MCUs.
    pub(super) fn blocks(&self, component: &Component) -> Grid {
        let (columns, rows) = self.mcus();
        (columns * component.horizontal, rows * component.vertical)
    }

    /// Returns the blocks that a scan of this component alone has: those with pixels of the image.
    fn blocks_alone(&self, component: &Component) -> Grid {
        let count =
            |pixels: usize, factor: usize, most: usize| (pixels * factor).div_ceil(8 * most);
        (
            count(
                self.width,
                component.horizontal,
                self.most(|c| c.horizontal),
            ),
            count(self.height, component.vertical, self.most(|c| c.vertical)),
        )
    }

    /// Returns the file.
    pub(super) fn file(&self) -> Vec<u8> {
        let mut file = vec![0xff, 0xd8];
        // All factors 8: the value of a flat block is its DC coefficient.
        segment(&mut file, 0xdb, &[&[0][..], &[8; 64]].concat());
        let mut frame = vec![8];
        frame.extend((self.height as u16).to_be_bytes());
        frame.extend((self.width as u16).to_be_bytes());
        frame.push(self.components.len() as u8);
        for (i, component) in self.components.iter().enumerate() {
            let factors = component.horizontal << 4 | component.vertical;
            frame.extend([i as u8 + 1, factors as u8, 0]);
        }
        segment(
            &mut file,
            if self.progressive { 0xc2 } else { 0xc0 },
            &frame,
        );
        // DC: twelve codes of 4 bits for 0 to 11 bits. AC: one code of 1 bit for the end of a block.
        let mut dc = [0; 17];
        dc[4] = 12;
        segment(
            &mut file,
            0xc4,
            &[&dc[..], &(0..12).collect::<Vec<u8>>()].concat(),
        );
        let mut ac = [0; 17];
        (ac[0], ac[1]) = (0x10, 1);
        segment(&mut file, 0xc4, &[&ac[..], &[0]].concat());
        segment(
            &mut file,
            0xdd,
            &(self.restart_interval as u16).to_be_bytes(),
        );
        for scan in &self.scans {
            self.write_scan(&mut file, scan, true);
        }
        if self.progressive {
            // The other coefficients: 0. Without these scans, a decoder would smooth the blocks.
            for i in 0..self.components.len() {
                self.write_scan(&mut file, &[i], false);
            }
        }
        file.extend([0xff, 0xd9]);
        file
    }

    fn write_scan(&self, file: &mut Vec<u8>, scan: &[usize], dc: bool) {
        let mut header = vec![scan.len() as u8];
        header.extend(scan.iter().flat_map(|i| [*i as u8 + 1, 0]));
        header.extend(match (self.progressive, dc) {
            (false, _) => [0, 63, 0],
            (true, true) => [0, 0, 0],
            (true, false) => [1, 63, 0],
        });
        segment(file, 0xda, &header);

        let mut bits = Bits::default();
        let mut previous = [0; 4];
        for (i, mcu) in self.scan_mcus(scan).iter().enumerate() {
            if self.restart_interval > 0 && i > 0 && i % self.restart_interval == 0 {
                file.append(&mut bits.finished());
                file.extend([0xff, 0xd0 + (i / self.restart_interval - 1) as u8 % 8]);
                previous = [0; 4];
            }
            for (component, value) in mcu {
                if dc {
                    bits.difference(value - previous[*component]);
                    previous[*component] = *value;
                }
                if !dc || !self.progressive {
                    bits.push(0, 1);
                }
            }
        }
        file.append(&mut bits.finished());
    }

    /// Returns component and value of the blocks of each MCU.
    fn scan_mcus(&self, scan: &[usize]) -> Vec<Vec<(usize, i32)>> {
        let value = |i: usize, x: usize, y: usize| {
            let component = &self.components[i];
            (i, component.blocks[y * self.blocks(component).0 + x])
        };
        let across =
            |(columns, rows): Grid| (0..rows).flat_map(move |y| (0..columns).map(move |x| (x, y)));
        if let [alone] = scan {
            let grid = self.blocks_alone(&self.components[*alone]);
            return across(grid)
                .map(|(x, y)| vec![value(*alone, x, y)])
                .collect();
        }
        let blocks = |(x, y): (usize, usize)| {
            let mut blocks = Vec::new();
            for i in scan {
                let (h, v) = (self.components[*i].horizontal, self.components[*i].vertical);
                blocks.extend(across((h, v)).map(|(dx, dy)| value(*i, x * h + dx, y * v + dy)));
            }
            blocks
        };
        across(self.mcus()).map(blocks).collect()
    }
}

fn segment(file: &mut Vec<u8>, marker: u8, data: &[u8]) {
    file.extend([0xff, marker]);
    file.extend((data.len() as u16 + 2).to_be_bytes());
    file.extend_from_slice(data);
}

/// Bits of compressed data.
#[derive(Default)]
struct Bits(Vec<bool>);

impl Bits {
    fn push(&mut self, value: u32, count: u32) {
        self.0
            .extend((0..count).rev().map(|bit| value >> bit & 1 == 1));
    }

    /// Appends the difference of two DC coefficients: its number of bits, and the bits.
    fn difference(&mut self, difference: i32) {
        let count = 32 - difference.unsigned_abs().leading_zeros();
        self.push(count, 4);
        let negative = i32::from(difference < 0);
        let value = (difference - negative) & ((1 << count) - 1);
        self.push(value as u32, count);
    }

    /// Returns the bytes, filled with ones, and empties the bits.
    fn finished(&mut self) -> Vec<u8> {
        while !self.0.len().is_multiple_of(8) {
            self.0.push(true);
        }
        let mut bytes = Vec::new();
        for bits in std::mem::take(&mut self.0).chunks(8) {
            let byte = bits.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
            bytes.push(byte);
            if byte == 0xff {
                bytes.push(0);
            }
        }
        bytes
    }
}
