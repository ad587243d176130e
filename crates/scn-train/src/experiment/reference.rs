//! The reference page of all keys, as Markdown.

use scn_keys::{Content, Field, REQUIRED};
use scn_models::ModelKind;

use super::keys::{EXPERIMENT, Schema};

const HEAD: &str = "\
# Keys of an experiment file

This page is what `scn config keys` prints; it is made from the fields that hold the values, so change those and run
`scn config keys > docs/keys.md`. A test compares the two.

An experiment file is TOML. `scn config print FILE` writes one out in full, `scn config check FILE` checks it, and
`--set KEY=VALUE` overrides a key by its dotted name, as in `--set train.optimizer.learning_rate=0.05`.
";

/// Every key of an experiment file with its meaning, its values and its default.
pub fn reference() -> String {
    let mut text = HEAD.to_owned();
    text += &reference_of(&EXPERIMENT);
    text += "\n## Networks\n\n| `model.kind` | network |\n| --- | --- |\n";
    for kind in ModelKind::all() {
        text += &format!("| `{}` | {} |\n", kind.name(), kind.doc());
    }
    text
}

/// The tables of a kind of experiment file.
pub fn reference_of(schema: &Schema) -> String {
    let mut text = String::new();
    write_table("", "", schema.below(""), &mut text);
    text
}

/// A table whose keys lie below `path`, and the tables in it.
fn write_table(path: &str, doc: &str, fields: &[Field], text: &mut String) {
    let (tables, values): (Vec<_>, Vec<_>) = fields
        .iter()
        .partition(|field| matches!(field.content, Content::Table(_)));
    match path {
        "" => *text += "\n## Above all tables\n\n",
        path => *text += &format!("\n## `[{path}]`\n\n{doc}\n\n"),
    }
    let of_kinds = values.iter().any(|field| !field.kinds.is_empty());
    let (head, rule) = if of_kinds { (" of kind |", " --- |") } else { ("", "") };
    *text += &format!("| key | meaning | value | default |{head}\n| --- | --- | --- | --- |{rule}\n");
    for field in values {
        let Content::Value { expected, default, .. } = &field.content else {
            continue;
        };
        let default = match default.as_str() {
            REQUIRED => "required".to_owned(),
            words if words.starts_with('(') => words.trim_matches(['(', ')']).to_owned(),
            value => format!("`{value}`"),
        };
        let kinds = match (of_kinds, field.kinds.is_empty()) {
            (false, _) => String::new(),
            (true, true) => " all |".to_owned(),
            (true, false) => format!(" {} |", quoted(&field.kinds)),
        };
        *text += &format!("| `{}` | {} | {expected} | {default} |{kinds}\n", field.name, field.doc);
    }
    for field in tables {
        if let Content::Table(inner) = &field.content {
            let doc = match field.kinds.is_empty() {
                true => field.doc.to_owned(),
                false => format!("{} Of kind {}.", field.doc, quoted(&field.kinds)),
            };
            write_table(&scn_keys::join(path, field.name), &doc, inner, text);
        }
    }
}

fn quoted(names: &[&str]) -> String {
    format!("`{}`", names.join("`, `"))
}
