use std::path::Path;

use super::*;

fn columns(header: &str) -> Result<ListColumns, String> {
    columns_for(ListPurpose::Dataset, header)
}

fn columns_for(purpose: ListPurpose, header: &str) -> Result<ListColumns, String> {
    let list = ListFile::parse(Path::new("list.csv"), Vec::new()).unwrap();
    let names: StringRecord = header.split(',').collect();
    let header = Header {
        names: &names,
        delimiter: Delimiter::Comma,
    };
    ListColumns::new(&header, purpose, &list).map_err(|error| error.to_string())
}

#[test]
fn columns_are_found_in_any_order_and_case() {
    let found = columns(",Y_2, Label,x_1,brand,PATH,x_2,is_gallery,query,y_1").unwrap();
    assert_eq!((found.path, found.label, found.split), (5, Some(2), None));
    assert_eq!(found.edges, Some([3, 9, 6, 1]));
    let [queries, galleries] = found.roles.unwrap();
    assert_eq!(queries.spellings, [(8, "query")]);
    assert_eq!(galleries.spellings, [(7, "is_gallery")]);
    assert_eq!(found.others, [(0, String::new()), (4, "brand".into())]);
}

#[test]
fn names_close_to_a_missing_column_are_refused_with_it() {
    for (close, known) in [
        ("splits", "split"),
        ("Spilt", "split"),
        ("is_querry", "is_query"),
        ("isQuery", "is_query"),
        ("qurey", "query"),
        ("galery", "gallery"),
        ("is gallery", "is_gallery"),
        ("x1", "x_1"),
        ("Y-2", "y_2"),
    ] {
        let message = columns(&format!("path,label,{close}")).unwrap_err();
        let expected = format!(
            "list.csv has a column {close:?}, which is not read; rename it to {known} if that"
        );
        assert!(message.starts_with(&expected), "{message}");
    }
    for (header, known) in [("paths,label", "path"), ("path,lable", "label")] {
        let message = columns(header).unwrap_err();
        assert!(
            message.contains(&format!("rename it to {known} ")),
            "{message}"
        );
    }
}

#[test]
fn other_columns_are_harmless_also_beside_the_column_that_they_resemble() {
    for others in [
        "width,height,brand,product_id,category,category_int,sequence",
        "split,splits,paths,labels",
        "x,y,id,hash,title,weight,quality,x_center,unnamed: 0,gallery_id,query_text,set",
        "is_query,is_gallery,queries",
    ] {
        columns(&format!("path,label,{others}")).unwrap();
    }
}

#[test]
fn columns_that_embedding_does_not_use_are_not_checked() {
    for header in [
        "path,label,query",
        "path,is_gallery",
        "path,query,query,sequence,Sequence",
        "path,labels",
        "path,qurey,galery",
    ] {
        let found = columns_for(ListPurpose::Embedding, header).unwrap();
        assert!(found.roles.is_none(), "{header}");
        columns(header).unwrap_err();
    }
    for (header, expected) in [
        ("paths,label", "rename it to path "),
        ("path,splits", "rename it to split "),
        ("path,x1,y_1,x_2,y_2", "rename it to x_1 "),
        ("path,x_1", "has a column x_1 and no column y_1, x_2, y_2"),
        ("path,label,Label", "has two columns label"),
        ("path,split,split", "has two columns split"),
    ] {
        let message = columns_for(ListPurpose::Embedding, header).unwrap_err();
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn likely_names_of_missing_columns_are_suggested() {
    for (header, expected) in [
        (
            "filename,label",
            "list.csv has no column path among filename, label; rename filename to path, if that",
        ),
        ("path,class_id", "rename class_id to label"),
        ("path,Class", "rename Class to label"),
        (
            "url,kind",
            "its first line must name the columns, separated by commas, semicolons, tabs or |, \
             including path and label",
        ),
    ] {
        let message = columns(header).unwrap_err();
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn repeated_and_incomplete_columns_are_refused() {
    for (header, expected) in [
        ("path,label,Path", "list.csv has two columns path"),
        ("path,label,split,split ", "list.csv has two columns split"),
        (
            "path,label,query",
            "has a column query and no column gallery",
        ),
        (
            "path,label,is_gallery",
            "has a column is_gallery and no column is_query",
        ),
        (
            "path,label,x_1,y_1,x_2",
            "has a column x_1, y_1, x_2 and no column y_2; a bounding box needs",
        ),
    ] {
        let message = columns(header).unwrap_err();
        assert!(message.contains(expected), "{message}");
    }
    columns("path,label,brand,brand").unwrap();
}
