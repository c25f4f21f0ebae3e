//! Small files of many kinds, compared with the pixels that Pillow 13 reads from them.
//!
//! `scripts/draw_image_fixtures assets/fixtures/images` made the files, and `expected.rgb` with the
//! pixels of all of them.

use super::*;

/// The largest and the mean difference to Pillow's pixels, in levels, of the files whose name contains a text.
/// All others are equal.
const TOLERANCES: [(&str, u8, f64); 3] = [
    // LittleCMS rounds differently, and interpolates CMYK tables differently between their points.
    ("cmyk-profile", 8, 2.5),
    ("profile", 2, 0.1),
    // Pillow repeats the bits of a value of 5 bits, and image scales it.
    ("bmp-5", 1, 0.5),
];

#[test]
fn files_of_all_kinds_have_the_pixels_that_pillow_reads() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/fixtures/images");
    let list = std::fs::read_to_string(folder.join("list.csv")).unwrap();
    let pixels = std::fs::read(folder.join("expected.rgb")).unwrap();
    let mut pixels = &pixels[..];
    for line in list.lines() {
        let fields: Vec<&str> = line.split(',').collect();
        let [name, width, height] = fields[..] else {
            panic!("{line}");
        };
        let size: (u32, u32) = (width.parse().unwrap(), height.parse().unwrap());
        let expected;
        (expected, pixels) = pixels.split_at((size.0 * size.1 * 3) as usize);

        let path = folder.join(name);
        check_image_file(&path).unwrap();
        let image = read_image_file(&path).unwrap();
        assert_eq!(image.dimensions(), size, "{name}");
        let differences = image.iter().zip(expected).map(|(a, b)| a.abs_diff(*b));
        let largest = differences.clone().max().unwrap();
        let mean = differences.map(f64::from).sum::<f64>() / expected.len() as f64;
        let tolerance = TOLERANCES.iter().find(|(part, ..)| name.contains(part));
        let (_, most, most_in_mean) = tolerance.unwrap_or(&("", 0, 0.0));
        assert!(
            largest <= *most && mean <= *most_in_mean,
            "{name}: {largest} levels, mean {mean:.3}"
        );
    }
    assert!(pixels.is_empty());
}
