//! The values of a MATLAB file that lists of images need.

use super::MatError;
use super::element::{ByteOrder, Elements, kind};

/// The deepest nesting of matrices. A struct array of a list has two levels.
const MAXIMUM_DEPTH: usize = 8;

/// The classes of matrices.
mod class {
    pub(super) const CELL: u8 = 1;
    pub(super) const STRUCT: u8 = 2;
    pub(super) const CHAR: u8 = 4;
    /// From double precision to unsigned 64-bit numbers.
    pub(super) const NUMBERS: std::ops::RangeInclusive<u8> = 6..=15;
}

/// A value of a MATLAB file.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Variable {
    Text(String),
    /// A numeric array of one element.
    Number(f64),
    Cells(Vec<Variable>),
    /// A struct array.
    Records {
        fields: Vec<String>,
        /// The values of all fields, record by record.
        values: Vec<Variable>,
    },
    /// Any value that lists of images do not need.
    Other,
}

impl Variable {
    /// Parses the bytes of a matrix. Returns its name too.
    ///
    /// # Errors
    /// If a length or a type is wrong, or matrices are nested too deeply.
    pub(super) fn parse(matrix: &[u8], order: ByteOrder) -> Result<(String, Self), MatError> {
        parse(matrix, order, 0)
    }
}

/// Parses the bytes of a matrix that is inside `depth` others.
fn parse(matrix: &[u8], order: ByteOrder, depth: usize) -> Result<(String, Variable), MatError> {
    if matrix.is_empty() {
        return Ok((String::new(), Variable::Other));
    }
    if depth == MAXIMUM_DEPTH {
        return Err(MatError::Damaged);
    }
    let mut parts = Elements::new(matrix, order);
    let flags = parts.of_kind(kind::UINT32)?.numbers().unwrap_or_default();
    let class = *flags.first().ok_or(MatError::Damaged)? as u32 as u8;
    if !(class == class::CELL
        || class == class::STRUCT
        || class == class::CHAR
        || class::NUMBERS.contains(&class))
    {
        return Ok((String::new(), Variable::Other));
    }
    let sizes = parts.of_kind(kind::INT32)?.numbers().unwrap_or_default();
    let name = parts.of_kind(kind::INT8)?.text().unwrap_or_default();
    let variable = match class {
        class::CELL => Variable::Cells(matrices(&mut parts, &sizes, 1, order, depth)?),
        class::STRUCT => {
            let fields = fields(&mut parts)?;
            let values = matrices(&mut parts, &sizes, fields.len(), order, depth)?;
            Variable::Records { fields, values }
        }
        class::CHAR => match parts.required()?.text() {
            Some(text) => Variable::Text(text),
            None => Variable::Other,
        },
        _ => {
            let element = parts.required()?;
            // A number has at most eight bytes; matrices are not converted.
            let numbers = (element.data.len() <= 8).then(|| element.numbers());
            match numbers.flatten().as_deref() {
                Some(&[number]) => Variable::Number(number),
                _ => Variable::Other,
            }
        }
    };
    Ok((name, variable))
}

/// Parses the names of a struct's fields: the length of a name with its padding, and the names.
fn fields(parts: &mut Elements) -> Result<Vec<String>, MatError> {
    let length = parts.of_kind(kind::INT32)?.numbers().unwrap_or_default();
    let names = parts.of_kind(kind::INT8)?.data;
    let length = match length[..] {
        [length] if length >= 1.0 => length as usize,
        _ => return Err(MatError::Damaged),
    };
    let name = |name: &[u8]| {
        let end = name.iter().position(|&byte| byte == 0);
        String::from_utf8_lossy(&name[..end.unwrap_or(name.len())]).into_owned()
    };
    Ok(names.chunks_exact(length).map(name).collect())
}

/// Parses the matrices inside a matrix of `sizes`, which has `each` of them per element.
fn matrices(
    parts: &mut Elements,
    sizes: &[f64],
    each: usize,
    order: ByteOrder,
    depth: usize,
) -> Result<Vec<Variable>, MatError> {
    let count = sizes.iter().product::<f64>() * each as f64;
    // Compared before memory is reserved.
    if !(0.0..=parts.most() as f64).contains(&count) {
        return Err(MatError::Damaged);
    }
    let mut variables = Vec::with_capacity(count as usize);
    for _ in 0..count as usize {
        let matrix = parts.of_kind(kind::MATRIX)?;
        variables.push(parse(matrix.data, order, depth + 1)?.1);
    }
    Ok(variables)
}
