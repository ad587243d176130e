//! The name that may have been meant.

use super::keys::Schema;

/// Names of keys in PyTorch and timm.
const KEY_ALIASES: [(&str, &str); 13] = [
    ("arch", "kind"),
    ("bs", "batch_size"),
    ("div_factor", "initial_divisor"),
    ("eta_min", "final_learning_rate"),
    ("final_div_factor", "final_divisor"),
    ("gamma", "factor"),
    ("hflip", "flip"),
    ("lr", "learning_rate"),
    ("max_lr", "learning_rate"),
    ("pct_start", "peak_fraction"),
    ("random_seed", "seed"),
    ("smoothing", "label_smoothing"),
    ("wd", "weight_decay"),
];

/// Words for a value that this project calls otherwise.
const VALUE_ALIASES: [(&str, &str); 4] = [
    ("cuda", "wgpu"),
    ("gpu", "wgpu"),
    ("multistep", "milestones"),
    ("step", "milestones"),
];
/// Shortest word that stands for the names it begins.
const SHORTEST_PREFIX: usize = 3;

/// The value that may have been meant.
pub(super) fn value<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = VALUE_ALIASES
        .iter()
        .find(|(alias, _)| *alias == name)
        .map_or(name, |(_, value)| value);
    nearest(name, candidates)
}

/// The candidate that begins with `name`, or else the nearest if at most a third of its letters differ. Numbers in a
/// name are no slips: nobody who writes resnet50 means resnet20.
fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let simple = |name: &str| name.to_lowercase().replace(['-', '_', ' '], "");
    let digits = |name: &str| name.chars().filter(char::is_ascii_digit).collect::<String>();
    let name = simple(name);
    let distance = |candidate: &str| {
        let prefix = name.len() >= SHORTEST_PREFIX && candidate.starts_with(&name);
        if prefix {
            0
        } else {
            strsim::damerau_levenshtein(&name, candidate)
        }
    };
    candidates
        .into_iter()
        .filter(|candidate| digits(&name).is_empty() || digits(&name) == digits(candidate))
        .map(|candidate| (distance(&simple(candidate)), candidate))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, candidate)| 3 * distance <= candidate.len().max(name.len()))
        .map(|(_, candidate)| candidate)
}

/// The key that may have been meant by the unknown `name` in `table`: by its name alone if in the same table, else
/// dotted. One that `name` begins there goes before one of this name elsewhere.
pub(super) fn key(schema: &Schema, table: &str, name: &str) -> Option<String> {
    let name = KEY_ALIASES
        .iter()
        .find(|(alias, _)| *alias == name)
        .map_or(name, |(_, key)| key);
    let siblings = schema.children(table);
    if siblings.contains(&name) {
        return Some(name.to_owned());
    }
    let begun = |sibling: &&str| name.len() >= SHORTEST_PREFIX && sibling.starts_with(name);
    if let Some(sibling) = siblings.iter().copied().find(begun) {
        return Some(sibling.to_owned());
    }
    fn last(path: &str) -> &str {
        path.rsplit('.').next().unwrap_or(path)
    }
    let elsewhere = |name: &str| {
        schema
            .keys()
            .iter()
            .map(|key| key.path.as_str())
            .find(|path| last(path) == name)
    };
    let found = elsewhere(name).or_else(|| nearest(name, siblings));
    found
        .or_else(|| elsewhere(nearest(name, schema.keys().iter().map(|key| last(&key.path)))?))
        .map(str::to_owned)
}
