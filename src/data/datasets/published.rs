//! The published splits of the benchmarks: number of images and classes from the papers' tables, and a
//! digest of the list of images if it is known.

/// The published split of a benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Published {
    /// The training split.
    pub(crate) train: PublishedSubset,
    /// The test split.
    pub(crate) test: PublishedSubset,
}

/// The training or test part of a published split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PublishedSubset {
    /// Number of images.
    pub(crate) images: usize,
    /// Number of classes.
    pub(crate) classes: usize,
    /// SHA-256 of the list, as `comparison::digest` computes it. `None` if the images' names are not
    /// known.
    pub(crate) digest: Option<&'static str>,
}

/// Cars196 in one folder, `car_ims/`.
pub(super) const CARS196: Published = Published {
    train: PublishedSubset {
        images: 8_054,
        classes: 98,
        digest: Some("86d5ece3539932cc3193468cca10ed9c0e6b3063c0f49c560eb3af7059c2f240"),
    },
    test: PublishedSubset {
        images: 8_131,
        classes: 98,
        digest: Some("c8f8473369609de3f4ac095d0191510fbd90e89b1f39b33633527e13c270288b"),
    },
};

/// Cars196 in `cars_train/` and `cars_test/`, which number the same images differently.
pub(super) const CARS196_TWO_FOLDERS: Published = Published {
    train: PublishedSubset {
        digest: None,
        ..CARS196.train
    },
    test: PublishedSubset {
        digest: None,
        ..CARS196.test
    },
};

/// CUB-200-2011.
pub(super) const CUB200: Published = Published {
    train: PublishedSubset {
        images: 5_864,
        classes: 100,
        digest: Some("aefd20de393244a35a4efd948fe454848b3c7e604f44acc6c4fba7ad7b77b9b3"),
    },
    test: PublishedSubset {
        images: 5_924,
        classes: 100,
        digest: Some("8054e7453cc2a0e10344630d3736d06e959d9ed18cff49f42cbd5b7975e81244"),
    },
};

/// Stanford Online Products.
pub(super) const SOP: Published = Published {
    train: PublishedSubset {
        images: 59_551,
        classes: 11_318,
        digest: Some("3c3fd6ca2f2cced8585a21467c957269de0fc62b5c9d301985a4333538cdeaff"),
    },
    test: PublishedSubset {
        images: 60_502,
        classes: 11_316,
        digest: Some("038349447184b20f6c47b419450582777e05022721560da1c7302937ee698bb1"),
    },
};

/// In-Shop Clothes. Of the test images, 14,218 are queries and 12,612 are the gallery.
pub(super) const IN_SHOP: Published = Published {
    train: PublishedSubset {
        images: 25_882,
        classes: 3_997,
        digest: None,
    },
    test: PublishedSubset {
        images: 26_830,
        classes: 3_985,
        digest: None,
    },
};
