//! The pages of a column, checked before they are decoded.

use std::error::Error;
use std::fmt;

use parquet::basic::{Encoding, Type};
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};

/// The most values of a dictionary.
const MAXIMUM_DICTIONARY: u32 = 1 << 24;

/// Pages whose numbers of values are plausible: a page of a few bytes can promise 2³¹ values.
pub(super) struct CheckedPages {
    pages: Box<dyn PageReader>,
    physical_type: Type,
    /// The most values of the pages that follow.
    remaining: u64,
    /// The reason to refuse the file if there are more.
    too_many: String,
}

/// The reason for which a file is refused, with what to do.
#[derive(Debug)]
pub(super) struct Refusal(pub(super) String);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Refusal {}

fn refuse<T>(reason: impl Into<String>) -> Result<T> {
    Err(ParquetError::External(Box::new(Refusal(reason.into()))))
}

impl CheckedPages {
    /// Creates a reader of `pages`, which have at most `limit` values; `too_many` is the reason to refuse others.
    pub(super) fn new(
        pages: Box<dyn PageReader>,
        physical_type: Type,
        limit: u64,
        too_many: &str,
    ) -> Self {
        Self {
            pages,
            physical_type,
            remaining: limit,
            too_many: too_many.into(),
        }
    }

    fn check(&mut self, page: &Page) -> Result<()> {
        let (count, encoding) = match page {
            Page::DictionaryPage {
                buf, num_values, ..
            } => {
                // A text begins with its length in 4 bytes.
                let value_bytes = match self.physical_type {
                    Type::INT64 | Type::DOUBLE => 8,
                    Type::FIXED_LEN_BYTE_ARRAY => 2,
                    _ => 4,
                };
                let fitting = buf.len() / value_bytes;
                return match *num_values as usize <= fitting && *num_values <= MAXIMUM_DICTIONARY {
                    true => Ok(()),
                    false => refuse(format!(
                        "it has a dictionary of {num_values} values in {} bytes; copy or save it again",
                        buf.len()
                    )),
                };
            }
            Page::DataPage {
                num_values,
                encoding,
                ..
            }
            | Page::DataPageV2 {
                num_values,
                encoding,
                ..
            } => (u64::from(*num_values), *encoding),
        };
        // Texts as differences state another number of values, for which the decoder reserves memory.
        if matches!(
            encoding,
            Encoding::DELTA_LENGTH_BYTE_ARRAY | Encoding::DELTA_BYTE_ARRAY
        ) {
            return refuse(format!(
                "it has the encoding {encoding}, which is not read; save it with the plain or the dictionary encoding"
            ));
        }
        match self.remaining.checked_sub(count) {
            Some(remaining) => self.remaining = remaining,
            None => return refuse(&*self.too_many),
        }
        Ok(())
    }
}

impl PageReader for CheckedPages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.pages.get_next_page()?;
        if let Some(page) = &page {
            self.check(page)?;
        }
        Ok(page)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.pages.skip_next_page()
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.pages.at_record_boundary()
    }
}

impl Iterator for CheckedPages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct OnePage(Option<Page>);

    impl Iterator for OnePage {
        type Item = Result<Page>;

        fn next(&mut self) -> Option<Self::Item> {
            self.0.take().map(Ok)
        }
    }

    impl PageReader for OnePage {
        fn get_next_page(&mut self) -> Result<Option<Page>> {
            Ok(self.0.take())
        }

        fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
            Ok(None)
        }

        fn skip_next_page(&mut self) -> Result<()> {
            Ok(())
        }
    }

    fn checked(page: Page, kind: Type, limit: u64) -> Option<String> {
        let pages = Box::new(OnePage(Some(page)));
        let mut pages = CheckedPages::new(pages, kind, limit, "there are too many");
        let error = pages.next()?.err()?;
        Some(error.to_string())
    }

    fn data_page(num_values: u32, encoding: Encoding) -> Page {
        Page::DataPage {
            buf: vec![0; 8].into(),
            num_values,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        }
    }

    #[test]
    fn pages_that_promise_more_values_than_allowed_are_refused() {
        let page = |count| data_page(count, Encoding::RLE_DICTIONARY);
        assert_eq!(checked(page(9), Type::FLOAT, 9), None);
        let message = checked(page(u32::MAX), Type::FLOAT, 9).unwrap();
        assert!(message.contains("there are too many"), "{message}");
    }

    #[test]
    fn dictionaries_that_do_not_fit_their_pages_are_refused() {
        let page = |num_values| Page::DictionaryPage {
            buf: vec![0; 8].into(),
            num_values,
            encoding: Encoding::PLAIN,
            is_sorted: false,
        };
        for (kind, fitting) in [
            (Type::FLOAT, 2),
            (Type::DOUBLE, 1),
            (Type::BYTE_ARRAY, 2),
            (Type::FIXED_LEN_BYTE_ARRAY, 4),
        ] {
            assert_eq!(checked(page(fitting), kind, 0), None, "{kind}");
            let message = checked(page(fitting + 1), kind, 0).unwrap();
            assert!(message.contains("values in 8 bytes"), "{message}");
        }
    }

    #[test]
    fn encodings_with_another_number_of_values_are_refused() {
        for encoding in [
            Encoding::DELTA_BYTE_ARRAY,
            Encoding::DELTA_LENGTH_BYTE_ARRAY,
        ] {
            let message = checked(data_page(1, encoding), Type::BYTE_ARRAY, 9).unwrap();
            assert!(message.contains("which is not read"), "{message}");
        }
    }
}
