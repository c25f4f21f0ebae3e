//! Queries and gallery.

/// What a test image is in a measure of retrieval.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Role {
    /// A query, and in the gallery of all the others: the usual way.
    #[default]
    Both,
    /// Looked for, never found.
    Query,
    /// Found, never looked for.
    Gallery,
}

impl Role {
    /// Whether others of its class are looked for.
    pub fn is_query(self) -> bool {
        self != Self::Gallery
    }

    /// Whether it can be found.
    pub fn is_in_gallery(self) -> bool {
        self != Self::Query
    }
}
