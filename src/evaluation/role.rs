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

/// Returns the most images among which a query is searched: the gallery without the query itself. Recall@K of
/// this K or more is 1 by construction. `roles` are those of the `count` images; `None` means [`Role::Both`]
/// for every image.
pub fn searched_images(count: usize, roles: Option<&[Role]>) -> usize {
    let Some(roles) = roles else {
        return count.saturating_sub(1);
    };
    let gallery = roles.iter().filter(|role| role.is_in_gallery()).count();
    match roles.contains(&Role::Query) {
        true => gallery,
        false => gallery.saturating_sub(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_is_not_searched_among_itself() {
        use Role::{Both, Gallery, Query};
        assert_eq!(searched_images(0, None), 0);
        assert_eq!(searched_images(5, None), 4);
        assert_eq!(searched_images(3, Some(&[Both, Both, Gallery])), 2);
        assert_eq!(searched_images(3, Some(&[Query, Gallery, Gallery])), 2);
        assert_eq!(
            searched_images(4, Some(&[Query, Both, Gallery, Gallery])),
            3
        );
        assert_eq!(searched_images(1, Some(&[Query])), 0);
    }
}
