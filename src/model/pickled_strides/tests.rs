//! Files that PyTorch wrote, and pickles that nobody should have written.

use super::values::MOST_VALUES;
use super::*;

const CHANNELS_LAST: &str = "assets/fixtures/convolution_block_channels_last.pth";
const OLD_FORMAT: &str = "assets/fixtures/convolution_block_channels_last_old_format.pth";

fn layout(shape: &[usize], strides: &[usize]) -> Layout {
    Layout {
        shape: shape.to_vec(),
        strides: strides.to_vec(),
    }
}

#[test]
fn strides_are_found_in_both_formats() {
    for file in [CHANNELS_LAST, OLD_FORMAT] {
        let layouts = pickled_layouts(Path::new(file)).unwrap();
        let kernel = layout(&[3, 2, 3, 3], &[18, 1, 6, 2]);
        assert_eq!(layouts["conv.weight"], kernel, "{file}");
        assert_eq!(layouts["bn.running_var"], layout(&[3], &[1]), "{file}");
    }
}

#[test]
fn numbers_are_put_into_the_order_of_rows() {
    let stored = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    let rows = |strides: &[usize]| layout(&[2, 3], strides).row_by_row(&stored);
    assert_eq!(rows(&[3, 1]).unwrap(), stored);
    assert_eq!(rows(&[1, 2]).unwrap(), [1.0, 3.0, 5.0, 2.0, 4.0, 6.0]);
    // Every second number of a storage of which only six were read.
    assert_eq!(rows(&[6, 2]), None);
    assert_eq!(layout(&[], &[]).row_by_row(&stored[..1]).unwrap(), [1.0]);
}

#[test]
fn shapes_and_strides_that_cannot_be_are_refused() {
    let stored = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    for (shape, strides) in [
        (&[3, 3][..], &[0, 0][..]),
        (&[1 << 40], &[0]),
        (&[1 << 40, 1 << 40], &[0, 0]),
        (&[2, 3], &[usize::MAX, 1]),
        (&[2, 3], &[usize::MAX, usize::MAX]),
        (&[2, 3], &[3]),
    ] {
        let found = layout(shape, strides).row_by_row(&stored);
        assert_eq!(found, None, "{shape:?} {strides:?}");
    }
}

#[test]
fn pickles_that_end_early_or_take_what_is_not_there_are_refused() {
    let whole = std::fs::read(OLD_FORMAT).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let cut = folder.path().join("cut.pth");
    for length in [0, 5, 40, 200, 400] {
        std::fs::write(&cut, &whole[..length]).unwrap();
        assert!(pickled_layouts(&cut).is_err(), "{length}");
    }
    // Claims of text, numbers and items beyond the end; a mark, a memory and a stack that lack.
    for pickle in [
        &b"X\xff\xff\xff\xffab."[..],
        b"\x8a\xffab.",
        b"t.",
        b"h\x07.",
        b"R.",
        b"\x87.",
        b"(0.",
        b"((K\x01tt0t.",
        b".",
    ] {
        assert!(Machine::run(pickle).is_err(), "{pickle:?}");
    }
    let unknown = Machine::run(&b"i."[..]);
    assert!(matches!(unknown, Err(PickleError::Instruction(b'i'))));
}

fn layouts(pickle: &[u8]) -> Result<BTreeMap<String, Layout>, PickleError> {
    Machine::run(pickle)?.layouts()
}

/// A dictionary with the tensor `t` of one axis, which remembers itself as 0.
const DICTIONARY: &[u8] = b"}q\x00\x8c\x01tctorch._utils\n_rebuild_tensor_v2\n\
                            (K\x00K\x00K\x03\x85K\x01\x85tRs";

#[test]
fn recalled_values_are_what_they_became_since() {
    // {"a": d, "b": d}, remembered before the tensor is in it.
    let pickle = [b"}", DICTIONARY, b"0\x8c\x01ah\x00s\x8c\x01bh\x00s."].concat();
    let found = layouts(&pickle).unwrap();
    assert_eq!(found.keys().collect::<Vec<_>>(), ["a.t", "b.t"]);
    assert_eq!(found["b.t"], layout(&[3], &[1]));
}

#[test]
fn values_that_hold_others_twice_do_not_multiply_without_end() {
    let tensors = b"q\x000}\x8c\x01ah\x00s\x8c\x01bh\x00s";
    let few = [DICTIONARY, &tensors.repeat(4), b"."].concat();
    assert_eq!(layouts(&few).unwrap().len(), 16);
    // Tuples, lists, dictionaries, what functions return, and states.
    for (start, level) in [
        (&b")"[..], &b"q\x00h\x00\x86"[..]),
        (b"]", b"q\x000](h\x00h\x00e"),
        (b"]", b"q\x000]h\x00ah\x00a"),
        (DICTIONARY, tensors),
        (b")", b"q\x00h\x00R"),
        (b"]", b"q\x00h\x00b"),
    ] {
        let many = [start, &level.repeat(100), b"."].concat();
        let refused = layouts(&many);
        assert!(matches!(refused, Err(PickleError::Damaged)), "{level:?}");
    }
    // One long text, ever again.
    let text = [b"X\0\0\x01\0", &[b'a'; 1 << 16][..], b"q\x00"].concat();
    let again = [&text[..], &b"h\x00".repeat(1 << 16), b"."].concat();
    assert!(matches!(layouts(&again), Err(PickleError::Damaged)));
}

#[test]
fn names_of_tensors_do_not_multiply_without_end() {
    // Each dictionary holds the next one twice, but is empty when it is put there.
    let nested = |levels: u8| {
        let make = |key: u8| [b"}q", &[key][..]].concat();
        let fill = |key: u8| {
            let inner = [b'h', key + 1, b's'];
            [&[b'h', key][..], b"K\x01", &inner, b"K\x02", &inner].concat()
        };
        let made: Vec<u8> = (0..=levels).flat_map(make).collect();
        let filled: Vec<u8> = (0..levels).flat_map(fill).collect();
        [&made[..], &filled, b"h\0."].concat()
    };
    assert!(layouts(&nested(10)).is_ok());
    assert!(matches!(layouts(&nested(40)), Err(PickleError::Damaged)));
}

#[test]
fn values_nested_without_end_are_refused() {
    let deep = 1_000_000;
    for (start, level, end) in [
        (&b")"[..], &b"\x85"[..], &b""[..]),
        (b"", b"}K\x01", b"s"),
        (b"", b"]", b"a"),
        (b"", b")", b"R"),
        (b"", b"]", b"b"),
        (b")", b"Q", b""),
    ] {
        let nested = [start, &level.repeat(deep), b")", &end.repeat(deep), b"."].concat();
        let refused = layouts(&nested);
        assert!(matches!(refused, Err(PickleError::Damaged)), "{level:?}");
    }
    let itself = b"}q\x00K\x01h\x00s.";
    assert!(matches!(layouts(itself), Err(PickleError::Damaged)));
}

#[test]
fn pickles_of_too_many_values_are_refused() {
    let numbers = [&b"N".repeat(MOST_VALUES)[..], b"."].concat();
    assert!(Machine::run(&numbers[..]).is_ok());
    let more = [b"N", &numbers[..]].concat();
    assert!(matches!(Machine::run(&more[..]), Err(PickleError::Damaged)));
}
