//! What the templates of the page do with values.

#![expect(
    unreachable_pub,
    clippy::unnecessary_wraps,
    reason = "what the macro makes of them"
)]

use super::svg::drawing::shortened;
use askama::{Result, Values};

/// A place in a picture.
#[askama::filter_fn]
pub(super) fn x(at: &f64, _: &dyn Values) -> Result<String> {
    Ok(format!("{at:.1}"))
}

/// The beginning of a text.
#[askama::filter_fn]
pub(super) fn short(text: &str, _: &dyn Values, most: usize) -> Result<String> {
    Ok(shortened(text, most))
}
