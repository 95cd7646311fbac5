//! A figure against the doses that it grows with, and the line that fits it.

use serde_json::Value;

/// The size of the plot, without what stands around it.
const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 180.0;

/// A dose: so many units in all, and what the figure had grown by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) units: i64,
    pub(crate) added: i64,
}

/// Growth against doses.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plot {
    pub(crate) figure: String,
    pub(crate) unit: String,
    /// The first one is where it all began.
    pub(crate) points: Vec<Point>,
    /// What each unit adds, by the line through the beginning that fits best.
    pub(crate) slope: f64,
    /// Where that line ends.
    pub(crate) end_y: f64,
    pub(crate) most_units: i64,
    pub(crate) most_added: i64,
}

impl Plot {
    /// What each unit adds, for people.
    pub(crate) fn rate(&self) -> String {
        format!("{:.2}", self.slope)
    }

    /// What a cause has to tell of growth, where it is one of growth.
    pub(crate) fn of(cause: &Value) -> Option<Self> {
        let growth = with_doses(cause)?;
        let doses = growth.get("doses")?.as_array()?;
        let number = |dose: &Value, name: &str| dose.get(name).and_then(Value::as_i64);
        let mut sums = vec![(0, 0)];
        for dose in doses {
            let (units, added) = sums.last().copied().unwrap_or_default();
            sums.push((
                units + number(dose, "units")?,
                added + number(dose, "added")?,
            ));
        }
        let (most_units, _) = *sums.last()?;
        let most_added = sums.iter().map(|(_, added)| *added).max()?;
        if most_units <= 0 || most_added <= 0 {
            return None;
        }
        let slope = slope(&sums);
        let y = |added: f64| HEIGHT - (added / most_added as f64 * HEIGHT).clamp(0.0, HEIGHT);
        let points = sums.iter().map(|(units, added)| Point {
            x: *units as f64 / most_units as f64 * WIDTH,
            y: y(*added as f64),
            units: *units,
            added: *added,
        });
        let word = |name: &str| match growth.get(name) {
            Some(Value::String(word)) => word.replace('-', " "),
            Some(Value::Object(fields)) => fields
                .iter()
                .map(|(name, of)| {
                    format!("{} {}", name.replace('-', " "), of.as_str().unwrap_or(""))
                })
                .collect(),
            _ => String::new(),
        };
        Some(Self {
            figure: word("figure"),
            unit: word("unit"),
            points: points.collect(),
            slope,
            end_y: y(slope * most_units as f64),
            most_units,
            most_added,
        })
    }
}

/// The part of a cause that has doses.
fn with_doses(value: &Value) -> Option<&Value> {
    match value {
        Value::Object(fields) if fields.contains_key("doses") => Some(value),
        Value::Object(fields) => fields.values().find_map(with_doses),
        Value::Array(items) => items.iter().find_map(with_doses),
        _ => None,
    }
}

/// The least squares through the beginning.
fn slope(sums: &[(i64, i64)]) -> f64 {
    let (mut products, mut squares) = (0.0, 0.0);
    for (units, added) in sums {
        products += *units as f64 * *added as f64;
        squares += *units as f64 * *units as f64;
    }
    products / squares.max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn doses_add_up_and_the_line_fits_them() {
        let cause = json!({"growth": [{"figure": "sockets", "unit": "connection", "doses": [
            {"units": 8, "added": 16}, {"units": 16, "added": 32},
        ]}]});
        let plot = Plot::of(&cause).unwrap();
        assert_eq!(
            (plot.figure.as_str(), plot.unit.as_str()),
            ("sockets", "connection")
        );
        assert_eq!(
            (plot.most_units, plot.most_added, plot.slope),
            (24, 48, 2.0)
        );
        let at: Vec<(f64, f64)> = plot.points.iter().map(|point| (point.x, point.y)).collect();
        assert_eq!(at, [(0.0, 180.0), (140.0, 120.0), (420.0, 0.0)]);
        assert_eq!(plot.end_y, 0.0);
    }

    #[test]
    fn what_is_no_growth_has_no_plot() {
        assert_eq!(Plot::of(&json!({"exit": {"status": 1}})), None);
        assert_eq!(
            Plot::of(&json!({"doses": [{"units": 3, "added": -1}]})),
            None
        );
        assert_eq!(Plot::of(&json!({"doses": []})), None);
    }
}
