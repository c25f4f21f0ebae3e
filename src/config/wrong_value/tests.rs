//! Wrong values, and what to write instead.

use super::*;

fn range(minimum: u64) -> NumberRange {
    NumberRange {
        minimum: Some(minimum.into()),
        ..Default::default()
    }
}

fn advised(kind: ValueKind, values: &[(&str, &str)]) {
    for (value, expected) in values {
        let value = toml_value(value).unwrap_or_else(|| Value::String(value.to_string()));
        assert_eq!(advice(&kind, &value), *expected, "{value}");
    }
}

#[test]
fn numbers_are_rewritten_as_toml_writes_them() {
    let values = [
        (".001", "write 0.001"),
        ("1.", "write 1.0"),
        ("0,001", "write 0.001"),
        ("\"0.001\"", "write 0.001 without quotes"),
        ("\"1e-3\"", "write 1e-3 without quotes"),
        ("\"3\"", "write 3 without quotes"),
        ("7%", "write 0.07"),
        ("1e-3x y", "give a number of 0 or more"),
        ("1e-3s", "give a number of 0 or more"),
        ("-.5", "give a number of 0 or more"),
        ("fast", "give a number of 0 or more"),
        ("infinity", "give a number of 0 or more"),
        ("true", "give a number of 0 or more"),
        ("", "has no value; give a number of 0 or more"),
    ];
    advised(ValueKind::Number(range(0)), &values);
}

#[test]
fn whole_numbers_are_rewritten_without_a_point() {
    let values = [
        ("3.0", "write 3"),
        ("1e3", "write 1000"),
        ("1,000", "write 1000"),
        ("1_000 epochs", "write 1000"),
        ("227px", "write 227"),
        ("5k", "give a whole number of 1 or more"),
        ("2 hours", "give a whole number of 1 or more"),
        ("05", "write 5"),
        ("\"3\"", "write 3 without quotes"),
        ("2.5", "give a whole number of 1 or more"),
        ("0.0", "give a whole number of 1 or more"),
        ("nan", "give a whole number of 1 or more"),
        ("inf", "give a whole number of 1 or more"),
        ("1e300", "give a whole number of 1 or more"),
        ("99999999999999999999", "give a whole number of 1 or more"),
        ("-3", "give 1 or more"),
        ("1979-05-27", "give a whole number of 1 or more"),
        ("é", "give a whole number of 1 or more"),
    ];
    advised(ValueKind::Integer(range(1)), &values);
}

#[test]
fn switches_are_true_or_false() {
    let values = [
        ("True", "write true"),
        ("FALSE", "write false"),
        ("yes", "write true"),
        ("off", "write false"),
        ("1", "write true"),
        ("0", "write false"),
        ("\"true\"", "write true without quotes"),
        ("2", "give true or false"),
        ("maybe", "give true or false"),
    ];
    advised(ValueKind::Switch, &values);
}

#[test]
fn lists_have_brackets() {
    let kind = || ValueKind::List {
        item: Box::new(ValueKind::Integer(range(1))),
        length: None,
    };
    let values = [
        ("1,2,4", "write [1, 2, 4]"),
        ("1 2", "write [1, 2]"),
        ("(1, 2)", "write [1, 2]"),
        ("5", "write [5]"),
        ("[1.0, 2]", "write [1, 2]"),
        ("[1, -2]", "give 1 or more"),
        ("all", "give a list of whole numbers of 1 or more"),
        ("{ k = 1 }", "give a list of whole numbers of 1 or more"),
    ];
    advised(kind(), &values);
    let pair = ValueKind::List {
        item: Box::new(ValueKind::Number(NumberRange::default())),
        length: Some(2),
    };
    let values = [
        ("0.5", "give a list of 2 numbers"),
        ("0.5,1", "write [0.5, 1]"),
        ("[1, 2, 3]", "give a list of 2 numbers"),
    ];
    advised(pair, &values);
}

#[test]
fn nearest_name_is_suggested() {
    let names = ["triplet", "hphn-triplet", "n-pair"].map(|name| NamedValue {
        name: name.into(),
        meaning: String::new(),
    });
    let known = "`triplet`, `hphn-triplet` or `n-pair`";
    for (text, nearest) in [
        ("tripelt", "triplet"),
        ("Triplet", "triplet"),
        ("hphn_triplet", "hphn-triplet"),
        ("npair", "n-pair"),
    ] {
        let message = advice(&ValueKind::Name(names.to_vec()), &text.into());
        assert_eq!(message, format!("did you mean `{nearest}`? Give {known}"));
    }
    let message = advice(&ValueKind::Name(names.to_vec()), &"xyz".into());
    assert_eq!(message, format!("give {known}"));
}

#[test]
fn names_without_brackets_become_a_list() {
    let names = ["average", "max"].map(|name| NamedValue {
        name: name.into(),
        meaning: String::new(),
    });
    let name = ValueKind::Name(names.to_vec());
    let list = ValueKind::List {
        item: Box::new(name.clone()),
        length: None,
    };
    let kind = ValueKind::Either(vec![name, list]);
    for (text, expected) in [
        ("average,max", "write [\"average\", \"max\"]"),
        (
            "average,mux",
            "did you mean `average`? Give `average` or `max`, or a list of values: `average` or `max`",
        ),
    ] {
        assert_eq!(advice(&kind, &text.into()), expected);
    }
}
