//! Tables that are declared once: what is read, refused, written and told of them.
#![allow(clippy::unwrap_used)]

use scn_keys::{Content, Foreign, Problem, REQUIRED, Table, Value, Wrong, keys};

scn_keys::names! {
    /// A way to fall.
    pub enum Form {
        /// Not at all.
        Flat = "flat",
        /// In steps.
        Steps = "in-steps",
    }
}

scn_keys::table! {
    /// Inside.
    #[derive(Copy)]
    pub struct Inner {
        /// How near
        /// is near enough.
        pub tolerance: f64 = default(1e-4).within(finite_at_least(0.0)),
        /// How often.
        pub count: usize = default(3).within(whole(1, 9)),
    }
}

scn_keys::required_table! {
    /// Outside.
    pub struct Outer {
        /// The form.
        pub form: Form = required(),
        /// A name.
        pub name: String = derived(String::new(), "that of the file"),
        /// A part.
        pub part: f64 = default(25.0).within(range("a part", |part: &f64| *part < 100.0)),
        /// Images.
        pub images: Option<usize> = unset("all").within(at_least(2)),
        /// Where steps are.
        pub places: Option<Vec<usize>> = of_kinds(["in-steps"], None),
        /// What a step does.
        pub factor: Option<f64> = of_kinds(["in-steps"], Some(0.1)).within(between_zero_and_one()),
        /// What is inside.
        pub inner: Inner = table(),
        /// What may be inside.
        pub other: Option<Inner> = unset("nothing"),
    }
}

fn outer(text: &str) -> Result<Outer, Wrong> {
    Outer::read_table(&text.parse().unwrap())
}

#[test]
fn what_is_absent_takes_its_default() {
    let read = outer("form = \"flat\"").unwrap();
    let expected = Outer {
        form: Form::Flat,
        name: String::new(),
        part: 25.0,
        images: None,
        places: None,
        factor: None,
        inner: Inner {
            tolerance: 1e-4,
            count: 3,
        },
        other: None,
    };
    assert_eq!(read, expected);
    assert_eq!(outer("form = \"flat\"\n[other]").unwrap().other, Some(Inner::default()));
}

#[test]
fn what_is_written_is_read_again_by_toml_and_by_json() {
    let text = "form = \"in-steps\"\nname = \"n\"\npart = 3\nimages = 7\nplaces = [1, 2]\nother = { count = 4 }";
    let read = outer(text).unwrap();
    assert_eq!((read.part, read.places.as_deref()), (3.0, Some(&[1, 2][..])));
    assert_eq!(Outer::read_table(&read.write_table()), Ok(read.clone()));
    let json = serde_json::to_string(&read).unwrap();
    assert_eq!(serde_json::from_str::<Outer>(&json).unwrap(), read);
    // Older files spell out what is absent.
    let older = r#"{"form": "flat", "images": null, "other": {"count": 5}, "inner": {"tolerance": 1}}"#;
    let read: Outer = serde_json::from_str(older).unwrap();
    assert_eq!(
        (read.images, read.other.unwrap().count, read.inner.tolerance),
        (None, 5, 1.0)
    );
}

#[test]
fn what_cannot_be_read_is_named() {
    let wrong = |text: &str| {
        let Wrong { path, problem } = outer(text).unwrap_err();
        (path, problem)
    };
    let expecting = |path: &str, expected: &str| {
        let expected = expected.to_owned();
        (path.to_owned(), Problem::Type { expected })
    };
    assert_eq!(
        wrong("form = \"steep\""),
        expecting("form", "one of `flat`, `in-steps`")
    );
    assert_eq!(wrong("form = 3"), expecting("form", "one of `flat`, `in-steps`"));
    assert_eq!(wrong("part = 2"), ("form".into(), Problem::Missing));
    assert_eq!(wrong("form = \"flat\"\nparts = 2"), ("parts".into(), Problem::Unknown));
    assert_eq!(wrong("form = \"flat\"\ninner = 2"), expecting("inner", "a table"));
    assert_eq!(
        wrong("form = \"flat\"\n[other]\ncount = -1"),
        expecting("other.count", "a whole number from 1 to 9")
    );
    assert_eq!(
        wrong("form = \"flat\"\ninner.kount = 1"),
        ("inner.kount".into(), Problem::Unknown)
    );
    let (path, problem) = wrong("form = \"in-steps\"\nplaces = [3, 4.5]");
    assert_eq!(path, "places[1]");
    assert!(matches!(problem, Problem::Type { .. }));
    let json = serde_json::from_str::<Outer>(r#"{"form": "flat", "inner": {"count": []}}"#).unwrap_err();
    assert!(
        json.to_string()
            .contains("`inner.count`: expected a whole number from 1 to 9"),
        "{json}"
    );
}

#[test]
fn ranges_are_checked_in_order() {
    let text = "form = \"flat\"\npart = nan\nimages = 1\nfactor = 1.0\ninner = { tolerance = -1, count = 9 }\nother.count = 10";
    let found: Vec<_> = outer(text)
        .unwrap()
        .out_of_range()
        .into_iter()
        .map(|wrong| (wrong.path, wrong.found, wrong.expected))
        .collect();
    let expected = [
        ("part", "NaN", "a part"),
        ("images", "1", "a whole number, at least 2"),
        ("factor", "1", "a number above 0 and below 1"),
        ("inner.tolerance", "-1", "a finite number, at least 0"),
        ("other.count", "10", "a whole number from 1 to 9"),
    ];
    let expected = expected.map(|(path, found, expected)| (path.to_owned(), found.to_owned(), expected.to_owned()));
    assert_eq!(found, expected);
}

#[test]
fn keys_of_some_kinds_are_filled_there_and_foreign_elsewhere() {
    let mut read = outer("form = \"in-steps\"").unwrap();
    read.fill(Form::Flat.name());
    assert_eq!(read.factor, None);
    read.fill(Form::Steps.name());
    assert_eq!((read.factor, read.places.as_ref()), (Some(0.1), None));
    assert_eq!(read.foreign("in-steps"), None);
    let foreign = Foreign {
        name: "factor",
        found: 0.1.into(),
        owners: vec!["in-steps"],
    };
    assert_eq!(read.foreign("flat"), Some(foreign));
    read.factor = Some(0.5);
    read.fill("in-steps");
    assert_eq!(read.factor, Some(0.5));
}

#[test]
fn lists_of_a_length_are_lists_of_that_length() {
    let read = |text: &str| Vec::<[usize; 2]>::read(&format!("x = {text}").parse::<toml::Table>().unwrap()["x"]);
    let rows = read("[[1, 2], [3, 4]]").unwrap();
    assert_eq!(rows, [[1, 2], [3, 4]]);
    assert_eq!(rows.shown(), "[[1, 2], [3, 4]]");
    assert_eq!(Vec::<[usize; 2]>::read(&rows.write().unwrap()), Ok(rows));
    for (text, path, expected) in [
        ("[[1, 2], [3]]", "[1]", "a list of 2, each a whole number, at least 0"),
        ("[[1, 2, 3]]", "[0]", "a list of 2, each a whole number, at least 0"),
        ("[[1, -2]]", "[0][1]", "a whole number, at least 0"),
    ] {
        let expected = expected.to_owned();
        let wrong = Wrong {
            path: path.to_owned(),
            problem: Problem::Type { expected },
        };
        assert_eq!(read(text), Err(wrong));
    }
}

#[test]
fn everything_is_told_of_a_key() {
    let fields = Outer::fields();
    assert!(matches!(&fields[6].content, Content::Table(inner) if inner.len() == 2));
    let keys = keys(&fields);
    let told: Vec<_> = keys
        .iter()
        .map(|key| (key.path.as_str(), key.doc, key.default.as_str(), key.unset))
        .collect();
    let expected = [
        ("form", "The form.", REQUIRED, false),
        ("name", "A name.", "(that of the file)", false),
        ("part", "A part.", "25.0", false),
        ("images", "Images.", "(all)", true),
        ("places", "Where steps are.", REQUIRED, false),
        ("factor", "What a step does.", "0.1", false),
        ("inner.tolerance", "How near is near enough.", "1e-4", false),
        ("inner.count", "How often.", "3", false),
        ("other.tolerance", "How near is near enough.", "1e-4", false),
        ("other.count", "How often.", "3", false),
    ];
    assert_eq!(told, expected);
    assert_eq!(keys[4].kinds, ["in-steps"]);
    let required: Vec<_> = keys
        .iter()
        .filter(|key| key.is_required())
        .map(|key| &key.path)
        .collect();
    assert_eq!(required, ["form"]);
}

#[test]
fn defaults_are_written_as_people_write_them() {
    scn_keys::table! {
        /// Numbers.
        pub struct Numbers {
            /// 0.
            pub zero: f64 = default(0.0),
            /// 1.
            pub small: f64 = default(5e-4),
            /// 2.
            pub tenth: f64 = default(0.1),
            /// 3.
            pub ten: f64 = default(10.0),
            /// 4.
            pub large: f64 = default(1e4),
            /// 5.
            pub path: std::path::PathBuf = default("a b".into()),
        }
    }
    let defaults: Vec<_> = keys(&Numbers::fields()).into_iter().map(|key| key.default).collect();
    assert_eq!(defaults, ["0.0", "5e-4", "0.1", "10.0", "1e4", "\"a b\""]);
    assert_eq!(
        Numbers::read(&toml::Value::Table(toml::Table::new())),
        Ok(Numbers::default())
    );
}

#[test]
fn lists_of_lists_have_so_many_values_each() {
    scn_keys::table! {
        /// Layers.
        pub struct Layers {
            /// Pairs.
            pub pairs: Vec<[usize; 2]> = default(vec![[1, 2]]).within(range("pairs", |pairs: &Vec<[usize; 2]>| {
                pairs.iter().all(|[first, second]| first < second)
            })),
        }
    }
    let read = |text: &str| Layers::read_table(&text.parse().unwrap());
    assert_eq!(read("pairs = [[3, 4], [5, 6]]").unwrap().pairs, [[3, 4], [5, 6]]);
    assert_eq!(
        keys(&Layers::fields())
            .iter()
            .map(|key| key.default.as_str())
            .collect::<Vec<_>>(),
        ["[[1, 2]]"]
    );
    for (text, path) in [
        ("pairs = [[3, 4], [5]]", "pairs[1]"),
        ("pairs = [[3, 4, 5]]", "pairs[0]"),
        ("pairs = [[3, -4]]", "pairs[0][1]"),
        ("pairs = [3]", "pairs[0]"),
    ] {
        let wrong = read(text).unwrap_err();
        assert_eq!(wrong.path, path);
        assert!(matches!(wrong.problem, Problem::Type { .. }), "{wrong}");
    }
    let wrong = read("pairs = [[3, 4], [6, 5]]").unwrap().out_of_range();
    assert_eq!(
        (wrong[0].path.as_str(), wrong[0].found.as_str()),
        ("pairs", "[[3, 4], [6, 5]]")
    );
    let again = read("pairs = [[3, 4]]").unwrap().write_table();
    assert_eq!(again, "pairs = [[3, 4]]".parse::<toml::Table>().unwrap());
}
