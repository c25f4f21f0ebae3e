//! The roles of test images: queries and gallery.

/// The role of a test image in retrieval.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Role {
    /// A query, and in the gallery of all other queries. The default.
    #[default]
    Both,
    /// A query only.
    Query,
    /// In the gallery only.
    Gallery,
}

impl Role {
    /// Whether the image is a query.
    pub fn is_query(self) -> bool {
        self != Self::Gallery
    }

    /// Whether the image is in the gallery.
    pub fn is_in_gallery(self) -> bool {
        self != Self::Query
    }
}
