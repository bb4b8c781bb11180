//! The number of time series that an expression makes, if its text shows it.

use super::{Expression, MathToken, tokens};

/// Functions that return as many time series as they get.
///
/// # Source
///
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html>
const SERIES_PRESERVING: [&str; 10] =
    ["ABS", "CEIL", "DIFF", "DIFF_TIME", "FILL", "FLOOR", "LOG", "LOG10", "RATE", "RUNNING_SUM"];

/// A bracket that is not closed yet.
struct OpenBracket {
    /// Whether each series in it is one of the result.
    counts: bool,
    /// Number of items in the list so far; 1 for other brackets.
    items: usize,
    is_list: bool,
}

impl Expression {
    /// Returns the number of time series of this expression over metrics with these ids, if there are certainly several.
    ///
    /// A list, `METRICS()` and `ANOMALY_DETECTION_BAND` count unless a function around them may return fewer series.
    /// Only CloudWatch knows the number of metrics that a search finds and the number of groups of a query.
    pub(crate) fn series_count(&self, ids: &[&str]) -> Option<usize> {
        let tokens: Vec<MathToken<'_>> =
            tokens(&self.text).into_iter().filter(|token| !token.as_str().trim().is_empty()).collect();
        let (mut open, mut count): (Vec<OpenBracket>, usize) = (Vec::new(), 1);
        let mut before = None;
        for (index, token) in tokens.iter().enumerate() {
            let counts = open.last().is_none_or(|bracket| bracket.counts);
            match token.as_str() {
                "(" => {
                    let keeps = match before {
                        Some(MathToken::Function(name)) => {
                            let argument = tokens.get(index + 1).map_or("", MathToken::as_str);
                            let made = min_series(name, argument, ids);
                            count = if counts { count.max(made) } else { count };
                            SERIES_PRESERVING.contains(&name.to_uppercase().as_str())
                        }
                        Some(MathToken::Name(_) | MathToken::Other(_)) | None => true,
                    };
                    open.push(OpenBracket { counts: counts && keeps, items: 1, is_list: false });
                }
                "[" => open.push(OpenBracket { counts, items: 1, is_list: true }),
                "," => open.last_mut().into_iter().for_each(|list| list.items += usize::from(list.is_list)),
                ")" | "]" => {
                    let closed = open.pop().filter(|bracket| bracket.counts);
                    count = count.max(closed.map_or(1, |bracket| bracket.items));
                }
                _ => {}
            }
            before = Some(*token);
        }
        (count > 1).then_some(count)
    }
}

/// Returns the number of series that a function certainly makes; `argument` is the token after its bracket.
fn min_series(function: &str, argument: &str, ids: &[&str]) -> usize {
    match function.to_uppercase().as_str() {
        "ANOMALY_DETECTION_BAND" => 2,
        "METRICS" => {
            let part = argument.trim_matches(['"', '\'', ')']);
            ids.iter().filter(|id| id.contains(part)).count()
        }
        _ => 1,
    }
}
