//! Whether the names of images in two files mean the same images.

/// Returns the first row in which two lists of paths name different images. An empty path may be any image.
pub(super) fn first_difference(a: &[String], b: &[String]) -> Option<usize> {
    a.iter().zip(b).position(|(a, b)| !may_be_same(a, b))
}

/// Whether two paths may name the same image: they are equal, or one is the end of the other at the border of
/// a folder. `\` separates folders as `/` does. A path without a bounding box is that of all boxes of the image.
fn may_be_same(a: &str, b: &str) -> bool {
    if a.is_empty() || b.is_empty() {
        return true;
    }
    let (a, b) = match (without_box(a), without_box(b)) {
        (Some(a), None) => (a, b),
        (None, Some(b)) => (a, b),
        _ => (a, b),
    };
    names_from_the_end(a)
        .zip(names_from_the_end(b))
        .all(|(a, b)| a == b)
}

/// The names of the file and of its folders, from the last to the first.
fn names_from_the_end(path: &str) -> impl Iterator<Item = &str> {
    let names = path.split(['/', '\\']);
    names.filter(|name| !matches!(*name, "" | ".")).rev()
}

/// Returns the path before a bounding box, as in `a.jpg#12,4,200,180`; `None` if it has none.
fn without_box(path: &str) -> Option<&str> {
    let (image, numbers) = path.rsplit_once('#')?;
    let mut count = 0;
    for number in numbers.split(',') {
        number.parse::<u32>().ok()?;
        count += 1;
    }
    (count == 4).then_some(image)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_paths_are_compared_folder_by_folder() {
        for (a, b, same) in [
            ("cat/1.png", "cat/1.png", true),
            ("/data/cat/1.png", "cat\\1.png", true),
            ("./cat//1.png", "cat/1.png", true),
            ("1.png", "C:\\photos\\cat\\1.png", true),
            ("", "1.png", true),
            ("cat/1.png", "dog/1.png", false),
            ("tomcat/1.png", "cat/1.png", false),
            ("cat/11.png", "1.png", false),
            ("a.png#1,2,3,4", "x/a.png", true),
            ("a.png#1,2,3,4", "a.png#1,2,3,4", true),
            ("a.png#1,2,3,4", "a.png#1,2,3,5", false),
            ("a.png#1,2,3", "a.png", false),
        ] {
            assert_eq!(may_be_same(a, b), same, "{a} {b}");
            assert_eq!(may_be_same(b, a), same, "{b} {a}");
        }
    }

    #[test]
    fn first_difference_is_found() {
        let list = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let names = list(&["a", "b", "c"]);
        assert_eq!(first_difference(&names, &names), None);
        assert_eq!(first_difference(&names, &list(&["a", "c", "b"])), Some(1));
    }
}
