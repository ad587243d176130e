//! The table of a comparison, for people and in Markdown.

use super::comparison::{Budget, Comparison};
use super::row::Row;
use crate::grouped;

/// What is told of every model.
struct Column {
    heading: String,
    cell: fn(&Row) -> String,
}

pub(super) fn table(comparison: &Comparison) -> String {
    let Comparison {
        dataset, seed, budget, ..
    } = comparison;
    let mut text = format!("{dataset}, seed {seed}, {}\n", in_words(budget));
    for environment in &comparison.environment {
        let of = |key: &str| environment[key].as_str().unwrap_or("-").to_owned();
        let threads = &environment["threads"];
        text += &format!(
            "{}, {threads} threads, {}, scn {}\n",
            of("device"),
            of("processor"),
            of("version")
        );
    }
    text += "\n";
    let columns = columns(comparison);
    let mut lines: Vec<Vec<String>> = vec![columns.iter().map(|column| column.heading.clone()).collect()];
    for row in &comparison.rows {
        lines.push(columns.iter().map(|column| (column.cell)(row)).collect());
    }
    text + &markdown(&lines)
}

fn in_words(budget: &Budget) -> String {
    match (budget.epochs, budget.steps) {
        (Some(epochs), _) => format!("epochs: {}", grouped(epochs as u64)),
        (None, Some(steps)) => format!("steps: at most {}", grouped(steps as u64)),
        (None, None) => "epochs of the experiments".to_owned(),
    }
}

fn columns(comparison: &Comparison) -> Vec<Column> {
    let mut columns = vec![
        column("model", |row| row.name.clone()),
        column("parameters", |row| grouped(row.parameters as u64)),
        column("multiply-adds", |row| grouped(row.multiply_adds)),
        column("per sweep", |row| match row.multiply_adds_per_sweep {
            0 => "-".into(),
            number => grouped(number),
        }),
        column("training, images/s", |row| {
            format!("{:.1}", row.train_images_per_second)
        }),
        column("inference, images/s", |row| {
            format!("{:.1}", row.eval_images_per_second)
        }),
        column("peak memory", |row| {
            or_dash(row.peak_rss_bytes, |bytes| {
                format!("{:.0} MiB", bytes as f64 / 1048576.0)
            })
        }),
        column("test top-1", |row| format!("{:.2} %", row.test_top1)),
        column("validation top-1", |row| {
            or_dash(row.validation_top1, |top1| format!("{top1:.2} %"))
        }),
        column("seconds", |row| format!("{:.1}", row.seconds)),
    ];
    if comparison.rows.iter().any(|row| row.robust_top1.is_some()) {
        columns.push(column("corrupted top-1", |row| {
            or_dash(row.robust_top1, |robust| format!("{:.2} %", robust.fixed))
        }));
        columns.push(column("with fitted sparsity", |row| {
            or_dash(row.robust_top1.and_then(|robust| robust.fitted), |top1| {
                format!("{top1:.2} %")
            })
        }));
    }
    if let Some(target) = comparison.target {
        columns.push(column(format!("seconds to {target} %"), |row| {
            or_dash(row.seconds_to_target, |seconds| format!("{seconds:.1}"))
        }));
    }
    columns.push(column("epochs", |row| grouped(row.epochs as u64)));
    columns.push(column("steps", |row| grouped(row.steps as u64)));
    columns
}

fn column(heading: impl Into<String>, cell: fn(&Row) -> String) -> Column {
    Column {
        heading: heading.into(),
        cell,
    }
}

fn or_dash<T>(value: Option<T>, text: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| "-".into(), text)
}

/// Lines of equally many cells, the first of them headings: names to the left, figures to the right.
fn markdown(lines: &[Vec<String>]) -> String {
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let widths: Vec<usize> = (0..lines[0].len()).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for (index, line) in lines.iter().enumerate() {
        let cells: Vec<String> = line
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(column, (cell, &width))| match column {
                0 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            })
            .collect();
        text += &format!("| {} |\n", cells.join(" | "));
        if index == 0 {
            let rules = widths.iter().enumerate().map(|(column, &width)| match column {
                0 => "-".repeat(width),
                _ => format!("{}:", "-".repeat(width - 1)),
            });
            text += &format!("| {} |\n", rules.collect::<Vec<_>>().join(" | "));
        }
    }
    text
}
