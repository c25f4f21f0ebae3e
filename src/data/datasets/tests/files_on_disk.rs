use std::fs;

use tempfile::TempDir;

use super::super::test_tree::unmonitored;
use super::*;

fn tree(names: &[&str]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for name in names {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    folder
}

#[test]
fn files_are_found_by_exact_name_and_others_are_unlisted() {
    let folder = tree(&[
        "a/0.jpg",
        "a/1.JPG",
        "a/b/2.png",
        "a/._0.jpg",
        "a/x.txt",
        "__MACOSX/0.jpg",
        "a/@eaDir/0.jpg",
    ]);
    let listing = unmonitored();
    let (root, mut files) = (folder.path(), FilesOnDisk::new(&listing));
    assert!(files.find_listed(&root.join("a/0.jpg")));
    assert!(!files.find_listed(&root.join("a/1.jpg")), "different case");
    assert!(!files.find_listed(&root.join("a/b")), "a folder");
    assert!(!files.find_listed(&root.join("c/0.jpg")), "no such folder");
    assert!(
        !files.find_listed(&root.join("a/0.jpg/0.jpg")),
        "a file as parent"
    );
    assert_eq!(
        files.unlisted_below(root),
        [root.join("a/1.JPG"), root.join("a/b/2.png")]
    );
    assert_eq!(files.errors, []);
}

#[test]
fn a_listed_file_may_be_hidden() {
    let folder = tree(&["a/.0.jpg", ".b/0.jpg"]);
    let listing = unmonitored();
    let mut files = FilesOnDisk::new(&listing);
    assert!(files.find_listed(&folder.path().join("a/.0.jpg")));
    assert!(files.find_listed(&folder.path().join(".b/0.jpg")));
    assert_eq!(
        files.unlisted_below(folder.path()),
        [""; 0].map(PathBuf::from)
    );
}

#[test]
fn a_missing_file_is_named_with_the_file_of_nearly_the_same_path() {
    let folder = tree(&["Cats/cafe\u{301}/1.JPG", "dogs/2.jpg"]);
    let listing = unmonitored();
    let mut files = FilesOnDisk::new(&listing);
    let mut message = |name: &str| {
        let error = files.missing(&folder.path().join(name));
        let root = format!("{}/", folder.path().display());
        error.to_string().replace(&root, "")
    };
    for (name, expected) in [
        (
            "dogs/2.JPG",
            "image dogs/2.JPG is missing; did you mean dogs/2.jpg, with other letter case? rename the \
             file, or change the list",
        ),
        (
            "Cats/caf\u{e9}/1.JPG",
            "image Cats/caf\u{e9}/1.JPG is missing; did you mean Cats/cafe\u{301}/1.JPG, in decomposed \
             Unicode form (NFD) instead of the list's composed one (NFC)? rename the file, for example \
             with convmv, or change the list",
        ),
        (
            "cats/cafe\u{301}/1.jpg",
            "image cats/cafe\u{301}/1.jpg is missing; did you mean Cats/cafe\u{301}/1.JPG, with other \
             letter case? rename the file, or change the list",
        ),
        (
            "dogs/3.jpg",
            "image dogs/3.jpg is missing; restore it from the archive, or remove it from the list",
        ),
        (
            "birds/2.jpg",
            "image birds/2.jpg is missing; restore it from the archive, or remove it from the list",
        ),
    ] {
        assert_eq!(message(name), expected);
    }
}

#[cfg(unix)]
#[test]
fn a_missing_file_may_have_a_name_in_another_encoding() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tree(&["a/0.jpg"]);
    let name = OsStr::from_bytes(b"caf\xe9.jpg");
    fs::write(folder.path().join("a").join(name), "").unwrap();
    let listing = unmonitored();
    let mut files = FilesOnDisk::new(&listing);
    let message = files.missing(&folder.path().join("a/café.jpg")).to_string();
    let expected = r"a/caf\xe9.jpg, whose name is not UTF-8? rename it, for example with convmv";
    assert!(message.ends_with(expected), "{message}");
}

#[test]
fn unlisted_images_are_known_by_their_content() {
    let folder = tree(&["a/notes"]);
    fs::write(folder.path().join("a/0001"), b"\xff\xd8\xff\xe0").unwrap();
    let listing = unmonitored();
    let mut files = FilesOnDisk::new(&listing);
    assert_eq!(
        files.unlisted_below(folder.path()),
        [folder.path().join("a/0001")]
    );
    assert_eq!(count_images_below(folder.path(), &listing), 1);
}

#[cfg(unix)]
#[test]
fn links_are_followed_and_cycles_end() {
    let folder = tree(&["a/0.jpg"]);
    let root = folder.path();
    std::os::unix::fs::symlink(root, root.join("a/up")).unwrap();
    std::os::unix::fs::symlink(root.join("a/0.jpg"), root.join("a/1.jpg")).unwrap();
    std::os::unix::fs::symlink("nowhere", root.join("a/2.jpg")).unwrap();
    let listing = unmonitored();
    let mut files = FilesOnDisk::new(&listing);
    assert!(files.find_listed(&root.join("a/1.jpg")));
    assert!(!files.find_listed(&root.join("a/2.jpg")), "a broken link");
    assert_eq!(files.unlisted_below(root), [root.join("a/0.jpg")]);
}
