//! Figures in JSON that may be infinite, such as the residual ρ of zero codes. JSON has no such number: they are the
//! strings "inf" and "NaN", and never null, which stands for figures that there are none of.

use serde::Serializer;

/// A number, or a string where it is not finite.
///
/// # Errors
/// Those of the serializer.
pub fn figure<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    match value.is_finite() {
        true => serializer.serialize_f64(*value),
        false => serializer.collect_str(value),
    }
}

/// As [`figure`], or null where there is none.
///
/// # Errors
/// Those of the serializer.
pub fn optional_figure<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => figure(value, serializer),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde::Serialize;

    #[derive(Serialize)]
    struct Figures(
        #[serde(serialize_with = "super::figure")] f64,
        #[serde(serialize_with = "super::optional_figure")] Option<f64>,
    );

    #[test]
    fn what_is_not_finite_is_a_string() {
        for (figures, json) in [
            (Figures(0.25, None), "[0.25,null]"),
            (Figures(f64::INFINITY, Some(f64::INFINITY)), r#"["inf","inf"]"#),
            (Figures(f64::NAN, Some(1e-9)), r#"["NaN",1e-9]"#),
        ] {
            assert_eq!(serde_json::to_string(&figures).unwrap(), json);
        }
    }
}
