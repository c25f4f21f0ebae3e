//! HTML pages that contain everything they show: no file beside them, no network.
//!
//! [`Page`] is the skeleton with its style sheet, and [`ThumbnailSpec`] makes the images in it, which have a
//! bounded size.

mod duplicates_page;
mod page;
mod search_page;
mod thumbnail;
mod tile;

pub use duplicates_page::duplicates_page;
pub use page::{Page, Section, is_page};
pub use search_page::{SearchPage, search_page};
pub use thumbnail::{Thumbnail, ThumbnailSpec};
