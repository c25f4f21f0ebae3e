//! The parsers of weights files as functions of bytes. They return the messages of all errors.

use std::io::Cursor;
use std::path::Path;

use super::contents::Contents;
use super::other_file::OtherFile;
use super::pth::parse_pth;
use super::safetensors::parse_safetensors;
use super::selection::select;
use super::values;

/// The number of tensors whose values are read. Tensors may share a storage.
const READ: usize = 64;

/// The most numbers of a tensor that is read. Tensors may repeat numbers.
const NUMBERS: usize = 1 << 20;

/// Names of a network that are searched for.
const WANTED: [&str; 2] = ["conv.weight", "bn.running_var"];

/// Parses a safetensors file.
pub(crate) fn safetensors(bytes: &[u8]) -> Vec<String> {
    let contents = parse_safetensors(Box::new(Cursor::new(bytes.to_vec())));
    contents.map_or_else(|error| vec![error], read_values)
}

/// Parses a `.pth` file.
pub(crate) fn pth(bytes: &[u8]) -> Vec<String> {
    let contents = parse_pth(Box::new(Cursor::new(bytes.to_vec())));
    let mut messages = contents.map_or_else(|error| vec![error.to_string()], read_values);
    messages.push(OtherFile::recognise(bytes).to_string());
    messages
}

fn read_values(mut contents: Contents) -> Vec<String> {
    let selection = select(Path::new("fuzz"), &mut contents, &WANTED.map(String::from));
    let mut messages: Vec<String> = match selection {
        Ok(selection) => selection.notes.iter().map(ToString::to_string).collect(),
        Err(error) => vec![error.to_string()],
    };
    let tensors = contents.values().filter_map(|entry| entry.tensor());
    let small = tensors.filter(|tensor| {
        let mut sides = tensor.snapshot.shape.iter();
        let numbers = sides.try_fold(1, |numbers: usize, &side| numbers.checked_mul(side));
        numbers.is_some_and(|numbers| numbers <= NUMBERS)
    });
    messages.extend(
        small
            .take(READ)
            .filter_map(|tensor| values(&tensor.snapshot).err()),
    );
    messages
}
