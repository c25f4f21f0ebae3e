//! HTML pages that contain everything they show: no file beside them, no network.
//!
//! [`Page`] is the skeleton with its style sheet, and [`ThumbnailSpec`] makes the images in it, which have a
//! bounded size.

mod page;
mod thumbnail;

pub use page::{Page, Section, is_page};
pub use thumbnail::{Thumbnail, ThumbnailSpec};
