//! Files written by PyTorch, and malicious pickles.

use std::collections::BTreeMap;

use burn::tensor::TensorData;

use super::reader::MAX_TEXT;
use super::values::MAX_VALUES;
use super::*;

const CHANNELS_LAST: &str = "assets/fixtures/convolution_block_channels_last.pth";
const OLD_FORMAT: &str = "assets/fixtures/convolution_block_channels_last_old_format.pth";

fn strides(named: &Named) -> (&[usize], &[usize]) {
    match named {
        Named::Tensor(tensor) => (&tensor.shape, &tensor.strides),
        other => panic!("{other:?}"),
    }
}

fn values(entry: &Entry) -> Result<TensorData, TensorSnapshotError> {
    entry.tensor().expect("a tensor").snapshot.to_data()
}

/// The message about a file that cannot be read.
fn refusal(path: &Path) -> String {
    read_pth(path).err().expect("refused").to_string()
}

#[test]
fn strides_are_read_in_both_formats() {
    for file in [CHANNELS_LAST, OLD_FORMAT] {
        let input = BufReader::new(File::open(file).unwrap());
        let (pickled, _) = open(Box::new(input)).unwrap();
        let tensors = pickled.named().unwrap();
        let kernel = strides(&tensors["conv.weight"]);
        assert_eq!(kernel, (&[3, 2, 3, 3][..], &[18, 1, 6, 2][..]), "{file}");
        let variance = strides(&tensors["bn.running_var"]);
        assert_eq!(variance, (&[3][..], &[1][..]), "{file}");
    }
}

#[test]
fn both_formats_have_the_same_values() {
    let [new, old] = [CHANNELS_LAST, OLD_FORMAT].map(|file| {
        let tensors = read_pth(Path::new(file)).unwrap().into_iter();
        let values = tensors.map(|(name, tensor)| (name, values(&tensor).unwrap()));
        values.collect::<BTreeMap<_, _>>()
    });
    assert_eq!(new.len(), 6);
    assert_eq!(new, old);
}

#[test]
fn truncated_file_is_refused() {
    let whole = std::fs::read(OLD_FORMAT).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let truncated = folder.path().join("truncated.pth");
    std::fs::write(&truncated, &whole[..whole.len() - 1]).unwrap();
    let message = refusal(&truncated);
    let length = whole.len();
    let expected = format!("its tensors need {length} bytes, and it has {}", length - 1);
    assert!(message.contains(&expected), "{message}");
}

#[test]
fn damaged_storage_in_an_archive_is_refused() {
    let mut bytes = std::fs::read(CHANNELS_LAST).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let damaged = folder.path().join("damaged.pth");
    // The first storage starts at the first multiple of 64 bytes after its name.
    let name = b"convolution_block_channels_last/data/0";
    let place = bytes.windows(name.len()).position(|part| part == name);
    let start = (place.unwrap() + name.len()).next_multiple_of(64);
    bytes[start] ^= 1;
    std::fs::write(&damaged, &bytes).unwrap();
    let kernel = &read_pth(&damaged).unwrap()["conv.weight"];
    let message = values(kernel).unwrap_err().to_string();
    let expected = "its data is damaged (Invalid checksum); download or copy it again";
    assert!(message.contains(expected), "{message}");
}

#[test]
fn pickles_that_end_early_or_lack_values_are_refused() {
    let whole = std::fs::read(OLD_FORMAT).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let cut = folder.path().join("cut.pth");
    for length in [0, 5, 40, 200, 400] {
        std::fs::write(&cut, &whole[..length]).unwrap();
        assert!(read_pth(&cut).is_err(), "{length}");
    }
    // Lengths of text, numbers and items beyond the end; a missing mark, memo entry and stack entry.
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
    let unknown = Machine::run(&b"\xff."[..]);
    assert!(matches!(unknown, Err(PthError::Instruction(0xff))));
}

fn tensors(pickle: &[u8]) -> Result<BTreeMap<String, Named>, PthError> {
    Machine::run(pickle)?.named()
}

/// A dictionary with the tensor `t` of one axis, at 0 in the memo.
const DICTIONARY: &[u8] = b"}q\x00\x8c\x01tctorch._utils\n_rebuild_tensor_v2\n\
                            ((\x8c\x07storagectorch\nFloatStorage\n\
                            \x8c\x010\x8c\x03cpuK\x03tQ\
                            K\x00K\x03\x85K\x01\x85tRs";

#[test]
fn recalled_values_include_later_changes() {
    // {"a": d, "b": d}; the memo stores d before its tensor is added.
    let pickle = [b"}", DICTIONARY, b"0\x8c\x01ah\x00s\x8c\x01bh\x00s."].concat();
    let found = tensors(&pickle).unwrap();
    assert_eq!(found.keys().collect::<Vec<_>>(), ["a.t", "b.t"]);
    assert_eq!(strides(&found["b.t"]), (&[3][..], &[1][..]));
}

#[test]
fn values_that_contain_others_twice_are_limited() {
    let twice = b"q\x000}\x8c\x01ah\x00s\x8c\x01bh\x00s";
    let few = [DICTIONARY, &twice.repeat(4), b"."].concat();
    assert_eq!(tensors(&few).unwrap().len(), 16);
    // Tuples, lists, dictionaries, results of functions, and states.
    for (start, level) in [
        (&b")"[..], &b"q\x00h\x00\x86"[..]),
        (b"]", b"q\x000](h\x00h\x00e"),
        (b"]", b"q\x000]h\x00ah\x00a"),
        (DICTIONARY, twice),
        (b")", b"q\x00h\x00R"),
        (b"]", b"q\x00h\x00b"),
    ] {
        let many = [start, &level.repeat(100), b"."].concat();
        let refused = tensors(&many);
        assert!(matches!(refused, Err(PthError::Damaged)), "{level:?}");
    }
    // One long text, recalled many times.
    let text = [b"X\0\0\x01\0", &[b'a'; 1 << 16][..], b"q\x00"].concat();
    let again = [&text[..], &b"h\x00".repeat(1 << 16), b"."].concat();
    assert!(matches!(tensors(&again), Err(PthError::Damaged)));
}

#[test]
fn total_length_of_names_is_limited() {
    // Each dictionary contains the next one twice, but is empty when it is added.
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
    assert!(tensors(&nested(10)).is_ok());
    assert!(matches!(tensors(&nested(40)), Err(PthError::Damaged)));
}

#[test]
fn nesting_is_limited() {
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
        let refused = tensors(&nested);
        assert!(matches!(refused, Err(PthError::Damaged)), "{level:?}");
    }
    let itself = b"}q\x00K\x01h\x00s.";
    assert!(matches!(tensors(itself), Err(PthError::Damaged)));
}

#[test]
fn number_of_values_is_limited() {
    let numbers = [&b"N".repeat(MAX_VALUES)[..], b"."].concat();
    assert!(Machine::run(&numbers[..]).is_ok());
    let more = [b"N", &numbers[..]].concat();
    assert!(matches!(Machine::run(&more[..]), Err(PthError::Damaged)));
}

#[test]
fn long_texts_are_skipped() {
    let text = vec![b'a'; MAX_TEXT as usize + 1];
    let read = |length: u64| {
        let claimed = (length as u32).to_le_bytes();
        let pickle = [&b"X"[..], &claimed, &text[..length as usize], b"."].concat();
        let pickled = Machine::run(&pickle[..]).unwrap();
        matches!(pickled.values.get(pickled.top), Value::Text(_))
    };
    assert!(read(MAX_TEXT));
    assert!(!read(MAX_TEXT + 1));
    let line = [b"c", &text[..], b"\nname\n."].concat();
    assert!(matches!(Machine::run(&line[..]), Err(PthError::Damaged)));
}

#[test]
fn compressed_archives_are_refused() {
    // A storage of some KB could otherwise be gigabytes. The method of compression is 8 bytes after the
    // start of an entry, and 10 bytes after its start in the directory.
    let mut bytes = std::fs::read(CHANNELS_LAST).unwrap();
    for (start, method) in [(b"PK\x03\x04", 8), (b"PK\x01\x02", 10)] {
        let starts = bytes.windows(4).enumerate();
        let starts: Vec<usize> = starts
            .filter(|(_, w)| w == start)
            .map(|(at, _)| at)
            .collect();
        for at in starts {
            bytes[at + method] = 8;
        }
    }
    let input = Box::new(std::io::Cursor::new(bytes));
    let message = parse_pth(input).err().unwrap().to_string();
    assert!(message.contains("ompression"), "{message}");
}
